#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/gemm/accumulator.hpp"
#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/study/study.hpp"
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {
namespace {

// The largest size that the report studied: up to it, its own matrices; above, the counter's.
constexpr std::size_t kReportSize = 3000;

// Rows are kept in memory, some hundreds of bytes each.
constexpr double kMostRows = 1e6;

template <class T>
void check_list(const std::vector<T>& list, std::string_view what) {
  if (list.empty()) throw InputError(fmt::format("{}: expected at least one value", what));
  std::set<T> seen;
  for (const auto& value : list) {
    if (!seen.insert(value).second) {
      throw InputError(fmt::format("{}: expected each value once, found {} twice", what, value));
    }
  }
}

// A run is stored as JSON, which holds no other text.
void check_utf8(const std::string& text, std::string_view what) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
  } catch (const nlohmann::json::exception&) {
    throw InputError(fmt::format("{}: expected a file name in UTF-8, found '{}'", what, text));
  }
}

// Integers hold sums of integers only.
void check_accumulators(const StudySpec& spec) {
  for (const auto& accumulator : spec.accumulators) {
    if (!format_of(parse_accumulator(accumulator).kind).is_integer) continue;
    for (const auto& scheme : spec.schemes) {
      const auto pair = parse_scheme_pair(scheme);
      for (const auto& each : {pair.a, pair.b}) {
        if (each.format.kind == FormatKind::integer) continue;
        throw InputError(
            fmt::format("accumulators: expected schemes with integer formats beside {}, found {}",
                        accumulator, short_form(each)));
      }
    }
  }
}

std::string generator_for(const StudySpec& spec, std::string_view name, std::size_t size) {
  if (spec.generator != "auto") return spec.generator;
  return size <= kReportSize && distribution(name).has_report_stream() ? "report" : "counter";
}

}  // namespace

std::optional<double> tried_cover(const SchemePair& schemes) {
  const auto& scheme = schemes.a;
  const bool tries = scheme == schemes.b && scheme.format.kind == FormatKind::integer &&
                     scheme.range.kind == RangeKind::cover && scheme.transforms.empty() &&
                     scheme.granularity.kind == GranularityKind::tensor &&
                     scheme.convention.mapping == Mapping::symmetric;
  return tries ? std::optional(scheme.range.parameter) : std::nullopt;
}

std::optional<double> tried_cover(const StudyRow& row) {
  if (row.scheme.empty() || !row.accumulator.empty()) return std::nullopt;
  return tried_cover(parse_scheme_pair(row.scheme));
}

void resolve(StudySpec& spec) {
  if (spec.file_a.empty() != spec.file_b.empty()) {
    throw InputError("study: expected both --a and --b, found one of them");
  }
  check_utf8(spec.file_a, "--a");
  check_utf8(spec.file_b, "--b");
  if (!spec.from_files()) {
    for (auto& name : spec.distributions) {
      const auto& known = distribution(name);
      name = known.name();
      if (spec.generator == "report" && !known.has_report_stream()) {
        throw InputError(fmt::format(
            "generator: expected counter or auto, since the report's draws no {}; found report",
            name));
      }
    }
    check_list(spec.distributions, "distributions");
    check_list(spec.sizes, "sizes");
    for (const auto size : spec.sizes) {
      if (size == 0) throw InputError("sizes: expected positive sizes, found 0");
    }
  } else {
    spec.distributions.clear();
    spec.sizes.clear();
  }
  for (const double cover : spec.covers) check_cover(cover);  // first: a NaN is equal to nothing
  check_list(spec.covers, "cover");
  check_list(spec.bits, "bits");
  for (const int bits : spec.bits) check(IntegerGrid{bits});
  for (auto& convention : spec.conventions) {
    const auto parsed = parse_convention(convention);
    if (parsed.rounding == Rounding::stochastic) {
      throw InputError(fmt::format(
          "convention: expected a rounding without chance, since a study's rows differ by their "
          "seed alone; found {} (--schemes int{}:stochastic=SEED rounds at random)",
          convention, spec.bits.front()));
    }
    convention = to_string(parsed);
  }
  check_list(spec.conventions, "convention");
  for (auto& scheme : spec.schemes) {
    const auto pair = parse_scheme_pair(scheme);
    for (const auto& each : {pair.a, pair.b}) {
      if (each.is_static) {
        throw InputError(fmt::format(
            "schemes: expected dynamic ones, since a study has no calibration set; found {}",
            short_form(each)));
      }
    }
    scheme = to_string(pair);
  }
  if (!spec.schemes.empty()) check_list(spec.schemes, "schemes");
  for (auto& accumulator : spec.accumulators) {
    accumulator = to_string(parse_accumulator(accumulator));
  }
  if (!spec.accumulators.empty()) check_list(spec.accumulators, "accumulators");
  check_accumulators(spec);
  if (spec.repeat < 1) {
    throw InputError(fmt::format("repeat: expected at least 1, found {}", spec.repeat));
  }
  const double rows =
      std::max(1.0, static_cast<double>(spec.distributions.size() * spec.sizes.size())) *
      (spec.schemes.empty()
           ? static_cast<double>(spec.covers.size() * spec.bits.size() * spec.conventions.size())
           : static_cast<double>(spec.schemes.size())) *
      static_cast<double>(std::max<std::size_t>(1, spec.accumulators.size())) * spec.repeat;
  if (rows > kMostRows) {
    throw InputError(
        fmt::format("study: expected at most {:.0f} rows, found {:.0f}", kMostRows, rows));
  }
  if (spec.repeat > 1 && spec.from_files()) {
    throw InputError("repeat: expected 1 with --a and --b, whose values do not depend on a seed");
  }
  const std::vector<std::string_view> generators = {"auto", "report", "counter"};
  if (std::ranges::find(generators, spec.generator) == generators.end()) {
    throw InputError(fmt::format("generator: expected one of {}; found '{}'",
                                 join_words(generators), spec.generator));
  }
  constexpr std::uint64_t kSeeds = std::uint64_t{1} << 32;
  const bool draws_report =
      !spec.from_files() && std::ranges::any_of(spec.distributions, [&](const auto& name) {
        return std::ranges::any_of(spec.sizes, [&](std::size_t size) {
          return generator_for(spec, name, size) == "report";
        });
      });
  if (draws_report && (spec.seed >= kSeeds || spec.seed + spec.repeat > kSeeds)) {
    throw InputError(
        fmt::format("seed: expected seeds below 2^32 for the report's generator, found "
                    "{} (--generator counter takes any)",
                    spec.seed));
  }
}

