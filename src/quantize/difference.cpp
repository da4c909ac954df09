#include "zeropoint/quantize/difference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/quantize.hpp"

namespace zeropoint {
namespace {

std::size_t differing(const Matrix<float>& a, const Matrix<float>& b) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float x = a.data()[i], y = b.data()[i];
    count += x == y || (std::isnan(x) && std::isnan(y)) ? 0 : 1;
  }
  return count;
}

SchemeResult result_of(MatrixView<const float> x, const QTensor& q, const Matrix<float>& back) {
  SchemeResult result{};
  result.scheme = to_string(q.scheme());
  double error = 0, whole = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < x.cols; ++j) {
      const double off = double{x(i, j)} - double{back.data()[i * x.cols + j]};
      error += off * off;
      whole += double{x(i, j)} * double{x(i, j)};
    }
  }
  result.relative_error = error == 0 ? 0 : std::sqrt(error / whole);
  result.is_zero = whole == 0;
  result.sqnr_db = -20 * std::log10(result.relative_error);
  result.effective_bits = q.effective_bits();
  result.clipped = q.clipped();
  result.tiles = q.parameters().tiles.size();
  if (result.tiles > 0) {
    result.scale = q.parameters().tiles[0].scale;
    result.zero_point = q.parameters().tiles[0].zero_point;
  }
  const MatrixView<const float> again{back.data(), x.rows, x.cols,
                                      static_cast<std::ptrdiff_t>(x.cols), 1};
  try {
    result.changed_again =
        differing(back, quantize(again, q.scheme(), q.encoding_parameters()).dequantized());
    result.changed_anew = differing(back, fake_quantize(again, q.scheme()));
  } catch (const InputError& refusal) {  // what came back lies beyond fp16, say
    result.changed_again = result.changed_anew = std::nullopt;
    result.not_again = refusal.what();
  }
  return result;
}

std::string transforms_of(const Scheme& scheme) {
  std::string text;
  for (const auto& transform : scheme.transforms) {
    text += (text.empty() ? "" : "+") + to_string(transform);
  }
  return text.empty() ? "none" : text;
}

// "key=value" of every axis of a convention.
std::vector<std::pair<std::string, std::string>> axes_of(const Convention& convention) {
  std::vector<std::pair<std::string, std::string>> axes;
  const std::string text = full_form(convention);
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(':', at), text.size());
    const auto equals = text.find('=', at);
    axes.emplace_back(text.substr(at, equals - at), text.substr(equals + 1, end - equals - 1));
    at = end + 1;
  }
  return axes;
}

std::string range_of(const Scheme& scheme) {
  return scheme.unit_scale ? "unit" : to_string(scheme.range);
}

std::string dequantization_of(const Scheme& scheme) { return scheme.shrinks ? "shrink" : "plain"; }

// Whether a scheme says all that it is made of: parse_scheme refuses or drops what decides nothing.
bool can_be_said(const Scheme& scheme) {
  try {
    return parse_scheme(to_string(scheme)) == scheme;
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace

SchemeDifference compare_schemes(MatrixView<const float> x, const Scheme& a, const Scheme& b,
                                 std::string_view what) {
  const QTensor qa = quantize(x, a, Role::stored, what);
  const QTensor qb = quantize(x, b, Role::stored, what);
  const Matrix<float> back_a = qa.dequantized(), back_b = qb.dequantized();
  SchemeDifference difference;
  difference.elements = x.rows * x.cols;
  difference.a = result_of(x, qa, back_a);
  difference.b = result_of(x, qb, back_b);
  difference.values_differ = differing(back_a, back_b);
  for (std::size_t i = back_a.size(); i-- > 0;) {
    const double off = std::abs(double{back_a.data()[i]} - double{back_b.data()[i]});
    if (back_a.data()[i] != back_b.data()[i]) difference.first_at = i;
    if (off > difference.largest_difference) difference.largest_difference = off;
  }
  difference.has_codes = a.format.kind == FormatKind::integer && b.format.kind == a.format.kind &&
                         a.format.bits == b.format.bits &&
                         a.format.grid.is_signed == b.format.grid.is_signed;
  if (difference.has_codes) {
    qa.visit_codes([&]<class Code>(const Matrix<Code>& codes_a) {
      qb.visit_codes([&]<class Other>(const Matrix<Other>& codes_b) {
        if constexpr (std::is_same_v<Code, Other>) {
          for (std::size_t i = 0; i < codes_a.size(); ++i) {
            const std::int64_t step =
                std::abs(std::int64_t{codes_a.data()[i]} - std::int64_t{codes_b.data()[i]});
            difference.codes_differ += step != 0 ? 1 : 0;
            difference.largest_step = std::max(difference.largest_step, step);
          }
        }
      });
    });
  }

  difference.same = a == b;
  // Takes over from b what `take` says, where a's scheme may say it.
  const auto try_axis = [&](std::string axis, std::string was, std::string becomes,
                            const auto& take) {
    if (was == becomes) return;
    Scheme other = a;
    take(other);
    if (a.format.kind == FormatKind::integer) {
      other.format.grid = other.convention.grid(a.format.bits);
    }
    if (!can_be_said(other)) return;
    const auto changed = differing(back_a, fake_quantize(x, other, Role::stored, what));
    difference.axes.push_back({std::move(axis), std::move(was), std::move(becomes), changed});
  };
  if (a.format.name != b.format.name) {
    difference.axes.push_back({"format", a.format.name, b.format.name, difference.values_differ});
  }
  if (a.transforms != b.transforms) {
    try_axis("transforms", transforms_of(a), transforms_of(b),
             [&](Scheme& other) { other.transforms = b.transforms; });
  }
  // The rules of blocks are no words that others could take over.
  const bool both_blocks = a.format.kind == FormatKind::block && b.format.kind == FormatKind::block;
  if (b.format.kind != FormatKind::block) {
    try_axis("granularity", to_string(a.granularity), to_string(b.granularity),
             [&](Scheme& other) { other.granularity = b.granularity; });
    try_axis("range", range_of(a), range_of(b), [&](Scheme& other) {
      other.range = b.range;
      other.unit_scale = b.unit_scale;
    });
    try_axis("dequantization", dequantization_of(a), dequantization_of(b),
             [&](Scheme& other) { other.shrinks = b.shrinks; });
  }
  if (both_blocks && a.format.block->has_scale_rule && b.format.block->has_scale_rule) {
    try_axis("scale-rule", std::string(to_string(a.scale_rule)),
             std::string(to_string(b.scale_rule)),
             [&](Scheme& other) { other.scale_rule = b.scale_rule; });
  }
  if (b.format.kind != FormatKind::block || (both_blocks && b.format.block->has_scale_rule)) {
    const auto axes_a = axes_of(a.convention), axes_b = axes_of(b.convention);
    for (std::size_t i = 0; i < axes_a.size(); ++i) {
      if (axes_a[i].first == "norm" || axes_a[i].first == "sign") continue;
      try_axis(axes_a[i].first, axes_a[i].second, axes_b[i].second, [&](Scheme& other) {
        set_axis(other.convention, axes_b[i].first + "=" + axes_b[i].second);
        if (axes_b[i].first == "rounding") other.seed = b.seed;
      });
    }
    if (a.convention.rounding == b.convention.rounding) {
      try_axis("seed", std::to_string(a.seed), std::to_string(b.seed),
               [&](Scheme& other) { other.seed = b.seed; });
    }
  }
  return difference;
}

}  // namespace zeropoint
