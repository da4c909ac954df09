#include "zeropoint/weights/analyze.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <mutex>
#include <numbers>
#include <optional>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "weights/encoding.hpp"
#include "weights/name_pattern.hpp"
#include "weights/pareto.hpp"
#include "weights/scheme_on_tensor.hpp"
#include "weights/squares.hpp"
#include "weights/timing.hpp"

namespace zeropoint {
namespace {

// Ledgers are made at about a gigabyte a second: of so many numbers of a tensor, by each scheme.
constexpr std::size_t kLedgerValues = std::size_t{1} << 18;
// One that no part of can stand for is made for the whole up to here.
constexpr std::size_t kWholeLedger = std::size_t{1} << 20;

// A scheme laid over a tensor, with what its pieces gave.
struct Attempt {
  std::optional<SchemeOnTensor> cut;
  std::vector<Squares> squares;
  std::vector<TensorLedger> ledgers;  // of the pieces that are looked into
  std::size_t every = 1;              // which are each so many
};

bool has_range(const Scheme& scheme) {
  return scheme.range.kind == RangeKind::minmax && scheme.transforms.empty();
}

TensorLedger& operator+=(TensorLedger& a, const TensorLedger& b) {
  a.clipping += b.clipping;
  a.rounding += b.rounding;
  a.zero_point += b.zero_point;
  a.stored_scale += b.stored_scale;
  a.error += b.error;
  a.energy += b.energy;
  return a;
}

// What the codes of one scale stand for.
std::vector<float> grid_of(const Scheme& scheme, const TensorParams& params) {
  std::vector<float> grid;
  if (params.tiles.size() != 1 || scheme.format.bits > 8 || !scheme.transforms.empty()) return grid;
  const QuantParams& tile = params.tiles[0];
  if (scheme.format.kind == FormatKind::integer) {
    for (int code = scheme.format.grid.lo(); code <= scheme.format.grid.hi(); ++code) {
      grid.push_back(dequantize(code, tile));
    }
  } else if (scheme.format.kind == FormatKind::codebook) {
    for (const float level : params.levels) grid.push_back(tile.scale * level);
  } else if (scheme.format.kind == FormatKind::floating) {
    for (std::uint32_t code = 0; code < 1U << scheme.format.bits; ++code) {
      const double value = decode(*scheme.format.floating, code).value;
      if (std::isfinite(value)) grid.push_back(static_cast<float>(value * tile.scale));
    }
    std::ranges::sort(grid);
  }
  return grid;
}

class Analyzer {
 public:
  Analyzer(const WeightFile& file, const AnalyzeOptions& options, FileAnalysis& analysis)
      : file_(file), analysis_(analysis) {
    const auto names = options.schemes.empty() ? analyze_schemes() : options.schemes;
    for (const auto& name : names) {
      schemes_.push_back(parse_scheme(name));
      analysis_.schemes.push_back(short_form(schemes_.back()));
    }
    if (!options.only.empty()) only_.emplace(options.only, "--only");
  }

  void run(const BytesProgress& progress) {
    std::uint64_t done = 0, all = 0;
    for (const auto& weight : file_.weights()) all += weight.bytes;
    analysis_.tensor_bytes = all;
    for (const auto& weight : file_.weights()) {
      AnalyzedWeight& result = analysis_.weights.emplace_back();
      result.name = weight.name;
      result.type = weight.type;
      result.shape = weight.shape;
      result.count = weight.count;
      result.bytes = weight.bytes;
      result.is_quantized = weight.is_quantized;
      result.kept = why_kept(weight);
      if (weight.is_numbers() && weight.count != 0) look_at(weight, result);
      done += weight.bytes;
      if (progress) progress(done, all);
    }
  }

 private:
  std::string why_kept(const Weight& weight) const {
    if (!weight.is_numbers()) return "no numbers to quantize";
    if (weight.count == 0) return "empty";
    if (only_) return only_->matches(weight.name) ? "" : "--only";
    if (weight.shape.size() < 2) return weight.shape.empty() ? "a single number" : "one axis";
    return "";
  }

