#include "zeropoint/quantize/convention.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/quantize/params.hpp"

#include "support/properties.hpp"
#include "support/refusal.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;

TEST(Presets, AreWhatTheirSourcesSay) {
  // The code behind the published figures.
  Convention code;
  code.preset = "report-code";
  code.mapping = Mapping::affine;
  code.is_signed = true;
  code.ends = GridEnds::full;
  code.symmetric_scale = SymmetricScale::reach;
  code.zero_point_from = ZeroPointFrom::both_ends;
  code.small_scale = SmallScale::normal;
  code.scale_in = Arithmetic::float32;
  code.zero_point_rounding = Rounding::truncate;
  code.clamp_zero_point = false;
  code.zero_in_range = false;
  code.operation = Operation::multiply;
  code.order = ZeroPointOrder::before_rounding;
  code.rounding = Rounding::half_even;
  code.coverage = Coverage::one_sided;
  code.norm = NormSum::float32x8;
  EXPECT_EQ(parse_convention("report-code"), code);

  // The report's text: floor(x/s) + z on [-127, 127], coverage a fraction of the numbers.
  Convention text = code;
  text.preset = "report";
  text.ends = GridEnds::narrow;
  text.zero_point_rounding = Rounding::floor;
  text.operation = Operation::divide;
  text.order = ZeroPointOrder::after_rounding;
  text.rounding = Rounding::floor;
  text.coverage = Coverage::two_sided;
  text.norm = NormSum::float64;
  EXPECT_EQ(parse_convention("report"), text);

  // ONNX: x/s to the nearest even, then + z, saturated; zero in the range, z on the grid.
  Convention onnx = code;
  onnx.preset = "onnx";
  onnx.zero_point_from = ZeroPointFrom::min;
  onnx.small_scale = SmallScale::kept;
  onnx.zero_point_rounding = Rounding::half_even;
  onnx.clamp_zero_point = true;
  onnx.zero_in_range = true;
  onnx.operation = Operation::divide;
  onnx.order = ZeroPointOrder::after_rounding;
  onnx.rounding = Rounding::half_even;
  onnx.coverage = Coverage::two_sided;
  onnx.norm = NormSum::float64;
  EXPECT_EQ(parse_convention("onnx"), onnx);

  // FBGEMM, LEGACY: x·(1/s) + z to the nearest even; scale in double, stored as float32, 6.1e-5 at
  // least; z from the end whose terms are smaller.
  Convention fbgemm = onnx;
  fbgemm.preset = "fbgemm";
  fbgemm.symmetric_scale = SymmetricScale::ends;
  fbgemm.zero_point_from = ZeroPointFrom::nearer_end;
  fbgemm.scale_in = Arithmetic::float64_rounded;
  fbgemm.small_scale = SmallScale::cutoff;
  fbgemm.operation = Operation::multiply;
  fbgemm.order = ZeroPointOrder::before_rounding;
  EXPECT_EQ(parse_convention("fbgemm"), fbgemm);

  // gemmlowp: scale in float32, z from it in double; x/s + z, halves away from 0.
  Convention gemmlowp = onnx;
  gemmlowp.preset = "gemmlowp";
  gemmlowp.small_scale = SmallScale::normal;
  gemmlowp.scale_in = Arithmetic::float32_scale;
  gemmlowp.zero_point_rounding = Rounding::half_away;
  gemmlowp.order = ZeroPointOrder::before_rounding;
  gemmlowp.rounding = Rounding::half_away;
  EXPECT_EQ(parse_convention("gemmlowp"), gemmlowp);

  // ggml: the largest magnitude over 127; x·(1/s), halves away from 0.
  Convention ggml = onnx;
  ggml.preset = "ggml";
  ggml.mapping = Mapping::symmetric;
  ggml.ends = GridEnds::narrow;
  ggml.small_scale = SmallScale::normal;
  ggml.zero_point_from = ZeroPointFrom::both_ends;
  ggml.operation = Operation::multiply;
  ggml.rounding = Rounding::half_away;
  EXPECT_EQ(parse_convention("ggml"), ggml);

  // What they make of ranges and numbers: tests/peers/golden_conventions.py.
  std::ifstream file(ZEROPOINT_SOURCE_DIR "/tests/quantize/convention_golden.txt");
  const auto real = [](std::istream& in) {
    std::string word;
    in >> word;
    return std::strtof(word.c_str(), nullptr);
  };
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    SCOPED_TRACE(line);
    std::istringstream in(line);
    std::string name;
    in >> name;
    const Convention convention = parse_convention(name);
    Range range{};
    range.min = real(in);
    range.max = real(in);
    QuantParams expected;
    expected.scale = real(in);
    in >> expected.zero_point;
    const IntegerGrid grid = convention.grid(8);
    EXPECT_EQ(choose_params(range, grid, convention), expected);
    for (std::string word; in >> word;) {
      int golden = 0;
      in >> golden;
      const float x = std::strtof(word.c_str(), nullptr);
      EXPECT_EQ(quantize_one(x, expected, grid, convention), golden) << word;
    }
  }
  EXPECT_GT(rows, 100);
}

