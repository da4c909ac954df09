// The quantized product against three plain loops: exact equality on every kernel of this machine,
// for every pair of types, kind of output and layout.
#include "zeropoint/gemm/qgemm.hpp"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/kernels.hpp"
#include "support/products.hpp"
#include "support/targets.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using namespace testing;  // zeropoint's

constexpr auto kMin32 = std::numeric_limits<std::int32_t>::min();
constexpr auto kMax32 = std::numeric_limits<std::int32_t>::max();

// One dimension takes each size to twice a tile and one, the others are odd and beyond a tile.
TEST(Qgemm, EqualsThreeLoopsAtEveryNumberOfRows) {
  on_every_kernel([](const Kernel& kernel) {
    const std::size_t columns = kernel.lanes * kernel.vectors;
    on_every_pair([&](CodeType a, CodeType b) {
      for (std::size_t m = 1; m <= 2 * kernel.rows + 1; ++m) {
        ASSERT_NO_FATAL_FAILURE(expect_exact(m, {m, 2 * kernel.group() + 3, columns + 1}, a, b));
      }
    });
  });
}

TEST(Qgemm, EqualsThreeLoopsAtEveryNumberOfColumns) {
  on_every_kernel([](const Kernel& kernel) {
    const std::size_t widest = kernel.lanes * std::max(kernel.vectors, kernel.last_vectors);
    on_every_pair([&](CodeType a, CodeType b) {
      for (std::size_t n = 1; n <= 2 * widest + 1; ++n) {
        ASSERT_NO_FATAL_FAILURE(
            expect_exact(n, {kernel.rows / 2 * 2 + 1, 2 * kernel.group() + 1, n}, a, b));
      }
    });
  });
}

// Packing takes up to 64 elements of k at a time.
TEST(Qgemm, EqualsThreeLoopsAtEveryDepth) {
  on_every_kernel([](const Kernel& kernel) {
    const std::size_t columns = kernel.lanes * kernel.vectors;
    on_every_pair([&](CodeType a, CodeType b) {
      for (std::size_t k = 1; k <= 64 + 2 * kernel.group() + 1; ++k) {
        ASSERT_NO_FATAL_FAILURE(expect_exact(k, {kernel.rows / 2 * 2 + 1, k, columns + 1}, a, b));
      }
    });
  });
}

TEST(Qgemm, EqualsThreeLoopsOnAllSmallShapes) {
  on_every_kernel([](const Kernel&) {
    on_every_pair([&](CodeType a, CodeType b) {
      for (std::size_t shape = 0; shape < 125; ++shape) {
        ASSERT_NO_FATAL_FAILURE(expect_exact(shape, {shape / 25, shape / 5 % 5, shape % 5}, a, b));
      }
    });
  });
}

TEST(Qgemm, EqualsThreeLoopsBeyondATileInEveryDimension) {
  on_every_kernel([](const Kernel&) {
    on_every_pair([&](CodeType a, CodeType b) {
      std::uint64_t seed = 0;
      for (const Shape& shape : {Shape{53, 259, 101},
                                 {3, 769, 5},
                                 {145, 9, 13},
                                 {9, 130, 400},
                                 {100, 64, 48},
                                 {16, 256, 96}}) {
        ASSERT_NO_FATAL_FAILURE(expect_exact(++seed, shape, a, b));
      }
    });
  });
}

TEST(Qgemm, EqualsThreeLoopsWhereAllCodesAreAtAnEnd) {
  on_every_kernel([](const Kernel&) {
    on_every_pair([&](CodeType a, CodeType b) {
      std::uint64_t seed = 0;
      for (const Values values_a : kConstants) {
        for (const Values values_b : kConstants) {
          for (const Shape& shape : {Shape{11, 67, 35}, {8, 64, 32}}) {
            ASSERT_NO_FATAL_FAILURE(expect_exact(++seed, shape, a, b, values_a, values_b));
          }
        }
      }
    });
  });
}