  void look_at(const Weight& weight, AnalyzedWeight& result) {
    const WeightValues values = file_.load(weight);
    const auto x = values.values();
    result.profile = profile_of(x, weight.shape);
    if (!result.kept.empty()) return;
    result.trials.resize(schemes_.size());
    if (result.profile.nans + result.profile.infinities != 0) {
      for (auto& trial : result.trials) {
        trial.problem = fmt::format("{} of {} numbers are NaN, infinite or beyond float32",
                                    result.profile.nans + result.profile.infinities, weight.count);
      }
      return;
    }
    // A scheme with transforms holds a tensor of its own: those one after the other.
    std::vector<std::size_t> together;
    for (std::size_t i = 0; i < schemes_.size(); ++i) {
      if (schemes_[i].transforms.empty()) {
        together.push_back(i);
      } else {
        try_schemes(weight, x, {&i, 1}, result);
      }
    }
    try_schemes(weight, x, together, result);
    find_best(result);
  }

  void try_schemes(const Weight& weight, std::span<const float> x,
                   std::span<const std::size_t> which, AnalyzedWeight& result) const {
    std::vector<Attempt> attempts(schemes_.size());
    // Parameters of the whole are found scheme by scheme, each on all threads if it is alone.
    const bool is_small = x.size() < (std::size_t{1} << 18);
    parallel_for(
        which.size(), 1,
        [&](std::size_t begin, std::size_t end) {
          for (const std::size_t i : which.subspan(begin, end - begin))
            begin_attempt(weight, x, i, attempts[i], result.trials[i]);
        },
        is_small ? 0 : std::numeric_limits<double>::infinity());
    std::vector<std::pair<std::size_t, std::size_t>> work;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (!attempts[i].cut) continue;
      for (std::size_t piece = 0; piece < attempts[i].cut->pieces(); ++piece)
        work.emplace_back(i, piece);
    }
    // All schemes go over the tensor together: what is in a cache serves each of them.
    std::ranges::stable_sort(work, {}, [&](const auto& item) {
      const SchemeOnTensor& cut = *attempts[item.first].cut;
      return cut.first_row(item.second) * cut.tiles().cols;
    });
    struct Failure {
      std::size_t piece;
      std::string why;
    };
    std::vector<std::optional<Failure>> failures(schemes_.size());
    std::mutex mutex;
    parallel_for(work.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t j = begin; j < end; ++j) {
        const auto [i, piece] = work[j];
        try {
          make_piece(attempts[i], piece, schemes_[i], result.profile);
        } catch (const InputError& error) {
          const std::lock_guard lock(mutex);
          if (!failures[i] || piece < failures[i]->piece) failures[i] = {piece, error.what()};
        }
      }
    });
    for (const std::size_t i : which) {
      if (failures[i]) result.trials[i].problem = failures[i]->why;
      if (result.trials[i].problem.empty())
        finish(weight, attempts[i], schemes_[i], result.profile, result.trials[i]);
    }
  }

  void begin_attempt(const Weight& weight, std::span<const float> x, std::size_t i,
                     Attempt& attempt, SchemeTrial& trial) const {
    try {
      const Encoding encoding = encoding_of("safetensors", weight, schemes_[i], false);
      trial.bytes = encoding.bytes();
      attempt.cut.emplace(x, encoding.seen, schemes_[i], printable(weight.name));
      const std::size_t pieces = attempt.cut->pieces();
      const std::size_t looked_into =
          std::clamp<std::size_t>(kLedgerValues * pieces / x.size(), std::size_t{1}, pieces);
      attempt.every = (pieces + looked_into - 1) / looked_into;
      attempt.squares.resize(pieces);
      attempt.ledgers.resize(pieces);
    } catch (const InputError& error) {
      trial.problem = error.what();
      attempt.cut.reset();
    }
  }

  static void make_piece(Attempt& attempt, std::size_t piece, const Scheme& scheme,
                         const WeightProfile& profile) {
    const SchemeOnTensor& cut = *attempt.cut;
    const auto x = cut.values(piece);
    const QTensor q = cut.codes(piece);
    const Matrix<float> decoded = q.decoded();
    attempt.squares[piece] = squares_of({x.data, decoded.size()}, decoded.values());
    if (piece % attempt.every != 0 || decoded.size() > kWholeLedger) return;
    // Tiles that lie in the piece have their own ranges; one for all has the tensor's.
    const bool is_one = cut.is_shared() && cut.tiles().count() == 1;
    const bool is_cut = cut.is_shared() && !is_one && scheme.format.kind == FormatKind::integer;
    if (is_cut || (is_one && scheme.format.kind == FormatKind::integer && !has_range(scheme)))
      return;
    std::optional<Range> range;
    if (is_one) range = Range{static_cast<float>(profile.min), static_cast<float>(profile.max)};
    attempt.ledgers[piece] = tensor_ledger(x, q, range);
  }

  static void finish(const Weight& weight, const Attempt& attempt, const Scheme& scheme,
                     const WeightProfile& profile, SchemeTrial& trial) {
    Squares all;
    for (const auto& each : attempt.squares) all += each;
    for (std::size_t piece = 0; piece < attempt.ledgers.size(); ++piece) {
      const TensorLedger& ledger = attempt.ledgers[piece];
      if (ledger.energy == 0 && ledger.error == 0) continue;
      trial.ledger += ledger;
      trial.ledger_values += attempt.cut->rows_of(piece) * attempt.cut->tiles().cols;
    }
    const auto n = static_cast<double>(weight.count);
    trial.bits = 8 * static_cast<double>(trial.bytes) / n;
    trial.relative_error = all.relative_error();
    trial.sqnr_db = trial.relative_error > 0 ? -20 * std::log10(trial.relative_error) : kNone;
    const double mse = all.error / n;
    // Which numbers are 0 is known for nothing; the bits serve the others alone.
    const double share = static_cast<double>(weight.count - profile.zeros) / n;
    if (mse > 0 && std::isfinite(profile.entropy)) {
      const double bound = share * std::exp2(2 * profile.entropy - 2 * trial.bits / share) /
                           (2 * std::numbers::pi * std::numbers::e);
      trial.gap_db = 10 * std::log10(mse / bound);
      trial.gap_bits = trial.gap_db / (20 * std::log10(2.0)) * share;
    }
    if (mse > 0 && profile.sigma > 0) {
      trial.normal_gap_db =
          10 * std::log10(mse / (profile.sigma * profile.sigma * std::exp2(-2 * trial.bits)));
    }
    if (attempt.cut->tiles().count() == 1 && scheme.format.kind != FormatKind::block) {
      const TensorParams params =
          attempt.cut->is_shared() ? attempt.cut->shared() : attempt.cut->codes(0).parameters();
      trial.grid = grid_of(scheme, params);
    }
  }

  static void find_best(AnalyzedWeight& result) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < result.trials.size(); ++i) {
      if (result.trials[i].problem.empty()) order.push_back(i);
    }
    std::ranges::stable_sort(order, {}, [&](std::size_t i) {
      return std::pair(result.trials[i].bits, result.trials[i].relative_error);
    });
    double least = std::numeric_limits<double>::infinity();
    for (const std::size_t i : order) {
      if (result.trials[i].relative_error >= least) continue;
      least = result.trials[i].relative_error;
      result.best.push_back(i);
    }
  }

  const WeightFile& file_;
  FileAnalysis& analysis_;
  std::vector<Scheme> schemes_;
  std::optional<NamePattern> only_;
};

}  // namespace

std::vector<std::string> analyze_schemes() {
  return {"int8",
          "int8:sym:channel",
          "int6:sym:channel",
          "int4:sym:channel",
          "int4:group=128",
          "int4:sym:group=32",
          "int3:group=32",
          "int2:group=16",
          "e4m3:channel",
          "nf4:group=64",
          "mxfp8",
          "mxfp4",
          "nvfp4",
          "q8_0",
          "q5_1",
          "q4_1",
          "q4_0"};
}

FileAnalysis analyze(const WeightFile& file, const AnalyzeOptions& options,
                     const BytesProgress& progress) {
  const auto start = std::chrono::steady_clock::now();
  FileAnalysis analysis;
  analysis.path = file.file().path();
  analysis.container = file.file().container();
  analysis.only = options.only;
  analysis.file_bytes = file.file().file_bytes();
  Analyzer(file, options, analysis).run(progress);
  find_front(analysis);
  analysis.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.timing_seconds > 0) time_shapes(analysis, options.timing_seconds);
  return analysis;
}

}  // namespace zeropoint