TEST(Presets, HaveTheGridOfTheirSource) {
  const auto code = parse_convention("report-code").grid(8);
  EXPECT_EQ(code.lo(), -128);
  EXPECT_EQ(code.hi(), 127);
  const auto text = parse_convention("report").grid(8);
  EXPECT_EQ(text.lo(), -127);
  EXPECT_EQ(text.hi(), 127);
}

// Every value of every axis, by hand: what the word sets.
TEST(ParseConvention, SetsTheFieldThatTheWordNames) {
  const auto parsed = [](const std::string& axis) { return parse_convention("onnx:" + axis); };
  EXPECT_EQ(parsed("mapping=affine").mapping, Mapping::affine);
  EXPECT_EQ(parsed("mapping=symmetric").mapping, Mapping::symmetric);
  EXPECT_TRUE(parsed("sign=signed").is_signed);
  EXPECT_FALSE(parsed("sign=unsigned").is_signed);
  EXPECT_EQ(parsed("grid=full").ends, GridEnds::full);
  EXPECT_EQ(parsed("grid=narrow").ends, GridEnds::narrow);
  EXPECT_EQ(parsed("scale=float32").scale_in, Arithmetic::float32);
  EXPECT_EQ(parsed("scale=float64").scale_in, Arithmetic::float64);
  EXPECT_EQ(parsed("scale=float64-rounded").scale_in, Arithmetic::float64_rounded);
  EXPECT_EQ(parsed("symmetric-scale=ends").symmetric_scale, SymmetricScale::ends);
  EXPECT_EQ(parsed("small-scale=cutoff").small_scale, SmallScale::cutoff);
  EXPECT_EQ(parsed("zero-point=half-even").zero_point_rounding, Rounding::half_even);
  EXPECT_EQ(parsed("zero-point=half-away").zero_point_rounding, Rounding::half_away);
  EXPECT_EQ(parsed("zero-point=floor").zero_point_rounding, Rounding::floor);
  EXPECT_EQ(parsed("zero-point=truncate").zero_point_rounding, Rounding::truncate);
  EXPECT_TRUE(parsed("zero-point-clamp=yes").clamp_zero_point);
  EXPECT_FALSE(parsed("zero-point-clamp=no").clamp_zero_point);
  EXPECT_TRUE(parsed("zero-in-range=forced").zero_in_range);
  EXPECT_FALSE(parsed("zero-in-range=free").zero_in_range);
  EXPECT_EQ(parsed("operation=divide").operation, Operation::divide);
  EXPECT_EQ(parsed("operation=multiply").operation, Operation::multiply);
  EXPECT_EQ(parsed("zero-point-added=before").order, ZeroPointOrder::before_rounding);
  EXPECT_EQ(parsed("zero-point-added=after").order, ZeroPointOrder::after_rounding);
  EXPECT_EQ(parsed("rounding=half-even").rounding, Rounding::half_even);
  EXPECT_EQ(parsed("rounding=half-away").rounding, Rounding::half_away);
  EXPECT_EQ(parsed("rounding=floor").rounding, Rounding::floor);
  EXPECT_EQ(parsed("rounding=truncate").rounding, Rounding::truncate);
  EXPECT_EQ(parsed("cover=one-sided").coverage, Coverage::one_sided);
  EXPECT_EQ(parsed("cover=two-sided").coverage, Coverage::two_sided);
  EXPECT_EQ(parsed("norm=float64").norm, NormSum::float64);
  EXPECT_EQ(parsed("norm=float32x8").norm, NormSum::float32x8);
}

