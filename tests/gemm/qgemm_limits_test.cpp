// What the products refuse, which kernels may be asked for, and packed matrices as values.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/gemm/qgemm.hpp"

#include "support/kernels.hpp"
#include "support/products.hpp"

namespace zeropoint {
namespace {

using namespace testing;  // zeropoint's
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kMin32 = std::numeric_limits<std::int32_t>::min();

// A of 2×3, B of 3×5 and its like, of any type.
struct Operands {
  std::mt19937_64 random{41};
  AnyCodes a, b, taller_b;

  Operands(CodeType type_a, CodeType type_b)
      : a(type_a, 2, 3, Layout::row_major, Values::any, random),
        b(type_b, 3, 5, Layout::row_major, Values::any, random),
        taller_b(type_b, 4, 5, Layout::row_major, Values::any, random) {}
};

TEST(QgemmRefusals, NameShapesThatDoNotMultiply) {
  on_every_pair([](CodeType type_a, CodeType type_b) {
    const Operands x(type_a, type_b);
    const auto said = [&](const RightOperand& b, std::size_t rows, std::size_t cols) {
      Matrix<std::int32_t> ints(rows, cols);
      Matrix<std::int64_t> longs(rows, cols);
      Matrix<float> reals(rows, cols);
      Matrix<std::int8_t> codes(rows, cols);
      Matrix<std::uint16_t> wide_codes(rows, cols);
      const Operand a = x.a.view();
      const std::string first = refusal([&] { qgemm(a, b, ints.view()); });
      EXPECT_EQ(refusal([&] { qgemm(a, b, longs.view()); }), first);
      EXPECT_EQ(refusal([&] { qgemm(a, b, Dequantization{}, reals.view()); }), first);
      EXPECT_EQ(refusal([&] { qgemm(a, b, Requantization{}, codes.view()); }), first);
      EXPECT_EQ(refusal([&] { qgemm(a, b, {.lo = 0}, wide_codes.view()); }), first);
      return first;
    };
    EXPECT_THAT(said(x.taller_b.view(), 2, 5), AllOf(HasSubstr("2x3"), HasSubstr("4x5")));
    EXPECT_THAT(said(x.b.view(), 2, 4), AllOf(HasSubstr("2x5"), HasSubstr("2x4")));
    EXPECT_THAT(said(x.b.view(), 3, 5), AllOf(HasSubstr("2x5"), HasSubstr("3x5")));
    if (!has_8_bits(type_b)) return;
    EXPECT_THAT(said(PackedMatrix(x.taller_b.view()), 2, 5),
                AllOf(HasSubstr("2x3"), HasSubstr("4x5")));
    EXPECT_THAT(said(PackedMatrix(x.b.view()), 5, 2), AllOf(HasSubstr("2x5"), HasSubstr("5x2")));
  });
}

TEST(QgemmRefusals, NameShapesWithoutElementsToo) {
  Matrix<std::int8_t> empty(0, 3);
  Matrix<std::int8_t> other(4, 0);
  Matrix<std::int32_t> out(0, 0);
  EXPECT_THAT(refusal([&] { qgemm(empty.view(), other.view(), out.view()); }),
              AllOf(HasSubstr("0x3"), HasSubstr("4x0")));
}

TEST(QgemmRefusals, CountZeroPointsScalesBiasesAndMultipliers) {
  const Operands x(CodeType::int8, CodeType::uint8);
  const std::vector<std::int32_t> four_points(4);
  const std::vector<float> four(4);
  const std::vector<double> four_multipliers(4);
  Matrix<float> reals(2, 5);
  Matrix<std::int8_t> codes(2, 5);
  const auto real = [&](const Operand& a, const RightOperand& b, const Dequantization& how) {
    return refusal([&] { qgemm(a, b, how, reals.view()); });
  };
  const Operand a = x.a.view();
  const Operand b = x.b.view();
  EXPECT_EQ(real(a, b, {}), "no refusal");
  EXPECT_THAT(real({x.a.view(), four_points}, b, {}),
              AllOf(HasSubstr("zero point of A"), HasSubstr("2 rows"), HasSubstr("found 4")));
  EXPECT_THAT(real(a, Operand(x.b.view(), four_points), {}),
              AllOf(HasSubstr("zero point of B"), HasSubstr("5 columns"), HasSubstr("found 4")));
  EXPECT_THAT(real(a, b, {.a = four, .b = {}}),
              AllOf(HasSubstr("scale of A"), HasSubstr("2 rows"), HasSubstr("found 4")));
  EXPECT_THAT(real(a, b, {.a = {}, .b = four}),
              AllOf(HasSubstr("scale of B"), HasSubstr("5 columns"), HasSubstr("found 4")));
  EXPECT_THAT(real(a, b, {.a = {}, .b = {}, .bias = four}),
              AllOf(HasSubstr("bias"), HasSubstr("5 columns"), HasSubstr("found 4")));
  EXPECT_THAT(refusal([&] {
                Requantization how;
                how.multipliers = four_multipliers;
                qgemm(a, b, how, codes.view());
              }),
              AllOf(HasSubstr("multiplier"), HasSubstr("5 columns"), HasSubstr("found 4")));
  EXPECT_THAT(refusal([&] {
                PackedMatrix({x.b.view(), four_points});
              }),
              AllOf(HasSubstr("zero point"), HasSubstr("5 columns"), HasSubstr("found 4")));
}

TEST(QgemmRefusals, NameOutputGridsThatTheTypeDoesNotHold) {
  const std::int8_t code = -100;
  const MatrixView<const std::int8_t> one{&code, 1, 1, 1, 1};
  const auto product = [&]<class Y>(Y, std::int32_t lo, std::int32_t hi) {
    Matrix<Y> out(1, 1);
    return refusal([&] { qgemm(one, one, {.lo = lo, .hi = hi}, out.view()); });
  };
  EXPECT_EQ(product(std::int8_t{}, -128, 127), "no refusal");
  EXPECT_EQ(product(std::uint8_t{}, 0, 255), "no refusal");
  EXPECT_EQ(product(std::int16_t{}, -32'768, 32'767), "no refusal");
  EXPECT_EQ(product(std::uint16_t{}, 0, 65'535), "no refusal");
  EXPECT_EQ(product(std::int8_t{}, 5, 5), "no refusal");
  EXPECT_THAT(product(std::uint8_t{}, -128, 127), HasSubstr("[0, 255]"));
  EXPECT_THAT(product(std::int8_t{}, 0, 255), HasSubstr("[-128, 127]"));
  EXPECT_THAT(product(std::int16_t{}, 0, 65'535), HasSubstr("[-32768, 32767]"));
  EXPECT_THAT(product(std::uint16_t{}, -1, 5), HasSubstr("[0, 65535]"));
  EXPECT_THAT(product(std::int8_t{}, 1, 0), HasSubstr("found [1, 0]"));
}

TEST(QgemmRefusals, NameMultipliersThatAreNotFinite) {
  const std::int8_t code = -100;
  const MatrixView<const std::int8_t> one{&code, 1, 1, 1, 1};
  Matrix<std::int8_t> out(1, 1);
  const auto said = [&](const Requantization& how) {
    return refusal([&] { qgemm(one, one, how, out.view()); });
  };
  const std::vector<double> nan = {std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THAT(said({.multiplier = std::numeric_limits<double>::infinity()}), HasSubstr("finite"));
  EXPECT_THAT(said({.multipliers = nan}), HasSubstr("finite"));
  // Finite, but not as the float32 that it is to be: 0 times it would be no number.
  EXPECT_EQ(said({.multiplier = 1e300}), "no refusal");
  EXPECT_THAT(said({.multiplier = 1e300, .scale_in = ScaleIn::float32}), HasSubstr("finite"));
}

// One code seen as a 1×k and a k×1 matrix by strides of 0: no memory, however large k.
template <class A, class B>
std::string int32_refusal(std::size_t k, A code_a, B code_b, std::int32_t z_a, std::int32_t z_b) {
  Matrix<std::int32_t> out(1, 1);
  const MatrixView<const A> a{&code_a, 1, k, 0, 0};
  const MatrixView<const B> b{&code_b, k, 1, 0, 0};
  const auto said = refusal([&] { qgemm({a, z_a}, {b, z_b}, out.view()); });
  if (said == "no refusal") {
    EXPECT_EQ(out(0, 0), static_cast<std::int64_t>(k) * (code_a - z_a) * (code_b - z_b));
  }
  return said;
}

// Sums themselves are looked at, not what others might be.
TEST(QgemmInt32, RefusesASumThatDoesNotFitAndNoOther) {
  using I8 = std::int8_t;
  using U8 = std::uint8_t;
  using I16 = std::int16_t;
  using U16 = std::uint16_t;
  on_every_kernel([](const Kernel&) {
    EXPECT_EQ((int32_refusal<I8, I8>(131'071, -128, -128, 0, 0)), "no refusal");
    EXPECT_THAT((int32_refusal<I8, I8>(131'072, -128, -128, 0, 0)),
                HasSubstr("found 2147483648 at (0, 0)"));
    EXPECT_EQ((int32_refusal<I8, I8>(131'072, -128, 127, 0, 0)), "no refusal");
    EXPECT_EQ((int32_refusal<I8, I8>(1'000'000, 0, -128, 0, 0)), "no refusal");
    EXPECT_EQ((int32_refusal<U8, I8>(65'793, 255, -128, 0, 0)), "no refusal");
    EXPECT_EQ((int32_refusal<U8, I8>(65'793, 255, -128, 0, 0)), "no refusal");
    EXPECT_THAT((int32_refusal<U8, I8>(65'794, 255, -128, 0, 0)), HasSubstr("found -2147516160"));
    EXPECT_EQ((int32_refusal<U8, U8>(33'025, 255, 255, 0, 0)), "no refusal");
    EXPECT_THAT((int32_refusal<U8, U8>(33'026, 255, 255, 0, 0)), HasSubstr("found 2147515650"));
    EXPECT_EQ((int32_refusal<U8, U8>(131'071, 0, 0, 128, 128)), "no refusal");
    EXPECT_THAT((int32_refusal<U8, U8>(131'072, 0, 0, 128, 128)), HasSubstr("found 2147483648"));
    EXPECT_EQ((int32_refusal<I8, I8>(33'025, -128, 127, 127, -128)), "no refusal");
    EXPECT_THAT((int32_refusal<I8, I8>(33'026, -128, 127, 127, -128)),
                HasSubstr("found -2147515650"));
    EXPECT_EQ((int32_refusal<I16, I16>(1, -32'768, -32'768, 0, 0)), "no refusal");
    EXPECT_THAT((int32_refusal<I16, I16>(2, -32'768, -32'768, 0, 0)),
                HasSubstr("found 2147483648"));
    EXPECT_THAT((int32_refusal<U16, U16>(1, 65'535, 65'535, 0, 0)), HasSubstr("found 4294836225"));
  });
}

TEST(QgemmInt32, NamesTheFirstSumThatDoesNotFit) {
  on_every_kernel([](const Kernel&) {
    Matrix<std::int16_t> a(3, 2);
    Matrix<std::int16_t> b(2, 4);
    std::ranges::fill(a.values(), std::int16_t{1});
    std::ranges::fill(b.values(), std::int16_t{1});
    a(1, 0) = a(1, 1) = a(2, 0) = a(2, 1) = std::int16_t{-32'768};
    b(0, 2) = b(1, 2) = b(0, 3) = b(1, 3) = std::int16_t{-32'768};
    Matrix<std::int32_t> out(3, 4);
    EXPECT_THAT(refusal([&] { qgemm(a.view(), b.view(), out.view()); }),
                HasSubstr("found 2147483648 at (1, 2)"));
  });
}

TEST(QgemmInt64, RefusesWhatCouldExceed64Bits) {
  const std::int8_t one = 1;
  const auto said = [&](std::size_t k, std::int32_t z_a, std::int32_t z_b) {
    Matrix<std::int64_t> out(1, 1);
    const MatrixView<const std::int8_t> a{&one, 1, k, 0, 0};
    const MatrixView<const std::int8_t> b{&one, k, 1, 0, 0};
    return refusal([&] { qgemm({a, z_a}, {b, z_b}, out.view()); });
  };
  EXPECT_EQ(said(1, kMin32, kMin32), "no refusal");
  EXPECT_THAT(said(2, kMin32, kMin32), AllOf(HasSubstr("64 bits"), HasSubstr("k = 2")));
  EXPECT_EQ(said(2, kMin32, -(1 << 30)), "no refusal");
  // Not only there, but wherever S is made.
  const Operand a(MatrixView<const std::int8_t>{&one, 1, 2, 0, 0}, kMin32);
  const Operand b(MatrixView<const std::int8_t>{&one, 2, 1, 0, 0}, kMin32);
  Matrix<float> real(1, 1);
  Matrix<std::int8_t> code(1, 1);
  EXPECT_THAT(refusal([&] { qgemm(a, b, Dequantization{}, real.view()); }), HasSubstr("64 bits"));
  EXPECT_THAT(refusal([&] { qgemm(a, b, Requantization{}, code.view()); }), HasSubstr("64 bits"));
  EXPECT_THAT(refusal([&] { qgemm(a, PackedMatrix(b), Dequantization{}, real.view()); }),
              HasSubstr("64 bits"));
}

// S fits 64 bits, z_b times a row's sum does not.
TEST(QgemmInt64, IsExactWhereTheTermsOfTheExpansionOverflow) {
  on_every_kernel([](const Kernel&) {
    constexpr std::size_t k = 65'000;
    const std::uint16_t a = 65'535;
    const std::uint16_t b = 0;
    Matrix<std::int64_t> found(1, 1);
    qgemm({MatrixView<const std::uint16_t>{&a, 1, k, 0, 0}, 32'768},
          {MatrixView<const std::uint16_t>{&b, k, 1, 0, 0}, kMin32}, found.view());
    EXPECT_EQ(found(0, 0), std::int64_t{k} * 32'767 * (std::int64_t{1} << 31));
  });
}

TEST(QgemmShapes, WithoutTermsGiveZeroAndWithoutElementsNothing) {
  on_every_kernel([](const Kernel&) {
    const MatrixView<const std::int8_t> a{nullptr, 3, 0, 0, 1};
    const MatrixView<const std::uint8_t> b{nullptr, 0, 70, 70, 1};
    const std::vector<float> bias(70, 2.5F);
    for (const std::size_t way : {0, 1}) {
      const PackedMatrix packed({b, 9});
      const RightOperand right = way == 0 ? RightOperand(Operand(b, 9)) : RightOperand(packed);
      Matrix<std::int32_t> sums(3, 70);
      qgemm({a, 5}, right, sums.view());
      for (const auto sum : sums.values()) ASSERT_EQ(sum, 0);
      Matrix<std::int64_t> longs(3, 70);
      qgemm({a, 5}, right, longs.view());
      for (const auto sum : longs.values()) ASSERT_EQ(sum, 0);
      Matrix<float> reals(3, 70);
      qgemm({a, 5}, right, {.a = 0.5F, .b = 0.5F, .bias = bias}, reals.view());
      for (const auto real : reals.values()) ASSERT_EQ(real, 2.5F);
      Matrix<std::uint8_t> codes(3, 70);
      qgemm({a, 5}, right, {.zero_point = 77, .lo = 0, .hi = 255}, codes.view());
      for (const auto code : codes.values()) ASSERT_EQ(code, 77);
      const MatrixView<const std::int8_t> no_rows{nullptr, 0, 0, 0, 1};
      qgemm(no_rows, right, MatrixView<std::int32_t>{nullptr, 0, 70, 70, 1});
    }
  });
}

// Views that are not matrices in memory: one row or column of all, or one that shares elements.
TEST(QgemmShapes, MayHaveStridesOfZeroAndOverlappingRows) {
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(42);
    std::int8_t codes[400];
    for (auto& code : codes) code = any_code<std::int8_t>(random);
    constexpr std::ptrdiff_t kStrides[][2] = {{0, 0},  {0, 1},  {1, 0},  {1, 1},  {2, 1},  {1, 2},
                                              {0, -1}, {-1, 0}, {-1, 1}, {1, -1}, {-2, 3}, {3, -2}};
    for (const auto& of_a : kStrides) {
      for (const auto& of_b : kStrides) {
        const MatrixView<const std::int8_t> a{codes + 200, 11, 39, of_a[0], of_a[1]};
        const MatrixView<const std::int8_t> b{codes + 200, 39, 37, of_b[0], of_b[1]};
        Matrix<std::int64_t> expected(11, 37);
        triple_loop_product<std::int8_t, std::int8_t>(a, b, 4, -5, expected.view());
        Matrix<std::int32_t> found(11, 37);
        qgemm({a, 4}, {b, -5}, found.view());
        ASSERT_TRUE(std::ranges::equal(found.values(), expected.values()))
            << of_a[0] << ", " << of_a[1] << " and " << of_b[0] << ", " << of_b[1];
        qgemm({a, 4}, PackedMatrix({b, -5}), found.view());
        ASSERT_TRUE(std::ranges::equal(found.values(), expected.values()));
      }
    }
  });
}

TEST(PackedMatrix, KnowsItsShapeAndWhatItHolds) {
  on_every_kernel([](const Kernel& kernel) {
    std::mt19937_64 random(43);
    const AnyCodes codes(CodeType::uint8, 100, 96, Layout::row_major, Values::any, random);
    const PackedMatrix packed(codes.view());
    EXPECT_EQ(packed.rows(), 100U);
    EXPECT_EQ(packed.cols(), 96U);
    EXPECT_GE(packed.bytes(), 9600 * kernel.element);
    EXPECT_LE(packed.bytes(), 9600 * kernel.element + 96 * (sizeof(std::int64_t) + 16));
  });
}

TEST(PackedMatrix, TakesCodesOf8BitsAlone) {
  std::mt19937_64 random(44);
  for (const CodeType type : kCodeTypes) {
    const AnyCodes codes(type, 3, 5, Layout::row_major, Values::any, random);
    const auto said = refusal([&] { PackedMatrix(codes.view()); });
    if (has_8_bits(type)) {
      EXPECT_EQ(said, "no refusal");
    } else {
      EXPECT_THAT(said, AllOf(HasSubstr("8 bits"), HasSubstr("found 16")));
    }
  }
}

TEST(PackedMatrix, OfNothingIsAMatrixWithoutRowsAndColumns) {
  const PackedMatrix none;
  EXPECT_EQ(none.rows(), 0U);
  EXPECT_EQ(none.cols(), 0U);
  EXPECT_EQ(none.bytes(), 0U);
  Matrix<std::int8_t> a(3, 0);
  Matrix<std::int32_t> out(3, 0);
  qgemm(a.view(), none, out.view());
  Matrix<float> reals(3, 0);
  qgemm(a.view(), none, Dequantization{}, reals.view());
  Matrix<std::int8_t> wrong(3, 2);
  EXPECT_THAT(refusal([&] { qgemm(wrong.view(), none, out.view()); }),
              AllOf(HasSubstr("3x2"), HasSubstr("0x0")));
}

TEST(PackedMatrix, CanBeMovedButNotCopied) {
  static_assert(std::is_nothrow_move_constructible_v<PackedMatrix>);
  static_assert(std::is_nothrow_move_assignable_v<PackedMatrix>);
  static_assert(!std::is_copy_constructible_v<PackedMatrix>);
  on_every_kernel([](const Kernel&) {
    std::mt19937_64 random(45);
    const TestProduct p(random, {9, 21, 40}, CodeType::uint8, CodeType::int8);
    PackedMatrix first(p.b());
    PackedMatrix second(std::move(first));
    ASSERT_NO_FATAL_FAILURE(expect_int64(p, second, Layout::row_major));
    PackedMatrix third;
    third = std::move(second);
    ASSERT_NO_FATAL_FAILURE(expect_int64(p, third, Layout::row_major));
    std::vector<PackedMatrix> several;
    several.push_back(std::move(third));
    several.emplace_back(p.b());
    for (const auto& packed : several) {
      ASSERT_NO_FATAL_FAILURE(expect_int64(p, packed, Layout::gapped));
    }
    first = PackedMatrix(p.b());  // what was moved from can be assigned to
    ASSERT_NO_FATAL_FAILURE(expect_int64(p, first, Layout::row_major));
  });
}

TEST(PackedMatrix, StaysWithTheKernelThatItWasMadeFor) {
  for (const KernelInfo& made_for : kernels()) {
    if (!made_for.supported) continue;
    std::mt19937_64 random(46);
    const TestProduct p(random, {9, 21, 40}, CodeType::uint8, CodeType::int8);
    std::optional<PackedMatrix> packed;
    {
      const WithKernel with(made_for.name);
      packed.emplace(p.b());
    }
    on_every_kernel([&](const Kernel&) {
      ASSERT_NO_FATAL_FAILURE(expect_int64(p, *packed, Layout::row_major));
      ASSERT_NO_FATAL_FAILURE(expect_int32(p, *packed, Layout::gapped));
    });
  }
}

TEST(Kernels, HaveNamesOfTheirOwnAndThePortableOneComesLast) {
  const auto list = kernels();
  ASSERT_FALSE(list.empty());
  EXPECT_THAT(std::string(list.back().name), HasSubstr("portable"));
  EXPECT_TRUE(list.back().supported);
  for (std::size_t i = 0; i < list.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(list[i].name, list[j].name);
  }
}

TEST(Kernels, CanBeAskedForIfTheProcessorHasThem) {
  for (const KernelInfo& kernel : kernels()) {
    if (kernel.supported) {
      const WithKernel with(kernel.name);
      EXPECT_EQ(kernel_name(), kernel.name);
    } else {
      EXPECT_THAT(refusal([&] { set_kernel(kernel.name); }),
                  AllOf(HasSubstr("for this processor"), HasSubstr(std::string(kernel.name))));
    }
  }
  const std::string before(kernel_name());
  EXPECT_THAT(refusal([] { set_kernel("s16s16s32_4x16c2_portabel"); }),
              AllOf(HasSubstr("'s16s16s32_4x16c2_portabel'"), HasSubstr("the nearest is s16s16")));
  EXPECT_EQ(kernel_name(), before) << "a refusal changes nothing";
}

// Sets ZEROPOINT_KERNEL until the end of the scope.
class WithKernelOfEnvironment {
 public:
  explicit WithKernelOfEnvironment(std::string_view name) {
    if (const char* before = std::getenv("ZEROPOINT_KERNEL")) before_ = before;
    setenv("ZEROPOINT_KERNEL", std::string(name).c_str(), 1);
  }
  ~WithKernelOfEnvironment() {
    if (before_) setenv("ZEROPOINT_KERNEL", before_->c_str(), 1);
    if (!before_) unsetenv("ZEROPOINT_KERNEL");
    set_kernel("");
  }
  WithKernelOfEnvironment(const WithKernelOfEnvironment&) = delete;
  WithKernelOfEnvironment& operator=(const WithKernelOfEnvironment&) = delete;

 private:
  std::optional<std::string> before_;
};

TEST(Kernels, CanBeAskedForByTheEnvironment) {
  for (const KernelInfo& kernel : kernels()) {
    const WithKernelOfEnvironment with(kernel.name);
    if (kernel.supported) {
      set_kernel("");
      EXPECT_EQ(kernel_name(), kernel.name);
    } else {
      EXPECT_THAT(refusal([] { set_kernel(""); }),
                  HasSubstr("ZEROPOINT_KERNEL: expected a kernel"));
    }
  }
  {
    const WithKernelOfEnvironment with("");
    set_kernel("");
    const auto list = kernels();
    const auto first = std::ranges::find_if(list, [](const auto& k) { return k.supported; });
    EXPECT_EQ(kernel_name(), first->name);
  }
  const WithKernelOfEnvironment with("abacus");
  EXPECT_THAT(refusal([] { set_kernel(""); }),
              AllOf(HasSubstr("ZEROPOINT_KERNEL: expected one of"), HasSubstr("'abacus'")));
}

}  // namespace
}  // namespace zeropoint
