#include "zeropoint/weights/quantize_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "quantize/transformed.hpp"
#include "weights/encoding.hpp"
#include "weights/scheme_on_tensor.hpp"
#include "weights/squares.hpp"

namespace zeropoint {
namespace {

// Pieces that are made at once and then written; what they take is bounded by their number.
constexpr std::size_t kBatch = 64;

// What one piece leaves behind.
struct Made {
  std::vector<std::uint8_t> bytes;
  TensorParams params;
  Squares squares;
};

class FileQuantizer {
 public:
  FileQuantizer(const WeightFile& file, QuantizePlan& plan, const BytesProgress& progress)
      : file_(file), plan_(plan), progress_(progress) {}

  void write(const std::string& path) {
    const auto writer = container(plan_.options.container).create(path, outline());
    for (std::size_t i = 0; i < plan_.weights.size(); ++i) {
      PlannedWeight& planned = plan_.weights[i];
      if (planned.scheme) {
        write_codes(planned, encodings_[i], *writer);
      } else if (planned.kept_as != nullptr) {
        writer->write(as_type(file_.load(*planned.weight).values(), *planned.kept_as));
      } else {
        for (const StoredTensor* part : kept_[i]) {
          writer->write(file_.file().load(*part).bytes());
        }
      }
      done_ += planned.weight->bytes;
      if (progress_) progress_(done_, plan_.bytes_before);
    }
    writer->finish();
  }

 private:
  TensorFilePlan outline() {
    TensorFilePlan outline;
    outline.source = &file_.file();
    nlohmann::ordered_json schemes = nlohmann::ordered_json::object();
    const auto remember = [&](const Weight& weight, const Scheme& scheme) {
      schemes[weight.name] = {
          {"scheme", to_string(scheme)}, {"shape", weight.shape}, {"from", weight.type}};
    };
    std::set<const StoredTensor*> seen;
    for (const auto& planned : plan_.weights) {
      Encoding& encoding = encodings_.emplace_back();
      auto& kept = kept_.emplace_back();
      if (planned.kept_as != nullptr) {
        outline.tensors.push_back({planned.weight->name, planned.weight->shape, planned.kept_as});
        continue;
      }
      if (!planned.scheme) {
        for (const StoredTensor* part : file_.parts(*planned.weight)) {
          if (!seen.insert(part).second) continue;  // of several, written with the first
          kept.push_back(part);
          outline.tensors.push_back({part->name, part->shape, part->type});
        }
        if (planned.weight->scheme) remember(*planned.weight, *planned.weight->scheme);
        continue;
      }
      encoding = encoding_of(plan_.options.container, *planned.weight, *planned.scheme,
                             plan_.options.fake);
      outline.tensors.insert(outline.tensors.end(), encoding.tensors.begin(),
                             encoding.tensors.end());
      if (encoding.dequantization) outline.dequantizations.push_back(*encoding.dequantization);
      if (!encoding.is_values) remember(*planned.weight, *planned.scheme);
    }
    if (plan_.options.container == "safetensors") {
      // What a file says of itself goes on; other containers' entries would say nothing here.
      if (file_.file().container() == "safetensors") {
        for (const auto& entry : file_.file().metadata()) {
          if (entry.first != kSchemesKey) outline.metadata.push_back(entry);
        }
      }
      if (!schemes.empty()) {
        const nlohmann::ordered_json entry = {{"version", 1}, {"tensors", std::move(schemes)}};
        outline.metadata.emplace_back(kSchemesKey, entry.dump());
      }
    }
    return outline;
  }

  void write_codes(PlannedWeight& planned, const Encoding& encoding, TensorWriter& writer) {
    const Weight& weight = *planned.weight;
    const WeightValues values = file_.load(weight);
    const std::string what =
        fmt::format("{}: '{}'", printable(file_.file().path()), printable(weight.name));
    const SchemeOnTensor cut(values.values(), encoding.seen, *planned.scheme, what);
    TensorParams params = cut.shared();
    Squares squares;
    std::vector<Made> batch(std::min(kBatch, cut.pieces()));
    for (std::size_t first = 0; first < cut.pieces(); first += kBatch) {
      const std::size_t count = std::min(kBatch, cut.pieces() - first);
      parallel_for(count, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
          batch[i] = make(cut, first + i, encoding, *planned.scheme);
        }
      });
      for (std::size_t i = 0; i < count; ++i) {
        writer.write(batch[i].bytes);
        squares += batch[i].squares;
        if (cut.is_shared()) continue;
        if (params.tiles.empty()) {
          params = std::move(batch[i].params);
        } else {
          params.tiles.insert(params.tiles.end(), batch[i].params.tiles.begin(),
                              batch[i].params.tiles.end());
        }
      }
      if (progress_) {
        const double share = static_cast<double>(first + count) / static_cast<double>(cut.pieces());
        progress_(done_ + static_cast<std::uint64_t>(share * static_cast<double>(weight.bytes)),
                  plan_.bytes_before);
      }
    }
    if (encoding.rest != nullptr) {
      for (const auto& bytes : encoding.rest(encoding, params)) writer.write(bytes);
    }
    planned.relative_error = squares.relative_error();
  }

  static Made make(const SchemeOnTensor& cut, std::size_t piece, const Encoding& encoding,
                   const Scheme& scheme) {
    Made made;
    const QTensor codes = cut.codes(piece);
    Matrix<float> decoded = codes.decoded();
    made.squares = squares_of({cut.values(piece).data, decoded.size()}, decoded.values());
    if (!encoding.is_values) {
      made.bytes.assign(codes.bytes().begin(), codes.bytes().end());
      made.params = codes.parameters();
      return made;
    }
    if (!scheme.transforms.empty()) {
      const std::size_t line = encoding.seen.empty() ? 1 : encoding.seen.back();
      transform_back(
          {decoded.data(), decoded.size() / line, line, static_cast<std::ptrdiff_t>(line), 1},
          scheme, {}, Along::rows);
    }
    made.bytes = as_type(std::as_const(decoded).values(), *encoding.tensors[0].type);
    return made;
  }

  const WeightFile& file_;
  QuantizePlan& plan_;
  const BytesProgress& progress_;
  std::vector<Encoding> encodings_;
  std::vector<std::vector<const StoredTensor*>> kept_;  // of each weight, what is copied
  std::uint64_t done_ = 0;
};

// Not even a shard, or what was read under the name that a file has while it is written: emptying
// that would take the numbers away while they are read.
void refuse_what_is_read(const TensorFile& file, const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const std::string target = fs::weakly_canonical(path, error).string();
  for (const auto& read : file.files()) {
    for (const char* suffix : {"", ".partial", ".data", ".data.partial"}) {
      if (!fs::equivalent(target + suffix, read, error)) continue;
      throw InputError(fmt::format("{}: expected another file than those that are read, found {}{}",
                                   printable(path), printable(path), suffix));
    }
  }
}

}  // namespace

void write_quantized(const WeightFile& file, QuantizePlan& plan, const std::string& path,
                     const BytesProgress& progress) {
  if (const std::size_t problems = plan.problems(); problems != 0) {
    throw InputError(fmt::format(
        "{}: expected a scheme for each tensor that fits, found {} that {}",
        printable(file.file().path()), problems, problems == 1 ? "does not" : "do not"));
  }
  refuse_what_is_read(file.file(), path);
  FileQuantizer(file, plan, progress).write(path);
}

}  // namespace zeropoint
