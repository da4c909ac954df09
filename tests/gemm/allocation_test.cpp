// A product that is called again takes no memory and starts no thread.
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>

#include <gtest/gtest.h>

#include "support/kernels.hpp"
#include "support/products.hpp"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  const std::size_t rounded = (bytes / alignment + 1) * alignment;
  void* const data = std::aligned_alloc(alignment, rounded);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

}  // namespace

// In place of the standard library's: its arrays' versions call these.
void* operator new(std::size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* data) noexcept { std::free(data); }
void operator delete(void* data, std::size_t) noexcept { std::free(data); }
void operator delete(void* data, std::align_val_t) noexcept { std::free(data); }
void operator delete(void* data, std::size_t, std::align_val_t) noexcept { std::free(data); }

namespace zeropoint {
namespace {

using namespace testing;  // zeropoint's

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(QgemmAllocation, CountsWhatIsAllocated) {
  const std::size_t before = allocations;
  const std::vector<int> values(1000, 1);
  EXPECT_EQ(allocations, before + 1);
  EXPECT_EQ(values.size(), 1000U);
}

TEST(QgemmAllocation, ASmallProductCalledAgainTakesNoMemoryAndNoThread) {
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(61);
    for (const std::size_t m : {10, 1}) {
      for (const CodeType type_a : k8BitTypes) {
        for (const CodeType type_b : k8BitTypes) {
          const AnyCodes a(type_a, m, 10, Layout::row_major, Values::any, random);
          const AnyCodes b(type_b, 10, 10, Layout::row_major, Values::any, random);
          const std::vector<std::int32_t> of_each(10, 7);
          const std::vector<std::int32_t> of_rows(m, 5);
          const std::vector<float> scales(10, 0.1F);
          const std::vector<float> row_scales(m, 0.2F);
          const std::vector<double> multipliers(10, 0.001);
          Requantization how;
          how.multipliers = multipliers;
          Matrix<std::int32_t> sums(m, 10);
          Matrix<float> reals(m, 10);
          Matrix<std::int8_t> codes(m, 10);
          for (const bool each : {false, true}) {
            const ZeroPoints zero = each ? ZeroPoints(of_each) : ZeroPoints(3);
            const ZeroPoints zero_a = each ? ZeroPoints(of_rows) : ZeroPoints(3);
            const PackedMatrix packed(Operand(b.view(), zero));
            const auto products = [&] {
              for (const RightOperand& right :
                   {RightOperand(packed), RightOperand(Operand(b.view(), zero))}) {
                qgemm({a.view(), zero_a}, right, sums.view());
                qgemm({a.view(), zero_a}, right, {Scales(row_scales), Scales(scales), scales},
                      reals.view());
                for (const ScaleIn scale_in : kScaleIns) {
                  how.scale_in = scale_in;
                  qgemm({a.view(), zero_a}, right, how, codes.view());
                }
              }
            };
            const std::size_t threads_before = threads_of_this_process();
            products();
            const std::size_t before = allocations;
            products();
            ASSERT_EQ(allocations, before)
                << m << " rows, " << name_of(type_a) << ", " << name_of(type_b);
            ASSERT_EQ(threads_of_this_process(), threads_before);
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace zeropoint
