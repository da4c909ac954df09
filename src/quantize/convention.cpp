#include "zeropoint/quantize/convention.hpp"

#include <array>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

namespace zeropoint {
namespace {

using Words = std::vector<std::string_view>;

// The code behind the report's published figures is Convention's own defaults.
Convention report_code() { return {}; }

// The report's text.
Convention report_text() {
  Convention c;
  c.preset = "report";
  c.ends = GridEnds::narrow;
  c.zero_point_rounding = Rounding::floor;
  c.operation = Operation::divide;
  c.order = ZeroPointOrder::after_rounding;
  c.rounding = Rounding::floor;
  c.coverage = Coverage::two_sided;
  c.norm = NormSum::float64;
  return c;
}

// What all of today's tools share: 0 in the range, a zero point to nearest and on the grid, codes
// to nearest and then the zero point.
Convention common(std::string_view preset) {
  Convention c;
  c.preset = preset;
  c.zero_point_rounding = Rounding::half_even;
  c.clamp_zero_point = true;
  c.zero_in_range = true;
  c.operation = Operation::divide;
  c.order = ZeroPointOrder::after_rounding;
  c.coverage = Coverage::two_sided;
  c.norm = NormSum::float64;
  return c;
}

// The standard's DynamicQuantizeLinear for scale and zero point, QuantizeLinear for codes.
Convention onnx() {
  Convention c = common("onnx");
  c.small_scale = SmallScale::kept;
  c.zero_point_from = ZeroPointFrom::min;
  return c;
}

// ONNX Runtime's quantization tool, quant_utils.py: compute_scale_zp, as of 1.32 (before, max − min
// was taken in float32: scale=float32-width).
Convention onnxruntime() {
  Convention c = common("onnxruntime");
  c.zero_point_from = ZeroPointFrom::min;
  c.scale_in = Arithmetic::float64;
  c.ends = GridEnds::by_mapping;
  c.symmetric_scale = SymmetricScale::width;
  c.small_scale = SmallScale::one;
  return c;
}

// torch.ao.quantization's observers; codes as quantize_per_tensor makes them.
Convention torch() {
  Convention c = common("torch");
  c.zero_point_from = ZeroPointFrom::min_apart;
  c.symmetric_scale = SymmetricScale::width;
  c.small_scale = SmallScale::epsilon;
  c.operation = Operation::multiply;
  return c;
}

// FBGEMM's QuantUtils.cc, ChooseQuantizationParams (symmetric: preserve_sparsity), and
// QuantUtils.h, Quantize with its default, LEGACY = true: x·(1/s), rounded to float32, plus the
// zero point, to nearest. Its AVX2 code fuses the two. PyTorch asks for LEGACY = false:
// zero-point-added=after.
Convention fbgemm() {
  Convention c = common("fbgemm");
  c.symmetric_scale = SymmetricScale::ends;
  c.zero_point_from = ZeroPointFrom::nearer_end;
  c.scale_in = Arithmetic::float64_rounded;
  c.small_scale = SmallScale::cutoff;
  c.operation = Operation::multiply;
  c.order = ZeroPointOrder::before_rounding;
  return c;
}

// gemmlowp's doc/quantization_example.cc.
Convention gemmlowp() {
  Convention c = common("gemmlowp");
  c.zero_point_from = ZeroPointFrom::min;
  c.zero_point_rounding = Rounding::half_away;
  c.scale_in = Arithmetic::float32_scale;
  c.order = ZeroPointOrder::before_rounding;
  c.rounding = Rounding::half_away;
  return c;
}

// ggml's 8-bit blocks as a convention: symmetric, narrow, x·(1/s), halves away from 0.
Convention ggml() {
  Convention c = common("ggml");
  c.mapping = Mapping::symmetric;
  c.ends = GridEnds::narrow;
  c.operation = Operation::multiply;
  c.rounding = Rounding::half_away;
  return c;
}

struct Preset {
  ConventionPreset what;
  Convention (*make)();
};
constexpr std::array kPresets = {
    Preset{{"report-code", "the code behind the report's published figures"}, report_code},
    Preset{{"report", "the report's text"}, report_text},
    Preset{{"onnx", "the standard's DynamicQuantizeLinear and QuantizeLinear"}, onnx},
    Preset{{"onnxruntime", "ONNX Runtime's quantization tool"}, onnxruntime},
    Preset{{"torch", "PyTorch's observers and quantize_per_tensor"}, torch},
    Preset{{"fbgemm", "FBGEMM's ChooseQuantizationParams and Quantize"}, fbgemm},
    Preset{{"gemmlowp", "gemmlowp's example of quantization"}, gemmlowp},
    Preset{{"ggml", "ggml's 8-bit rule, at any granularity"}, ggml},
};

// An axis knows its words and how to read and write the field it stands for.
struct Axis {
  ConventionAxis what;
  int (*get)(const Convention&);
  void (*set)(Convention&, int);
};

template <auto Member>
constexpr Axis axis(std::string_view key, std::span<const std::string_view> values,
                    std::string_view title) {
  using Field = std::remove_cvref_t<decltype(std::declval<Convention>().*Member)>;
  return {{key, values, title},
          [](const Convention& c) { return static_cast<int>(c.*Member); },
          [](Convention& c, int value) { c.*Member = static_cast<Field>(value); }};
}

// Each list in the order of its enumeration (false, true for a bool).
constexpr std::string_view kMappings[] = {"affine", "symmetric"};
constexpr std::string_view kSigns[] = {"unsigned", "signed"};
constexpr std::string_view kGrids[] = {"full", "narrow", "by-mapping"};
constexpr std::string_view kArithmetics[] = {"float32", "float64", "float32-width", "float32-scale",
                                             "float64-rounded"};
constexpr std::string_view kSymmetricScales[] = {"reach", "width", "ends"};
constexpr std::string_view kZeroPointFroms[] = {"both-ends", "min", "min-apart", "nearer-end"};
constexpr std::string_view kSmallScales[] = {"normal", "one", "epsilon", "tenth", "kept", "cutoff"};
constexpr std::string_view kRoundings[] = {"half-even", "half-away", "floor",
                                           "truncate",  "ceil",      "stochastic"};
constexpr std::span kZeroPointRoundings = std::span(kRoundings).first<5>();
constexpr std::string_view kYesNo[] = {"no", "yes"};
constexpr std::string_view kZeros[] = {"free", "forced"};
constexpr std::string_view kOperations[] = {"divide", "multiply"};
constexpr std::string_view kOrders[] = {"before", "after"};
constexpr std::string_view kCovers[] = {"one-sided", "two-sided"};
constexpr std::string_view kNorms[] = {"float64", "float32x8"};

constexpr std::array kAxes = {
    axis<&Convention::mapping>("mapping", kMappings, "zero point chosen, or the grid's middle"),
    axis<&Convention::is_signed>("sign", kSigns, "the grid's sign"),
    axis<&Convention::ends>("grid", kGrids,
                            "every code, or one fewer at the odd end, or that if symmetric"),
    axis<&Convention::symmetric_scale>("symmetric-scale", kSymmetricScales,
                                       "largest magnitude over the codes above the zero point, "
                                       "or twice it over all, or each end over its own"),
    axis<&Convention::scale_in>("scale", kArithmetics, "what scale and zero point are computed in"),
    axis<&Convention::zero_point_from>("zero-point-from", kZeroPointFroms,
                                       "which ends of the range the zero point is computed from"),
    axis<&Convention::zero_point_rounding>("zero-point", kZeroPointRoundings,
                                           "how the zero point rounds"),
    axis<&Convention::clamp_zero_point>("zero-point-clamp", kYesNo, "zero point kept on the grid"),
    axis<&Convention::zero_in_range>("zero-in-range", kZeros, "range widened to hold 0"),
    axis<&Convention::small_scale>("small-scale", kSmallScales,
                                   "what a scale too small to be used becomes"),
    axis<&Convention::operation>("operation", kOperations, "x / s, or x times float32(1/s)"),
    axis<&Convention::order>("zero-point-added", kOrders, "before or after rounding"),
    axis<&Convention::rounding>("rounding", kRoundings, "how x / s rounds"),
    axis<&Convention::coverage>("cover", kCovers, "quantiles 1-c and c, or the middle fraction c"),
    axis<&Convention::norm>("norm", kNorms, "how a study sums the norms of its errors"),
};

const Preset& preset(std::string_view name) {
  Words known;
  for (const auto& candidate : kPresets) {
    if (candidate.what.name == name) return candidate;
    known.push_back(candidate.what.name);
  }
  throw InputError(fmt::format("convention: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

std::string spelled(const Axis& axis, const Convention& convention) {
  return fmt::format("{}={}", axis.what.key,
                     axis.what.values[static_cast<std::size_t>(axis.get(convention))]);
}

}  // namespace

void set_axis(Convention& convention, std::string_view setting) {
  const auto equals = setting.find('=');
  const auto key = setting.substr(0, equals);
  Words keys;
  for (const auto& axis : kAxes) keys.push_back(axis.what.key);
  for (const auto& axis : kAxes) {
    if (axis.what.key != key) continue;
    const Words values(axis.what.values.begin(), axis.what.values.end());
    const auto value = equals == setting.npos ? std::string_view() : setting.substr(equals + 1);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] == value) return axis.set(convention, static_cast<int>(i));
    }
    throw InputError(fmt::format("convention: expected {}={}; found '{}' (did you mean {}?)", key,
                                 fmt::join(values, "|"), value, nearest_word(value, values)));
  }
  throw InputError(
      fmt::format("convention: expected an axis out of {}; found '{}' (did you mean {}?)",
                  join_words(keys), key, nearest_word(key, keys)));
}

std::span<const ConventionPreset> convention_presets() {
  static const auto presets = [] {
    std::vector<ConventionPreset> list;
    for (const auto& preset : kPresets) list.push_back(preset.what);
    return list;
  }();
  return presets;
}

std::span<const ConventionAxis> convention_axes() {
  static const auto axes = [] {
    std::vector<ConventionAxis> list;
    for (const auto& axis : kAxes) list.push_back(axis.what);
    return list;
  }();
  return axes;
}

std::span<const std::string_view> rounding_words() { return kRoundings; }

Convention parse_convention(std::string_view text) {
  auto colon = text.find(':');
  Convention convention = preset(text.substr(0, colon)).make();
  while (colon != text.npos) {
    text.remove_prefix(colon + 1);
    colon = text.find(':');
    set_axis(convention, text.substr(0, colon));
  }
  return convention;
}

std::string to_string(const Convention& convention) {
  std::string text = convention.preset;
  const Convention base = preset(convention.preset).make();
  for (const auto& axis : kAxes) {
    if (axis.get(convention) != axis.get(base)) text += ":" + spelled(axis, convention);
  }
  return text;
}

std::string full_form(const Convention& convention) {
  std::string text;
  for (const auto& axis : kAxes) {
    if (!text.empty()) text += ":";
    text += spelled(axis, convention);
  }
  return text;
}

}  // namespace zeropoint