// All layouts of both operands with all kinds of zero points.
TEST(Qgemm, TakesEveryLayoutWithZeroPointsOfEveryKind) {
  on_every_kernel([](const Kernel&) {
    on_every_pair([&](CodeType a, CodeType b) {
      std::mt19937_64 random(31);
      for (const Layout layout_a : kLayouts) {
        for (const Layout layout_b : kLayouts) {
          for (const bool each_a : {false, true}) {
            for (const bool each_b : {false, true}) {
              const auto zero_points = [&](bool each, std::size_t count) {
                ZeroPointsOf z;
                const auto one = [&] {
                  return static_cast<std::int32_t>(integer_between(random, -70'000, 70'000));
                };
                if (!each) z.all = one();
                for (std::size_t i = 0; each && i < count; ++i) z.each.push_back(one());
                return z;
              };
              const TestProduct product(
                  AnyCodes(a, 10, 23, layout_a, Values::any, random), zero_points(each_a, 10),
                  AnyCodes(b, 23, 18, layout_b, Values::any, random), zero_points(each_b, 18));
              SCOPED_TRACE(fmt::format("{}, {}; layouts {}, {}; zero points of each {}, {}",
                                       name_of(a), name_of(b), static_cast<int>(layout_a),
                                       static_cast<int>(layout_b), each_a, each_b));
              ASSERT_NO_FATAL_FAILURE(expect_every_output(product, random));
            }
          }
        }
      }
    });
  });
}

TEST(Qgemm, TakesAnyZeroPointsWhoseSumsFit64Bits) {
  on_every_kernel([](const Kernel&) {
    on_every_pair([&](CodeType type_a, CodeType type_b) {
      std::mt19937_64 random(32);
      const auto check = [&](std::size_t k, const ZeroPointsOf& z_a, const ZeroPointsOf& z_b) {
        SCOPED_TRACE(fmt::format("{}, {}, k = {}, zero points {} and {}", name_of(type_a),
                                 name_of(type_b), k, z_a[1], z_b[2]));
        expect_every_output(
            TestProduct(AnyCodes(type_a, 5, k, Layout::row_major, Values::any, random), z_a,
                        AnyCodes(type_b, k, 7, Layout::row_major, Values::any, random), z_b),
            random);
      };
      for (const auto z : {kMin32, kMax32, -65'536, 65'536}) {
        const ZeroPointsOf rows{0, {1, z, -5, 0, z}};
        const ZeroPointsOf columns{0, {z, 3, z, 0, -9, 200, z}};
        for (const auto other : {0, -77, 255}) {
          ASSERT_NO_FATAL_FAILURE(check(9, {z}, {other}));
          ASSERT_NO_FATAL_FAILURE(check(9, {other}, {z}));
          ASSERT_NO_FATAL_FAILURE(check(9, rows, {other}));
          ASSERT_NO_FATAL_FAILURE(check(9, {other}, columns));
        }
        for (const auto also : {kMin32, kMax32}) {
          ASSERT_NO_FATAL_FAILURE(check(1, {z}, {also}));
          ASSERT_NO_FATAL_FAILURE(check(1, rows, {also}));
          ASSERT_NO_FATAL_FAILURE(check(1, {also}, columns));
        }
      }
    });
  });
}

