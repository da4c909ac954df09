// Quantizing by scheme: every format and granularity, against its plain definition.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/float_product.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "support/matrices.hpp"
#include "support/refusal.hpp"
#include "support/targets.hpp"

namespace zeropoint {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using testing::relative_error;

Matrix<float> random_matrix(std::size_t rows, std::size_t cols, unsigned seed = 1) {
  return testing::normal_matrix(rows, cols, seed, 0.1);
}

const std::vector<std::string>& schemes() {
  static const auto list = [] {
    std::vector<std::string> all;
    for (const auto& row : formats()) all.push_back(row.name);
    for (const auto* text : {"int8:channel",
                             "int8:channel=0",
                             "int4:sym:group=5",
                             "int3:block=3x4",
                             "uint8:sym",
                             "int8:mse",
                             "int8:kl",
                             "int8:cover=0.9",
                             "int8:sigma=2",
                             "e4m3:channel",
                             "e2m1:group=8",
                             "nf4:group=4",
                             "nf4:block=2x3",
                             "int8:stochastic=3",
                             "e5m2:stochastic",
                             "fp16:channel",
                             "int8@torch",
                             "int8:sym@onnxruntime",
                             "int12@gemmlowp",
                             "int8@fbgemm",
                             "int8@ggml",
                             "int8@report",
                             "int8@report-code",
                             "mxfp4:scale-rule=even",
                             "e3m2:unit",
                             "e3m3fn",
                             "e8m7fn:unit",
                             "e8m7finite",
                             "e8m7finite:unit",
                             "e8m0finite",
                             "e8m0finite:unit",
                             "e8m3fn:channel",
                             "e8m7fnuz:unit",
                             "bf16:group=8",
                             "lloyd4-laplace:group=8"}) {
      all.emplace_back(text);
    }
    return all;
  }();
  return list;
}

TEST(QuantizeByScheme, EveryElementIsWhatItsTileSays) {
  const auto x = random_matrix(13, 37);
  for (const auto& text : schemes()) {
    const Scheme scheme = parse_scheme(text);
    if (scheme.format.kind != FormatKind::integer || text.find("stochastic") != text.npos) continue;
    for (const auto role : {Role::stored, Role::left, Role::right}) {
      const auto q = quantize(x.view(), scheme, role);
      const auto back = q.dequantized();
      const auto& tiles = q.tiles();
      ASSERT_EQ(q.parameters().tiles.size(), tiles.count());
      q.visit_codes([&](const auto& codes) {
        for (std::size_t i = 0; i < x.rows(); ++i) {
          for (std::size_t j = 0; j < x.cols(); ++j) {
            const auto& params = q.parameters().tiles[tiles.of(i, j)];
            ASSERT_EQ(codes(i, j),
                      quantize_one(x(i, j), params, scheme.format.grid, scheme.convention))
                << text;
            ASSERT_EQ(back(i, j), dequantize(codes(i, j), params)) << text;
          }
        }
      });
    }
  }
}

// What becomes of a number, by the definition of one.
float definition(const Scheme& scheme, const TensorParams& params, QuantParams of_tile, float x) {
  const bool multiplies = scheme.convention.operation == Operation::multiply;
  if (scheme.format.kind == FormatKind::integer) {
    return dequantize(quantize_one(x, of_tile, scheme.format.grid, scheme.convention), of_tile);
  }
  if (scheme.format.kind == FormatKind::floating) {
    const FloatFormat& format = *scheme.format.floating;
    const float scaled = multiplies ? x * (1 / of_tile.scale) : x / of_tile.scale;
    const auto code = encode(format, scaled, Overflow::saturate, scheme.convention.rounding);
    constexpr double kLargest = std::numeric_limits<float>::max();
    const double number = decode(format, code).value * of_tile.scale;
    return static_cast<float>(std::clamp(number, -kLargest, kLargest));
  }
  const float scaled = x / of_tile.scale;
  float nearest = params.levels.front();
  for (const float level : params.levels) {
    if (std::abs(double{scaled} - level) < std::abs(double{scaled} - nearest)) nearest = level;
  }
  return nearest * of_tile.scale;
}

// Many numbers go piece by piece; rows of any length, tiles of any shape, wherever a piece ends.
TEST(QuantizeByScheme, ManyNumbersAreWhatEachIsOnEveryTarget) {
  const auto wide = random_matrix(3, 7001), high = random_matrix(401, 37);
  const std::vector<std::string> texts = {"int8",
                                          "int3:channel",
                                          "uint5:group=32",
                                          "int4:sym:group=7",
                                          "int8:block=3x4",
                                          "int12:group=300",
                                          "int6@torch",
                                          "uint8:group=16@onnxruntime",
                                          "int8:ceil",
                                          "int7:group=9:floor",
                                          "e4m3",
                                          "e2m3:channel",
                                          "e2m1:group=32",
                                          "tf32",
                                          "tf32:group=50",
                                          "e4m3fnuz:block=5x300",
                                          "e8m3fn:channel",
                                          "e3m0",
                                          "e5m2:half-away",
                                          "fp16:group=300",
                                          "nf4",
                                          "nf4:group=64",
                                          "nf4:channel",
                                          "lloyd3-laplace:group=17",
                                          "lloyd5-normal",
                                          "lloyd6-laplace",
                                          "lloyd7-normal",
                                          "lloyd8-uniform:channel",
                                          "lloyd8-normal",
                                          "lloyd8-laplace",
                                          "lloyd8",
                                          "bf16:unit"};
  for (const auto& text : texts) {
    SCOPED_TRACE(text);
    const Scheme scheme = parse_scheme(text);
    for (const auto* x : {&wide, &high}) {
      for (const auto role : {Role::left, Role::right}) {
        const TensorParams params = find_params(x->view(), scheme, role);
        const Tiles tiles = quantize(x->view(), scheme, role).tiles();
        Matrix<float> expected(x->rows(), x->cols());
        std::size_t done = 0;
        for (auto& value : expected.values()) {
          const std::size_t i = done / x->cols(), j = done % x->cols();
          const std::size_t tile = params.tiles.size() == 1 ? 0 : tiles.of(i, j);
          value = definition(scheme, params, params.tiles[tile], (*x)(i, j));
          ++done;
        }
        std::vector<std::uint8_t> bytes;
        testing::on_every_target([&] {
          const auto q = quantize(x->view(), scheme, role);
          ASSERT_EQ(q.parameters(), params);
          const auto back = q.dequantized();
          for (std::size_t i = 0; i < x->size(); ++i) {
            ASSERT_EQ(back.data()[i], expected.data()[i]) << i;
          }
          if (bytes.empty()) bytes.assign(q.bytes().begin(), q.bytes().end());
          ASSERT_TRUE(std::ranges::equal(bytes, q.bytes()));
        });
        if (HasFatalFailure()) return;
      }
    }
  }
}

// A view with gaps, or turned around, is what a copy of it is.
TEST(QuantizeByScheme, ViewsAreAsTheirCopies) {
  const auto x = random_matrix(301, 97);
  const MatrixView<const float> turned{x.data(), 97, 301, 1, 97};
  const MatrixView<const float> part{x.data() + 5, 290, 71, 97, 1};
  for (const auto* text : {"int4:group=32", "e4m3:channel", "nf4:group=8", "int8", "lloyd4"}) {
    for (const auto& view : {turned, part}) {
      Matrix<float> copy(view.rows, view.cols);
      for (std::size_t i = 0; i < view.rows; ++i) {
        for (std::size_t j = 0; j < view.cols; ++j) copy(i, j) = view(i, j);
      }
      const auto q = quantize(view, parse_scheme(text)),
                 of_copy = quantize(copy.view(), parse_scheme(text));
      EXPECT_EQ(q.parameters(), of_copy.parameters()) << text;
      EXPECT_TRUE(std::ranges::equal(q.bytes(), of_copy.bytes())) << text;
      EXPECT_EQ(q.clipped(), of_copy.clipped()) << text;
    }
  }
}

// Wherever it is, and by any scheme.
TEST(QuantizeByScheme, TheFirstThatIsNotFiniteIsNamed) {
  for (const auto* text : {"int8", "int4:group=32", "e4m3:channel", "nf4", "lloyd4-normal",
                           "lloyd3", "mxfp4", "nvfp4", "tf32", "int4:group=32:mse"}) {
    const Scheme scheme = parse_scheme(text);
    for (const std::size_t at : {std::size_t{0}, std::size_t{4097}, std::size_t{20'000}}) {
      auto x = random_matrix(96, 320);
      const TensorParams params = find_params(x.view(), scheme);
      x.data()[at] = std::nanf("");
      x.data()[25'000] = std::numeric_limits<float>::infinity();
      if (scheme.unit_scale) continue;
      const auto named = HasSubstr("found nan at index " + std::to_string(at));
      EXPECT_THAT(testing::refusal([&] { quantize(x.view(), scheme); }), named) << text;
      EXPECT_THAT(testing::refusal([&] { quantize(x.view(), scheme, params); }), named) << text;
    }
  }
}

TEST(QuantizeByScheme, ComesBackWithinReasonAndOnAnyThreads) {
  const auto x = random_matrix(64, 96);
  for (const auto& text : schemes()) {
    const Scheme scheme = parse_scheme(text);
    set_threads(1);
    const auto q = quantize(x.view(), scheme);
    set_threads(3);
    const auto again = quantize(x.view(), scheme);
    set_threads(0);
    EXPECT_TRUE(std::ranges::equal(q.bytes(), again.bytes())) << text;
    EXPECT_EQ(q.parameters(), again.parameters()) << text;
    const double error = relative_error(x, q.dequantized());
    double bits = scheme.format.bits;
    if (scheme.format.kind == FormatKind::floating)
      bits = scheme.format.floating->fraction_bits + 1;
    if (text.starts_with("mxfp8")) bits = text == "mxfp8" ? 4 : 3;
    // Ranges that cut off tails cost what they cut, and so do levels for another density.
    if (text.ends_with("-uniform")) bits = std::min(bits, 4.0);
    if (text.find("cover") != text.npos || text.find("sigma") != text.npos) bits = 4;
    EXPECT_LT(error, 4.5 * std::pow(2.0, -bits)) << text;
    // Two levels cost what they may; nothing is better than its bits allow.
    EXPECT_GT(error, 0.1 * std::pow(2.0, -bits)) << text;
    EXPECT_GE(q.effective_bits(), scheme.format.bits) << text;
    EXPECT_LE(q.clipped(), bits == 1 ? 0.5 : 0.25) << text;
  }
}

// A norm's gains and its like: thresholds that cut nearly all of it off would cost a hundred times
// as much.
TEST(QuantizeByScheme, KlKeepsDataAwayFromZero) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(5, 6);
  for (const bool is_gain : {true, false}) {
    Matrix<float> x(64, 64);
    for (auto& v : x.values()) v = is_gain ? 1 + 0.05F * normal(random) : uniform(random);
    const auto by_kl = quantize(x.view(), parse_scheme("int8:kl"));
    const auto whole = quantize(x.view(), parse_scheme("int8"));
    EXPECT_LE(by_kl.clipped(), 0.01) << is_gain;
    EXPECT_LT(relative_error(x, by_kl.dequantized()), 2 * relative_error(x, whole.dequantized()))
        << is_gain;
  }
}

TEST(QuantizeByScheme, CodesOfLessThanAByteArePacked) {
  const auto x = random_matrix(7, 9);
  for (int bits = 1; bits <= 16; ++bits) {
    const auto q = quantize(x.view(), parse_scheme("int" + std::to_string(bits)));
    const std::size_t expected = bits < 8    ? (63 * static_cast<std::size_t>(bits) + 7) / 8
                                 : bits == 8 ? 63
                                             : 126;
    EXPECT_EQ(q.bytes().size(), expected) << bits;
  }
  EXPECT_EQ(quantize(x.view(), parse_scheme("tf32")).bytes().size(), (63U * 19 + 7) / 8);
}

TEST(QuantizeByScheme, EffectiveBitsCountEverything) {
  const auto x = random_matrix(4, 64);
  const auto bits = [&](const char* text) {
    return quantize(x.view(), parse_scheme(text)).effective_bits();
  };
  EXPECT_EQ(bits("int8:sym"), 8 + 32.0 / 256);
  EXPECT_EQ(bits("int8"), 8 + 40.0 / 256);
  EXPECT_EQ(bits("int4:sym:group=32"), 5);
  EXPECT_EQ(bits("int4:group=32"), 5.125);
  EXPECT_EQ(bits("e4m3:channel"), 8.5);
  EXPECT_EQ(bits("bf16"), 16);
  EXPECT_EQ(bits("mxfp4"), 4.25);
  EXPECT_EQ(bits("nvfp4"), 4.5 + 32.0 / 256);
  EXPECT_EQ(bits("q4_0"), 4.5);
  EXPECT_EQ(bits("lloyd4"), 4 + (16 * 32 + 32.0) / 256);
  // The levels of these are known to whoever reads them.
  EXPECT_EQ(bits("nf4:group=64"), 4.5);
  EXPECT_EQ(bits("lloyd4-normal:channel"), 4.5);
  // A zero point that need not lie on the grid takes more than a code.
  EXPECT_EQ(bits("int8@report-code"), 8 + 64.0 / 256);
  EXPECT_EQ(bits("int8@report-code:zero-point-clamp=yes"), 8 + 40.0 / 256);
  EXPECT_EQ(bits("int8@report-code:zero-in-range=forced"), 8 + 40.0 / 256);
  EXPECT_EQ(bits("int8:sym@report-code"), 8 + 32.0 / 256);
  // Rows of 33 values take two blocks of 32.
  const auto odd = random_matrix(2, 33);
  EXPECT_EQ(quantize(odd.view(), parse_scheme("mxint8")).effective_bits(), 8.0 * 2 * 33 / 33);
}

TEST(QuantizeByScheme, TilesLargerThanTheMatrixAreTheMatrix) {
  const auto x = random_matrix(7, 9);
  const auto whole = quantize(x.view(), parse_scheme("int4")).dequantized();
  for (const char* text : {"int4:block=18446744073709551615x18446744073709551615",
                           "int4:block=4294967296x4294967296", "int4:block=7x9"}) {
    const auto q = quantize(x.view(), parse_scheme(text));
    EXPECT_EQ(q.tiles(), (Tiles{7, 9, 7, 9})) << text;
    EXPECT_THAT(q.dequantized().values(), ElementsAreArray(whole.values())) << text;
  }
  const auto rows = quantize(x.view(), parse_scheme("int4:channel")).dequantized();
  for (const Role role : {Role::stored, Role::left}) {
    const auto q = quantize(x.view(), parse_scheme("int4:group=18446744073709551615"), role);
    EXPECT_EQ(q.tiles(), (Tiles{7, 9, 1, 9}));
    EXPECT_THAT(q.dequantized().values(), ElementsAreArray(rows.values()));
  }
  EXPECT_EQ(make_tiles(parse_granularity("group=18446744073709551615"), std::array{7UL, 9UL},
                       Role::right),
            (Tiles{7, 9, 7, 1}));
}

// The ends of these are the means of all that lies beyond them; those of nf4 are ends.
TEST(QuantizeByScheme, CodebooksOfMeansClipNothing) {
  auto x = random_matrix(40, 50);
  x.data()[7] = 30;
  for (const char* text :
       {"lloyd3-normal", "lloyd4-uniform:channel", "lloyd1-laplace:group=8", "lloyd3", "lloyd1"}) {
    EXPECT_EQ(quantize(x.view(), parse_scheme(text)).clipped(), 0) << text;
  }
  const auto q = quantize(x.view(), parse_scheme("nf4:cover=0.9"));
  const auto beyond = std::ranges::count_if(
      x.values(), [&](float value) { return std::abs(value) > q.params().scale; });
  EXPECT_GT(beyond, 100);
  EXPECT_EQ(q.clipped(), static_cast<double>(beyond) / 2000);
}

// x read by other scales than those that its codes were made with: the best of all there are.
TEST(QuantizeByScheme, ShrinkLeavesTheLeastErrorThatTheCodesAllow) {
  const auto x = random_matrix(60, 90);
  const auto error = [&](const Matrix<float>& back) { return relative_error(x, back); };
  for (const char* text :
       {"int2:sym", "int2", "int3:sym:channel", "int4:group=16", "int4:block=7x11", "int1:sym",
        "uint3:floor@report", "int4:stochastic=3", "e2m1", "e2m1:group=8", "e3m2:cover=0.9",
        "nf4:group=64", "lloyd2-normal:channel", "hadamard=1+int2:sym:group=30"}) {
    for (const Role role : {Role::stored, Role::left, Role::right}) {
      const auto plain = quantize(x.view(), parse_scheme(text), role);
      std::string shrunk_text = text;
      const auto at = std::min(shrunk_text.find('@'), shrunk_text.size());
      const Scheme scheme = parse_scheme(shrunk_text.insert(at, ":shrink"));
      const auto shrunk = quantize(x.view(), scheme, role);
      EXPECT_TRUE(std::ranges::equal(shrunk.bytes(), plain.bytes())) << text;
      EXPECT_EQ(shrunk.effective_bits(), plain.effective_bits()) << text;
      EXPECT_EQ(shrunk.clipped(), plain.clipped()) << text;
      EXPECT_EQ(shrunk.encoding_parameters(), plain.parameters()) << text;
      EXPECT_EQ(find_params(x.view(), scheme, role), plain.parameters()) << text;
      EXPECT_EQ(quantize(x.view(), scheme, shrunk.encoding_parameters(), role).parameters(),
                shrunk.parameters())
          << text;
      const double least = error(shrunk.dequantized());
      EXPECT_LT(least, error(plain.dequantized())) << text;
      // No scale near it is better; those of float32 are 1.2e-7 apart.
      for (const float factor : {0.999F, 1.001F}) {
        TensorParams other = shrunk.parameters();
        for (auto& tile : other.tiles) tile.scale *= factor;
        std::vector<float> scales;
        for (const auto& tile : other.tiles) scales.push_back(tile.scale);
        EXPECT_LT(least, error(quantize(x.view(), scheme, role).with_scales(scales).dequantized()))
            << text;
      }
    }
  }
}

TEST(QuantizeByScheme, ShrinkLeavesAloneWhatTellsNothing) {
  Matrix<float> x(2, 8);
  std::ranges::fill(x.values(), 0.0F);
  x(1, 3) = 2;
  const auto q = quantize(x.view(), parse_scheme("int4:sym:channel:shrink"));
  EXPECT_EQ(q.parameters(), quantize(x.view(), parse_scheme("int4:sym:channel")).parameters());
  const Matrix<float> none(0, 8);
  EXPECT_EQ(quantize(none.view(), parse_scheme("bf16")).rows(), 0U);
}

// With ρ = ⟨x,q⟩/⟨x,x⟩ and p = ⟨q,q⟩/⟨x,x⟩ of both operands, the squared relative error of their
// product is 1 − 2ρ_Aρ_B + p_Ap_B. Multiplied by f it is 1 − 2fρ_Aρ_B + f²p_Ap_B, least at
// f = ρ_Aρ_B/(p_Ap_B), the product of both factors: 1 − ρ_A²ρ_B²/(p_Ap_B).
TEST(QuantizeByScheme, ShrinkGainsInProductsWhatIsPredicted) {
  Matrix<float> a(400, 900), b(900, 400);
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (auto* x : {&a, &b}) {
    for (auto& value : x->values()) value = normal(random);
  }
  const auto y = float_product(a, b);
  const auto error = [&](const char* text) {
    const Scheme scheme = parse_scheme(text);
    return std::pow(relative_error(y, multiply(quantize(a.view(), scheme, Role::left),
                                               quantize(b.view(), scheme, Role::right))),
                    2);
  };
  struct Moments {
    double rho, p;
  };
  const auto moments = [](const Matrix<float>& x, Role role) {
    const auto q = quantize(x.view(), parse_scheme("int2:sym:cover=0.98"), role).dequantized();
    double xx = 0, xq = 0, qq = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      xx += double{x.data()[i]} * x.data()[i];
      xq += double{x.data()[i]} * q.data()[i];
      qq += double{q.data()[i]} * q.data()[i];
    }
    return Moments{xq / xx, qq / xx};
  };
  const auto of_a = moments(a, Role::left), of_b = moments(b, Role::right);
  const double rho = of_a.rho * of_b.rho, p = of_a.p * of_b.p;
  const double before = error("int2:sym:cover=0.98"), after = error("int2:sym:cover=0.98:shrink");
  EXPECT_NEAR(before, 1 - 2 * rho + p, 0.01 * before);
  EXPECT_NEAR(after, 1 - rho * rho / p, 0.01 * after);
  EXPECT_NEAR(before - after, (rho - p) * (rho - p) / p, 0.05 * (before - after));
  EXPECT_LT(after, 0.8 * before);
}

TEST(QuantizeByScheme, ShapesTooLargeToCountAreRefused) {
  const std::size_t half = std::size_t{1} << 32;
  for (const auto& shape : {std::vector{half, half}, std::vector{half, half, std::size_t{0}}}) {
    EXPECT_THAT(testing::refusal(
                    [&] { quantize(std::span<const float>(), shape, parse_scheme("bf16"), "W"); }),
                HasSubstr("W: expected a shape whose elements can be counted"));
  }
}

TEST(QuantizeByScheme, ChannelsOfAnyAxisOfAnyShape) {
  const std::vector<std::size_t> shape = {3, 4, 5};
  std::vector<float> x(60);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7) - 2.5F * (i % 3);
  for (int axis = -3; axis < 3; ++axis) {
    const auto at = static_cast<std::size_t>(axis < 0 ? axis + 3 : axis);
    const auto q = quantize(x, shape, parse_scheme("int8:sym:channel=" + std::to_string(axis)));
    ASSERT_EQ(q.parameters().tiles.size(), shape[at]);
    for (std::size_t channel = 0; channel < shape[at]; ++channel) {
      float most = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t index[] = {i / 20, i / 5 % 4, i % 5};
        if (index[at] == channel) most = std::max(most, std::abs(x[i]));
      }
      EXPECT_FLOAT_EQ(q.parameters().tiles[channel].scale, most / 127) << axis;
    }
    const auto back = q.dequantized();
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(back.data()[i], x[i], 0.04);
  }
  EXPECT_THAT(testing::refusal([&] { quantize(x, shape, parse_scheme("int8:channel=3")); }),
              HasSubstr("an axis from 0 to 2, or -3 to -1 from the last on, of a tensor of 3 "
                        "dimensions"));
}

