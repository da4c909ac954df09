#include "weights/scheme_on_tensor.hpp"

#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace zeropoint {
namespace {

struct Case {
  std::string scheme;
  std::vector<std::size_t> shape;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.scheme; }

class Pieces : public testing::TestWithParam<Case> {};

// However a tensor is cut, it stands for the same numbers as the whole.
TEST_P(Pieces, StandForTheSameAsTheWhole) {
  const auto& [text, shape] = GetParam();
  std::size_t count = 1;
  for (const auto extent : shape) count *= extent;
  std::vector<float> x(count);
  std::uint32_t state = 7;
  for (auto& value : x) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(state >> 8) * 0x1p-24F - 0.4F;
  }
  const Scheme scheme = parse_scheme(text);
  const SchemeOnTensor cut(x, shape, scheme, "x");
  const Matrix<float> whole = quantize(x, shape, scheme).decoded();
  ASSERT_GE(cut.pieces(), 1U);
  EXPECT_EQ(cut.pieces() > 1, text.find("stochastic") == std::string::npos);
  std::size_t at = 0;
  for (std::size_t piece = 0; piece < cut.pieces(); ++piece) {
    const Matrix<float> some = cut.codes(piece).decoded();
    for (const float value : some.values()) ASSERT_EQ(value, whole.data()[at++]) << at;
  }
  EXPECT_EQ(at, count);
}

INSTANTIATE_TEST_SUITE_P(
    Schemes, Pieces,
    testing::Values(Case{"int8", {300, 500}}, Case{"int8:sym:channel", {300, 500}},
                    Case{"int4:channel=1", {300, 500}}, Case{"int4:channel=1", {30, 40, 3, 50}},
                    Case{"int4:sym:group=32", {300, 500}}, Case{"int3:block=3x7", {700, 203}},
                    Case{"nf4:group=64", {300, 500}}, Case{"lloyd3", {300, 500}},
                    Case{"mxfp4", {300, 500}}, Case{"nvfp4", {300, 512}}, Case{"q4_1", {300, 500}},
                    Case{"e4m3:channel", {300, 500}}, Case{"int8:stochastic=3", {300, 500}},
                    Case{"hadamard+int4:sym:channel", {300, 512}},
                    Case{"int4:channel:shrink", {300, 500}}, Case{"int8:cover=0.99", {300, 500}}));

}  // namespace
}  // namespace zeropoint