// Around the depths where sums of 8-bit codes may leave 32 bits, and where 32-bit sums are cut.
TEST(Qgemm, IsExactAtDepthsAroundTheLimitsOf32Bits) {
  on_every_kernel([](const Kernel&) {
    on_every_pair([&](CodeType a, CodeType b) {
      std::vector<std::size_t> depths = {32'767, 32'769, 65'537};
      if (has_8_bits(a) && has_8_bits(b)) {
        depths = {32'767, 32'768, 32'769, 32'770,  33'025,  33'026,
                  65'537, 65'793, 65'794, 131'071, 131'072, 163'843};
      }
      for (const std::size_t k : depths) {
        ASSERT_NO_FATAL_FAILURE(expect_exact(k, {3, k, 2}, a, b));
      }
    });
  });
}

// One code, seen as a matrix by strides of 0: no memory, however large k.
TEST(Qgemm, HoldsTheLargestSums) {
  on_every_kernel([](const Kernel&) {
    on_every_pair([&](CodeType type_a, CodeType type_b) {
      with_code_of(type_a, [&]<class A>(A) {
        with_code_of(type_b, [&]<class B>(B) {
          const bool of_bytes = sizeof(A) + sizeof(B) == 2;
          for (const std::size_t k : {32'768, 33'025, 33'026, 65'793, 65'794, 131'071, 131'072}) {
            if (!of_bytes && k > 33'025) break;
            for (const A code_a : {std::numeric_limits<A>::min(), std::numeric_limits<A>::max()}) {
              for (const B code_b :
                   {std::numeric_limits<B>::min(), std::numeric_limits<B>::max()}) {
                for (const std::int32_t z : {0, 127}) {
                  const MatrixView<const A> a{&code_a, 3, k, 0, 0};
                  const MatrixView<const B> b{&code_b, k, 2, 0, 0};
                  const std::int64_t sum = static_cast<std::int64_t>(k) *
                                           (std::int64_t{code_a} - z) * (std::int64_t{code_b} + z);
                  Matrix<std::int64_t> found(3, 2);
                  qgemm({a, z}, {b, -z}, found.view());
                  for (const auto s : found.values()) ASSERT_EQ(s, sum) << k;
                  Matrix<std::int32_t> narrow(3, 2);
                  const bool fits = sum == static_cast<std::int32_t>(sum);
                  const auto said = refusal([&] { qgemm({a, z}, {b, -z}, narrow.view()); });
                  ASSERT_EQ(said == "no refusal", fits) << said;
                  for (const auto s : narrow.values()) ASSERT_TRUE(!fits || s == sum) << k;
                }
              }
            }
          }
        });
      });
    });
  });
}

// A last part of k with one element is read by another way than more of them.
TEST(Qgemm, TakesEveryLayoutOfAWhereOneElementIsLeftOver) {
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(33);
    for (const CodeType type : kCodeTypes) {
      for (const Layout layout : kLayouts) {
        for (const std::size_t k : {1, 32'769, 32'771}) {
          SCOPED_TRACE(
              fmt::format("{}, layout {}, k = {}", name_of(type), static_cast<int>(layout), k));
          // A zero point so far off that sums need 64 bits.
          const TestProduct product(
              AnyCodes(type, 9, k, layout, Values::any, random), {70'000},
              AnyCodes(CodeType::int8, k, 2, Layout::row_major, Values::any, random), {3});
          ASSERT_NO_FATAL_FAILURE(expect_every_output(product, random));
        }
      }
    }
  });
}

// With few rows in A, a B that is wide and deep is read in segments of 512 rows, by 1024 columns.
TEST(Qgemm, EqualsThreeLoopsWhereFewRowsMeetAWideAndDeepB) {
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(37);
    for (const Shape& shape :
         {Shape{1, 1537, 1025}, {3, 1025, 512}, {10, 1100, 513}, {2, 1100, 2050}}) {
      for (const CodeType a : k8BitTypes) {
        for (const CodeType b : k8BitTypes) {
          for (const Layout layout : {Layout::row_major, Layout::gapped}) {
            SCOPED_TRACE(fmt::format("{} {}x{} by {} with {} columns, layout {}", name_of(a),
                                     shape.m, shape.k, name_of(b), shape.n,
                                     static_cast<int>(layout)));
            const TestProduct product(
                AnyCodes(a, shape.m, shape.k, kLayouts[random() % 5], Values::any, random),
                small_zero_points(random, shape.m),
                AnyCodes(b, shape.k, shape.n, layout, Values::any, random),
                small_zero_points(random, shape.n));
            const WithThreads with(static_cast<int>(1 + random() % 4));
            ASSERT_NO_FATAL_FAILURE(expect_every_output(product, random));
          }
        }
      }
    }
  });
}

// A single row by rows of B that are contiguous goes its own way, 64 columns at a time.
TEST(Qgemm, EqualsThreeLoopsWhereASingleRowMeetsContiguousRowsOfB) {
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(38);
    const auto check = [&](const Shape& shape, CodeType a, CodeType b) {
      SCOPED_TRACE(
          fmt::format("{} 1x{} by {} with {} columns", name_of(a), shape.k, name_of(b), shape.n));
      const Layout layout = random() % 2 == 0 ? Layout::row_major : Layout::gapped;
      const TestProduct product(
          AnyCodes(a, 1, shape.k, kLayouts[random() % 5], Values::any, random),
          small_zero_points(random, 1), AnyCodes(b, shape.k, shape.n, layout, Values::any, random),
          small_zero_points(random, shape.n));
      expect_every_output(product, random);
    };
    for (const CodeType a : k8BitTypes) {
      for (const CodeType b : k8BitTypes) {
        for (std::size_t n = 1; n <= 2 * 64 + 1; ++n) {
          for (std::size_t k = 1; k <= 9; ++k) {
            ASSERT_NO_FATAL_FAILURE(check({1, k, n}, a, b));
          }
        }
      }
    }
    const WithThreads with(3);
    check({1, 4101, 4163}, CodeType::uint8, CodeType::int8);
  });
}

