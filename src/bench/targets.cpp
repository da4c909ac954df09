#include <algorithm>

#include <fmt/format.h>

#include "zeropoint/bench/bench.hpp"

namespace zeropoint {
namespace {

using Figure = std::optional<double> (*)(const BenchRow&);

std::optional<double> of_peak(const BenchRow& r) { return r.of_peak; }
std::optional<double> of_read(const BenchRow& r) { return r.of_read; }
std::optional<double> to_onednn(const BenchRow& r) { return r.to_onednn_int8; }
std::optional<double> to_fp32(const BenchRow& r) { return r.to_fp32; }

bool is_square(const BenchShape& s, std::size_t from, std::size_t to) {
  return s.m == s.k && s.k == s.n && s.n >= from && s.n <= to;
}
bool is_int8(const BenchRow& r) { return !r.peer && !r.contestant.starts_with("dynamic"); }
// The targets speak of float32 and int8 outputs.
bool is_plain(const BenchRow& r) { return is_int8(r) && !r.packed && r.output != "int32"; }
bool is_packed(const BenchRow& r) { return is_int8(r) && r.packed; }

struct Target {
  const char* text;
  bool (*applies)(const BenchRow&);
  Figure figure;
  double least;
  bool share;
};

constexpr Target kTargets[] = {
    {"n from 1000 to 3000, B packed inside: of the dot product's peak",
     [](const BenchRow& r) { return is_plain(r) && is_square(r.shape, 1000, 3000); }, of_peak, 0.90,
     true},
    {"n = 512, B packed inside: of the peak",
     [](const BenchRow& r) { return is_plain(r) && is_square(r.shape, 512, 512); }, of_peak, 0.85,
     true},
    {"n from 1000 to 3000, B packed before: of the peak",
     [](const BenchRow& r) { return is_packed(r) && is_square(r.shape, 1000, 3000); }, of_peak,
     0.95, true},
    {"n = 512, B packed before: of the peak",
     [](const BenchRow& r) { return is_packed(r) && is_square(r.shape, 512, 512); }, of_peak, 0.90,
     true},
    {"n from 64 to 256: of the peak",
     [](const BenchRow& r) { return is_plain(r) && is_square(r.shape, 64, 256); }, of_peak, 0.75,
     true},
    {"n from 64 to 256: times as fast as oneDNN's int8",
     [](const BenchRow& r) { return is_plain(r) && is_square(r.shape, 64, 256); }, to_onednn, 1.5,
     false},
    {"n = 10: times as fast as oneDNN's int8",
     [](const BenchRow& r) { return is_plain(r) && is_square(r.shape, 10, 10); }, to_onednn, 4,
     false},
    {"every shape: not slower than oneDNN's int8", is_plain, to_onednn, 1, false},
    {"every shape: not slower than oneDNN's int8, B packed before in both", is_packed, to_onednn, 1,
     false},
    {"float32 in and out, n from 1000 on: times as fast as oneDNN's float32",
     [](const BenchRow& r) {
       return r.contestant == "dynamic" && is_square(r.shape, 1000, 1'000'000);
     },
     to_fp32, 3.2, false},
    {"1x4096x4096, B packed before: of reading as many bytes",
     [](const BenchRow& r) {
       return is_packed(r) && r.shape == BenchShape{1, 4096, 4096} && r.output == "float32";
     },
     of_read, 0.85, true},
};

struct ElementwiseTarget {
  const char* name;
  double least;
  bool share;
};
constexpr ElementwiseTarget kElementwise[] = {{"quantize to int8", 0.80, true},
                                              {"dequantize int8", 0.80, true},
                                              {"coverage range", 10, false},
                                              {"fit lloyd4", 1, false},
                                              {"rotate rows of 1024 (Hadamard)", 0.80, true}};

std::string on(int threads) { return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"); }

}  // namespace

std::vector<TargetVerdict> judge_targets(const BenchResult& result) {
  std::vector<TargetVerdict> verdicts;
  for (const Target& target : kTargets) {
    for (const BenchRow& row : result.products) {
      if (!target.applies(row)) continue;
      const auto found = target.figure(row);
      if (!found) continue;
      verdicts.push_back(
          {target.text,
           fmt::format("{}, to {}, {}", to_string(row.shape), row.output, on(row.threads)),
           target.least, *found, target.share, *found >= target.least});
    }
  }
  for (const ElementwiseTarget& target : kElementwise) {
    for (const BenchElementwise& row : result.elementwise) {
      // Of fewer numbers, some stay in the caches.
      if (row.name != target.name || row.count < 10'000'000) continue;
      verdicts.push_back({fmt::format("{}: of the speed of {}", row.name, row.against),
                          fmt::format("{} numbers, {}", row.count, on(row.threads)), target.least,
                          row.ratio, target.share, row.ratio >= target.least});
    }
  }
  for (const BenchFormat& row : result.formats) {
    if (!row.target) continue;
    const auto judge = [&](const char* what, double share) {
      verdicts.push_back({fmt::format("{} {}: of the speed of a copy", what, row.scheme),
                          fmt::format("{} numbers, {}", row.count, on(row.threads)), *row.target,
                          share, true, share >= *row.target});
    };
    judge("quantize to", row.quantize_share);
    judge("dequantize", row.dequantize_share);
  }
  return verdicts;
}

std::vector<std::string> not_faster_than_fp32(const BenchResult& result) {
  std::vector<std::string> shapes;
  for (const BenchRow& row : result.products) {
    if (row.contestant != "int8_float32" || !row.to_fp32 || *row.to_fp32 > 1) continue;
    shapes.push_back(fmt::format("{} on {}", to_string(row.shape), on(row.threads)));
  }
  return shapes;
}

}  // namespace zeropoint