TEST(ParseConvention, LeavesEveryOtherAxisAlone) {
  for (const auto& preset : convention_presets()) {
    const std::string base = full_form(parse_convention(preset.name));
    for (const auto& axis : convention_axes()) {
      for (const auto value : axis.values) {
        const auto setting = std::string(axis.key) + "=" + std::string(value);
        const auto parsed = parse_convention(std::string(preset.name) + ":" + setting);
        // The full form differs from the preset's in that setting at most.
        const std::string full = ":" + full_form(parsed) + ":";
        EXPECT_THAT(full, HasSubstr(":" + setting + ":"));
        std::size_t same = 0;
        for (const auto& other : convention_axes()) {
          const auto key = ":" + std::string(other.key) + "=";
          const auto value_in = [&](const std::string& form) {
            const auto at = form.find(key) + key.size();
            return form.substr(at, form.find(':', at) - at);
          };
          if (other.key != axis.key && value_in(full) == value_in(":" + base + ":")) ++same;
        }
        EXPECT_EQ(same, convention_axes().size() - 1) << setting;
      }
    }
  }
}

TEST(ToString, RoundTripsEveryValueOfEveryAxis) {
  for (const auto& preset : convention_presets()) {
    const std::string name(preset.name);
    EXPECT_EQ(to_string(parse_convention(name)), name);
    for (const auto& axis : convention_axes()) {
      for (const auto value : axis.values) {
        const auto parsed =
            parse_convention(name + ":" + std::string(axis.key) + "=" + std::string(value));
        EXPECT_EQ(parse_convention(to_string(parsed)), parsed) << axis.key << "=" << value;
        EXPECT_EQ(parse_convention(name + ":" + full_form(parsed)), parsed) << value;
      }
    }
  }
}

TEST(ToString, NamesOnlyWhatDeparts) {
  EXPECT_EQ(to_string(parse_convention("report:rounding=floor")), "report");
  EXPECT_EQ(to_string(parse_convention("report:rounding=half-even:rounding=floor")), "report");
  EXPECT_EQ(to_string(parse_convention("report:cover=one-sided:sign=unsigned")),
            "report:sign=unsigned:cover=one-sided");
}

RC_GTEST_PROP(ToString, RoundTripsAnyConvention, ()) {
  const auto presets = convention_presets();
  std::string text(presets[*rc::gen::inRange<std::size_t>(0, presets.size())].name);
  for (const auto& axis : convention_axes()) {
    const auto value = axis.values[*rc::gen::inRange<std::size_t>(0, axis.values.size())];
    text += ":" + std::string(axis.key) + "=" + std::string(value);
  }
  const auto parsed = parse_convention(text);
  RC_ASSERT(parse_convention(to_string(parsed)) == parsed);
  RC_ASSERT(text == parsed.preset + ":" + full_form(parsed));
}

TEST(ParseConvention, RefusesUnknownWordsNamingTheNearest) {
  EXPECT_THAT(refusal([] { parse_convention("reprot"); }),
              AllOf(HasSubstr("'reprot'"), HasSubstr("did you mean report?")));
  EXPECT_THAT(refusal([] { parse_convention("report_code"); }),
              HasSubstr("did you mean report-code?"));
  EXPECT_THAT(refusal([] { parse_convention("ONNX"); }), HasSubstr("expected one of"));
  EXPECT_THAT(refusal([] { parse_convention(""); }), HasSubstr("expected one of"));
  EXPECT_THAT(refusal([] { parse_convention("report:roundng=floor"); }),
              AllOf(HasSubstr("'roundng'"), HasSubstr("did you mean rounding?")));
  EXPECT_THAT(refusal([] { parse_convention("report:rounding=flor"); }),
              AllOf(HasSubstr("'flor'"), HasSubstr("did you mean floor?")));
  EXPECT_THAT(refusal([] { parse_convention("report:zero-in-range=force"); }),
              HasSubstr("did you mean forced?"));
  for (const char* const text :
       {"report:", "report::rounding=floor", "report:rounding=floor:", "report:rounding",
        "report:rounding=", "report:=floor", "report: rounding=floor", "report:rounding=floor ",
        "report:rounding=floor,sign=signed"}) {
    EXPECT_THAT(refusal([&] { parse_convention(text); }), HasSubstr("convention: expected"))
        << text;
  }
}

}  // namespace
}  // namespace zeropoint