std::vector<StudyCell> cells(const StudySpec& spec, Shape files) {
  std::vector<StudyCell> all;
  const auto add = [&](StudyCell& cell) {
    if (spec.accumulators.empty()) all.push_back(cell);
    for (const auto& accumulator : spec.accumulators) {
      cell.accumulator = accumulator;
      all.push_back(cell);
    }
  };
  const auto add_group = [&](StudyCell cell) {
    for (const auto& scheme : spec.schemes) {
      const auto pair = parse_scheme_pair(scheme);
      cell.scheme = scheme;
      cell.ledger = true;
      cell.convention = pair.a.convention.preset;
      cell.bits = pair.a.format.bits;
      cell.cover = tried_cover(pair).value_or(1);
      add(cell);
    }
    if (!spec.schemes.empty()) return;
    cell.ledger = spec.ledger;
    for (const auto& convention : spec.conventions) {
      for (const int bits : spec.bits) {
        for (const double cover : spec.covers) {
          cell.convention = convention;
          cell.bits = bits;
          cell.cover = cover;
          add(cell);
        }
      }
    }
  };
  if (spec.from_files()) {
    add_group({"file", files.m, files.k, files.n, spec.seed, "file", "", 0, 0});
    return all;
  }
  for (const auto& name : spec.distributions) {
    for (const auto size : spec.sizes) {
      for (int repeat = 0; repeat < spec.repeat; ++repeat) {
        add_group({name, size, size, size, spec.seed + static_cast<std::uint64_t>(repeat),
                   generator_for(spec, name, size), "", 0, 0});
      }
    }
  }
  return all;
}

double required_memory(const std::vector<StudyCell>& cells) {
  double most = 0;
  for (const auto& cell : cells) {
    const auto m = static_cast<double>(cell.m);
    const auto k = static_cast<double>(cell.k);
    const auto n = static_cast<double>(cell.n);
    // Differences of the operands and three products.
    const double ledger = cell.ledger ? 4 * (4 * (m * k + k * n) + 3 * m * n) : 0;
    const double code = cell.bits <= 8 ? 1 : 2;
    const double floats = 4 * (m * k + k * n + m * n);
    const double codes = code * (m * k + k * n + 2 * m * n);
    const double packed_b = 2 * code * k * (n + 48);
    const double row_blocks =
        std::min<double>(threads(), std::ceil(m / 48)) * 48 * (2 * code * k + 12 * n);
    // Counters of the quantiles: a set a thread and one for the sum, 16 MiB each, where threads
    // work.
    const double counters = m * k > 0x1p20 ? (threads() + 1) * 0x1p24 : 0x1p25;
    // An accumulator's sums in double, the real operands, and its own scratch memory.
    const double sums =
        cell.accumulator.empty() ? 0 : 8 * m * n + 4 * (m * k + k * n) + std::max(0x1p26, 512 * k);
    most =
        std::max(most, floats + ledger + std::max(codes + packed_b + row_blocks + sums, counters));
  }
  return most;
}

void check_memory(const std::vector<StudyCell>& cells) {
  const auto available = static_cast<double>(available_memory());
  for (const auto& cell : cells) {
    const double needed = required_memory({cell});
    if (needed <= available) continue;
    throw InputError(
        fmt::format("study: matrices of {}x{} and {}x{} need {:.1f} GiB of memory, found "
                    "{:.1f} GiB available",
                    cell.m, cell.k, cell.k, cell.n, needed * 0x1p-30, available * 0x1p-30));
  }
}

double cost(const StudyCell& cell) {
  const auto m = static_cast<double>(cell.m);
  const auto k = static_cast<double>(cell.k);
  const auto n = static_cast<double>(cell.n);
  // A product's multiply costs about a hundredth of an element's passes; a cell never costs
  // nothing.
  // An accumulator that rounds or saturates takes every product by itself.
  const double product = m * k * n / (cell.accumulator.empty() ? 100 : 4);
  double encoding = 0;
  if (!cell.scheme.empty()) {
    const auto pair = parse_scheme_pair(cell.scheme);
    const auto of = [](const Scheme& scheme) {  // microseconds a value, where they are slow
      return scheme.format.block != nullptr && scheme.format.block->is_slow ? 5e3 : 20;
    };
    encoding = of(pair.a) * m * k + of(pair.b) * k * n;
  }
  const double ledger = cell.ledger ? 3 * m * k * n / 30 + 10 * (m * k + k * n) : 0;
  return 3e6 + m * k + k * n + m * n + product + ledger + encoding;
}

std::string digest(const Matrix<float>& matrix) {
  // FNV-1a over the shape and the bits of every value.
  std::uint64_t hash = 0xCBF29CE484222325;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * 0x100000001B3; };
  mix(matrix.rows());
  mix(matrix.cols());
  for (const float x : matrix.values()) mix(std::bit_cast<std::uint32_t>(x));
  return fmt::format("{:016x}", hash);
}

}  // namespace zeropoint
