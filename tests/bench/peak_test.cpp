// How fast the loops are decides nothing here: that they run, and that each kernel has some.
#include "bench/peak.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/gemm/kernels.hpp"

#include "bench/load.hpp"

namespace zeropoint {
namespace {

TEST(Peak, EachKernelHasLoops) {
  for (const auto& kernel : kernels()) {
    EXPECT_TRUE(kernel.name.ends_with(peak_loops(kernel.name).instruction_set)) << kernel.name;
  }
  EXPECT_THROW(peak_loops("s8s8s32_1x1c4_abacus"), WorkError);
}

TEST(Peak, LoopsOfThisProcessorRun) {
  alignas(64) std::vector<std::byte> data(4 * kReadStep, std::byte{1});
  for (const auto& kernel : kernels()) {
    if (!kernel.supported) continue;
    const PeakLoops& loops = peak_loops(kernel.name);
    loops.run_dot(1);
    loops.run_fma(1);
    loops.read(data.data(), 0);
    loops.read(data.data(), data.size());
    EXPECT_GT(loops.dot_ops, 0);
    EXPECT_GT(loops.fma_ops, 0);
  }
}

TEST(Peak, ReadingCoversWhatIsAskedForOnAnyNumberOfThreads) {
  const PeakLoops& loops = peak_loops(kernel_name());
  for (const std::size_t bytes : {std::size_t{1}, kReadStep, kReadStep + 1, std::size_t{3} << 20}) {
    for (const int threads : {1, 2, 3}) {
      const auto read = reading(loops, bytes, threads);
      read.runner.call();
      EXPECT_GE(read.bytes, static_cast<double>(bytes));
      EXPECT_LT(read.bytes, static_cast<double>(bytes + kReadStep));
      const auto copy = copying(bytes, threads);
      copy.runner.call();
      EXPECT_GT(copy.bytes, 0);
    }
  }
}

}  // namespace
}  // namespace zeropoint