// 64-bit sums are made for about a million elements at a time.
TEST(Qgemm, IsExactWhereWideSumsComeInBlocks) {
  on_every_kernel([](const Kernel&) {
    expect_exact(1, {1100, 3, 1001}, CodeType::int16, CodeType::uint8);
  });
}

template <class Y>
void expect_codes_by_all_rules() {
  std::mt19937_64 random(34);
  for (const CodeType type_a : {CodeType::int8, CodeType::int16}) {
    const TestProduct p(random, {9, 37, 50}, type_a, CodeType::uint8);
    const PackedMatrix packed(p.b());
    constexpr std::int32_t kLeast = std::numeric_limits<Y>::min();
    constexpr std::int32_t kMost = std::numeric_limits<Y>::max();
    const double whole = (kMost - kLeast) / static_cast<double>(p.largest_sum());
    std::vector<double> each;
    for (std::size_t j = 0; j < p.cols(); ++j) each.push_back(whole * between(random, 0.1, 2));
    for (const ScaleIn scale_in : kScaleIns) {
      for (const Rounding rounding : kRoundings) {
        for (const bool before : {false, true}) {
          for (const bool of_each : {false, true}) {
            for (const bool relu : {false, true}) {
              Requantization how;
              how.multiplier = of_each ? 1 : std::exp2(std::floor(std::log2(whole)));
              if (of_each) how.multipliers = each;
              how.zero_point = (kMost + kLeast) / 2 + 3;
              how.lo = relu ? how.zero_point : kLeast;
              how.hi = kMost;
              how.rounding = rounding;
              how.zero_point_before_rounding = before;
              how.scale_in = scale_in;
              SCOPED_TRACE(fmt::format("scale in {}, rounding {}, before {}, of each {}, ReLU {}",
                                       static_cast<int>(scale_in), static_cast<int>(rounding),
                                       before, of_each, relu));
              for (const Layout layout : {Layout::gapped, Layout::column_major}) {
                ASSERT_NO_FATAL_FAILURE(expect_codes<Y>(p, p.b(), layout, how));
                ASSERT_NO_FATAL_FAILURE(expect_codes<Y>(p, packed, layout, how));
              }
            }
          }
        }
      }
    }
  }
}

// On every instruction set that the rounding is compiled for, too.
TEST(Qgemm, RequantizesByAllRulesAsOneByOne) {
  on_every_kernel([](const Kernel&) {
    on_every_target([] {
      ASSERT_NO_FATAL_FAILURE(expect_codes_by_all_rules<std::int8_t>());
      ASSERT_NO_FATAL_FAILURE(expect_codes_by_all_rules<std::uint8_t>());
      ASSERT_NO_FATAL_FAILURE(expect_codes_by_all_rules<std::int16_t>());
      ASSERT_NO_FATAL_FAILURE(expect_codes_by_all_rules<std::uint16_t>());
    });
  });
}

TEST(Qgemm, IsExactOnEveryInstructionSetThatFinishes) {
  on_every_kernel([](const Kernel& kernel) {
    on_every_target([&] {
      on_every_pair([&](CodeType a, CodeType b) {
        for (std::size_t n = 1; n <= 2 * kernel.lanes + 1; ++n) {
          ASSERT_NO_FATAL_FAILURE(expect_exact(n, {5, 11, n}, a, b));
        }
      });
    });
  });
}