TEST(QuantizeByScheme, AwkwardTensorsHaveDefinedResultsOrNamedErrors) {
  const float most = std::numeric_limits<float>::max();
  for (const auto& text : schemes()) {
    SCOPED_TRACE(text);
    const Scheme scheme = parse_scheme(text);
    const auto filled = [](std::size_t count, float value) {
      Matrix<float> x(1, count);
      std::ranges::fill(x.values(), value);
      return x;
    };
    for (const float value : {0.0F, -0.0F, 1e-45F, -3e-40F, 5.5F, -5.5F}) {
      for (const std::size_t count : {1U, 3U, 40U}) {
        const auto x = filled(count, value);
        const auto back = fake_quantize(x.view(), scheme);
        for (const float y : back.values()) {
          EXPECT_TRUE(std::isfinite(y)) << value;
          EXPECT_TRUE(value != 0 || y == 0);
          const bool is_codebook = scheme.format.kind == FormatKind::codebook;
          EXPECT_TRUE(!is_codebook || std::abs(y - value) <= std::abs(value)) << value;
        }
      }
    }
    Matrix<float> extreme = filled(40, 1);
    extreme.data()[0] = most;
    extreme.data()[1] = -most;
    const bool is_ggml = scheme.format.kind == FormatKind::block && text[0] == 'q';
    if (is_ggml) {
      EXPECT_THAT(testing::refusal([&] { fake_quantize(extreme.view(), scheme); }),
                  HasSubstr("within fp16"));
    } else {
      // A number times its scale may be rounded beyond float32, and is kept within it; but MX, by
      // its definition, gives infinity there where the rule rounds the scale up.
      const bool may_be_infinite =
          scheme.format.kind == FormatKind::block && scheme.scale_rule != ScaleRule::floor;
      for (const float value : {most, -most}) {
        for (const std::size_t at : {0U, 1U, 39U}) {
          extreme.data()[at] = value;
          const Matrix<float> back = fake_quantize(extreme.view(), scheme);
          for (const float y : back.values()) {
            EXPECT_TRUE(std::isfinite(y) || (may_be_infinite && std::isinf(y))) << y;
          }
        }
      }
    }
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      Matrix<float> x = filled(40, 1);
      x.data()[33] = bad;
      if (scheme.unit_scale) continue;
      EXPECT_THAT(testing::refusal([&] { quantize(x.view(), scheme, Role::stored, "W"); }),
                  ::testing::AllOf(HasSubstr("W"), HasSubstr("33")));
    }
    if (scheme.format.kind != FormatKind::block && !scheme.unit_scale) {
      EXPECT_THAT(testing::refusal([&] { quantize(Matrix<float>(0, 4).view(), scheme); }),
                  HasSubstr("at least one"));
    }
  }
}

