#include "weights/timing.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "zeropoint/core/parallel.hpp"

#include "bench/contestants.hpp"
#include "bench/turns.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kRows[] = {1, 128};
constexpr double kShapeSeconds = 0.05;   // of turns; what is slow takes three of them
constexpr std::size_t kCheckedRows = 2;  // of a product that takes long
constexpr std::size_t kMostValues = std::size_t{1} << 26;  // of a matrix that is made for it

}  // namespace

void time_shapes(FileAnalysis& analysis, double seconds) {
  // On one thread: on a machine whose cores have other work, threads wait for each other.
  struct OneThread {
    int before = threads();
    OneThread() { set_threads(1); }
    ~OneThread() { set_threads(before); }
  } const one_thread;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> shapes;
  for (const auto& weight : analysis.weights) {
    if (weight.shape.size() < 2 || weight.count == 0 || !weight.kept.empty()) continue;
    ++shapes[{weight.shape[0], weight.count / weight.shape[0]}];
  }
  std::vector<ShapeTiming> order;
  for (const auto& [shape, tensors] : shapes) {
    if (shape.first * shape.second > kMostValues) {
      ++analysis.shapes_not_timed;
      continue;
    }
    order.push_back({shape.first, shape.second, tensors, {}});
  }
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [](const ShapeTiming& t) { return t.n * t.k * t.tensors; });
  const auto start = std::chrono::steady_clock::now();
  const auto spent = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (auto& timing : order) {
    if (spent() >= seconds) {
      ++analysis.shapes_not_timed;
      continue;
    }
    for (const std::size_t m : kRows) {
      // What `zeropoint bench` times: weights packed before, activations quantized on the way.
      BenchOperands operands({m, timing.k, timing.n}, kCheckedRows);
      operands.a_unsigned = {};  // others' alone
      operands.b_unsigned = {};
      const auto fp32 = make_onednn_fp32(operands, 1);
      const auto int8 = make_dynamic_packed(operands, 1);
      if (!fp32 || !int8) continue;
      for (const auto* entrant : {&*fp32, &*int8}) {
        entrant->call();
        entrant->check();  // throws: nothing that is wrong is timed
      }
      const auto samples =
          take_turns({{fp32->call, fp32->foreign_threads}, {int8->call}}, {kShapeSeconds, 3, 50});
      timing.seconds.push_back({m, spread(samples[0]).median, spread(samples[1]).median,
                                median_ratio(samples[1], samples[0])});
    }
    analysis.timings.push_back(std::move(timing));
  }
}

}  // namespace zeropoint