// The output's zero point may be anywhere, too: most codes then are at an end of the grid.
TEST(Qgemm, RequantizesWithZeroPointsFarOffTheGrid) {
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(35);
    const TestProduct p(
        AnyCodes(CodeType::int8, 9, 37, Layout::row_major, Values::any, random), {3},
        AnyCodes(CodeType::int8, 37, 50, Layout::row_major, Values::any, random), {-4});
    for (const ScaleIn scale_in : kScaleIns) {
      for (const auto z :
           {kMin32, kMin32 + 1, -(1 << 24), -(1 << 20) - 1, -(1 << 20), 1 << 20, (1 << 20) + 1,
            1 << 24, kMax32, -32'768, -32'001, -32'000, 32'000, 32'001, 32'767}) {
        for (const double multiplier : {1.0, 1000.0, 1e-3}) {
          SCOPED_TRACE(fmt::format("zero point {}, multiplier {}, scale in {}", z, multiplier,
                                   static_cast<int>(scale_in)));
          Requantization how;
          how.multiplier = multiplier;
          how.zero_point = z;
          how.scale_in = scale_in;
          ASSERT_NO_FATAL_FAILURE(expect_codes<std::int8_t>(p, p.b(), Layout::row_major, how));
          how.lo = 0;
          how.hi = 255;
          ASSERT_NO_FATAL_FAILURE(expect_codes<std::uint8_t>(p, p.b(), Layout::row_major, how));
        }
      }
    }
  });
}

// Kernels that make codes themselves put rows and vectors together: every number of both, ends of
// the grid anywhere, and multipliers that take sums beyond 16 and 32 bits.
TEST(Qgemm, RequantizesEveryNumberOfRowsAndColumns) {
  on_every_kernel([](const Kernel& kernel) {
    std::mt19937_64 random(39);
    const std::size_t widest = kernel.lanes * std::max(kernel.vectors, kernel.last_vectors);
    for (std::size_t m = 1; m <= kernel.rows; ++m) {
      for (std::size_t n = 1; n <= widest + 1; ++n) {
        const TestProduct p(
            AnyCodes(CodeType::int8, m, 7, Layout::row_major, Values::any, random), {3},
            AnyCodes(CodeType::int8, 7, n, Layout::row_major, Values::any, random), {-4});
        Requantization how;
        how.scale_in = ScaleIn::float32;
        how.multiplier = (random() % 2 == 0 ? 1 : -1) * std::exp2(between(random, -12, 24));
        if (random() % 2 == 0) how.multiplier = std::exp2(between(random, -12, -6));
        SCOPED_TRACE(fmt::format("{}x{}, multiplier {}", m, n, how.multiplier));
        how.zero_point = static_cast<std::int32_t>(random() % 100) - 50;
        how.lo = -128 + static_cast<std::int32_t>(random() % 100);
        how.hi = 127 - static_cast<std::int32_t>(random() % 100);
        ASSERT_NO_FATAL_FAILURE(expect_codes<std::int8_t>(p, p.b(), Layout::gapped, how));
        how.zero_point += 128;
        how.lo += 128;
        how.hi += 128;
        ASSERT_NO_FATAL_FAILURE(expect_codes<std::uint8_t>(p, p.b(), Layout::gapped, how));
      }
    }
  });
}

// Enough work to be shared out: of few columns and many rows, the other way round, and deep.
TEST(Qgemm, IsTheSameOnAnyNumberOfThreadsAndForSeveralCallers) {
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(36);
    for (const Shape& shape :
         {Shape{401, 101, 103}, {21, 1001, 301}, {5, 33'000, 40}, {4, 1601, 1100}}) {
      for (const CodeType type_a : {CodeType::int8, CodeType::uint8, CodeType::uint16}) {
        const TestProduct p(random, shape, type_a, CodeType::int8);
        for (const int count : {1, 2, 3, 7}) {
          SCOPED_TRACE(fmt::format("{} threads, {}x{}x{}", count, shape.m, shape.k, shape.n));
          const WithThreads with(count);
          ASSERT_NO_FATAL_FAILURE(expect_every_output(p, random));
        }
        const PackedMatrix packed(p.b());
        std::atomic<int> right{0};
        std::vector<std::thread> callers;
        for (int caller = 0; caller < 4; ++caller) {
          callers.emplace_back([&, caller] {
            Matrix<std::int64_t> found(shape.m, shape.n);
            if (caller % 2 == 0) qgemm(p.a(), packed, found.view());
            if (caller % 2 != 0) qgemm(p.a(), p.b(), found.view());
            if (std::ranges::equal(found.values(), p.sums().values())) ++right;
          });
        }
        for (auto& caller : callers) caller.join();
        ASSERT_EQ(right, 4);
      }
    }
  });
}

}  // namespace
}  // namespace zeropoint