TEST(QuantizeByScheme, OperandsAreRoundedByRandomNumbersOfTheirOwn) {
  const Scheme scheme = parse_scheme("int8:stochastic=5");
  const auto x = random_matrix(40, 50);
  const auto as_a = quantize(x.view(), scheme, Role::left);
  const auto as_b = quantize(x.view(), scheme, Role::right);
  const auto nearest = quantize(x.view(), parse_scheme("int8"));
  std::size_t both = 0, either = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool a = as_a.bytes()[i] != nearest.bytes()[i];
    const bool b = as_b.bytes()[i] != nearest.bytes()[i];
    both += a && b ? 1 : 0;
    either += a ? 1 : 0;
  }
  // A number moves with probability p, uniform up to 1/2: twice with E[p²] = 1/12, and would always
  // with the same random number, E[p] = 1/4.
  EXPECT_NEAR(static_cast<double>(either) / 2000, 0.25, 0.05);
  EXPECT_NEAR(static_cast<double>(both) / 2000, 1.0 / 12, 0.03);
}

TEST(QuantizeByScheme, CastsKeepWhatIsNoNumber) {
  Matrix<float> x(1, 3);
  x.data()[0] = NAN;
  x.data()[1] = INFINITY;
  x.data()[2] = 1.5F;
  const auto back = fake_quantize(x.view(), parse_scheme("bf16"));
  EXPECT_TRUE(std::isnan(back.data()[0]));
  EXPECT_EQ(back.data()[1], static_cast<float>(largest(float_format("bf16"))));  // saturates
  EXPECT_EQ(back.data()[2], 1.5F);
}

}  // namespace
}  // namespace zeropoint
