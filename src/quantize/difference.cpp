#include "zeropoint/quantize/difference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

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
        differing(back, quantize(again, q.scheme(), q.parameters()).dequantized());
    result.changed_anew = differing(back, fake_quantize(again, q.scheme()));
  } catch (const InputError&) {  // what came back cannot be quantized: beyond fp16, say
    result.changed_anew = back.size();
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

  const auto try_axis = [&](std::string axis, std::string was, std::string becomes, Scheme scheme) {
    if (was == becomes) return;
    const auto changed = differing(back_a, fake_quantize(x, scheme, Role::stored, what));
    difference.axes.push_back({std::move(axis), std::move(was), std::move(becomes), changed});
  };
  Scheme other = a;
  other.granularity = b.granularity;
  try_axis("granularity", to_string(a.granularity), to_string(b.granularity), other);
  other = a;
  other.range = b.range;
  try_axis("range", to_string(a.range), to_string(b.range), other);
  const auto axes_a = axes_of(a.convention), axes_b = axes_of(b.convention);
  for (std::size_t i = 0; i < axes_a.size(); ++i) {
    if (axes_a[i].first == "norm" || axes_a[i].first == "sign") continue;
    other = a;
    set_axis(other.convention, axes_b[i].first + "=" + axes_b[i].second);
    if (a.format.kind == FormatKind::integer) {
      other.format.grid = other.convention.grid(a.format.bits);
    }
    try_axis(axes_a[i].first, axes_a[i].second, axes_b[i].second, other);
  }
  if (a.transforms != b.transforms) {
    other = a;
    other.transforms = b.transforms;
    try_axis("transforms", transforms_of(a), transforms_of(b), other);
  }
  if (a.format.name != b.format.name) {
    difference.axes.insert(difference.axes.begin(),
                           {"format", a.format.name, b.format.name, difference.values_differ});
  }
  return difference;
}

}  // namespace zeropoint
