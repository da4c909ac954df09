#include "zeropoint/weights/compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/parallel.hpp"

#include "weights/name_pattern.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 16;
constexpr float kLargest = std::numeric_limits<float>::max();

struct Sums {
  double error = 0, energy_a = 0, energy_b = 0, dot = 0;
  std::size_t differ = 0, not_finite = 0, not_finite_a = 0, not_finite_b = 0;
  float largest = -1;
  std::size_t at = 0;
};

Sums sums_of(const float* a, const float* b, std::size_t begin, std::size_t end) {
  double error = 0, energy_a = 0, energy_b = 0, dot = 0;
  std::size_t differ = 0, not_finite = 0, not_finite_a = 0, not_finite_b = 0;
  float largest = 0;
#pragma omp simd reduction(+ : error, energy_a, energy_b, dot, differ, not_finite, not_finite_a, not_finite_b) \
    reduction(max : largest)
  for (std::size_t i = begin; i < end; ++i) {
    const bool fine_a = std::abs(a[i]) <= kLargest, fine_b = std::abs(b[i]) <= kLargest;
    const bool fine = fine_a && fine_b;
    const double x = fine ? a[i] : 0.0F, y = fine ? b[i] : 0.0F;
    const double d = x - y;
    error += d * d;
    energy_a += x * x;
    energy_b += y * y;
    dot += x * y;
    differ += x != y;
    not_finite += fine_a != fine_b;
    not_finite_a += !fine_a;
    not_finite_b += !fine_b;
    const auto distance = static_cast<float>(std::abs(d));
    largest = distance > largest ? distance : largest;
  }
  return {error,      energy_a,     energy_b,     dot,     differ,
          not_finite, not_finite_a, not_finite_b, largest, 0};
}

// All pieces, in order; and where the largest difference is.
Sums compare_values(std::span<const float> a, std::span<const float> b) {
  std::vector<Sums> pieces((a.size() + kPiece - 1) / kPiece);
  parallel_for(a.size(), kPiece, [&](std::size_t begin, std::size_t end) {
    pieces[begin / kPiece] = sums_of(a.data(), b.data(), begin, end);
  });
  Sums all;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const Sums& piece = pieces[p];
    all.error += piece.error;
    all.energy_a += piece.energy_a;
    all.energy_b += piece.energy_b;
    all.dot += piece.dot;
    all.differ += piece.differ;
    all.not_finite += piece.not_finite;
    all.not_finite_a += piece.not_finite_a;
    all.not_finite_b += piece.not_finite_b;
    if (piece.largest > all.largest) {
      all.largest = piece.largest;
      all.at = p * kPiece;
    }
  }
  for (; all.largest > 0 && all.at < a.size(); ++all.at) {
    const double x = a[all.at], y = b[all.at];
    if (static_cast<float>(std::abs(x - y)) == all.largest) break;
  }
  return all;
}

std::vector<std::size_t> index_of(std::size_t at, std::span<const std::size_t> shape) {
  std::vector<std::size_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = at % shape[axis];
    at /= shape[axis];
  }
  return index;
}

// The codes of two tensors of the same kind: those of less than a byte lie in U8, packed, and are
// compared where ONNX or zeropoint says how wide they are.
void compare_codes(const WeightFile& file_a, const Weight& a, const WeightFile& file_b,
                   const Weight& b, WeightDifference& result) {
  const bool is_integer = a.is_quantized && b.is_quantized && a.stored->type == b.stored->type &&
                          a.stored->type->kind == TensorKind::integer &&
                          a.stored->count == b.stored->count;
  const auto bits = [](const Weight& w) {
    return w.scheme ? w.scheme->format.bits : static_cast<int>(w.stored->type->bits());
  };
  const auto kind = [](const Weight& w) {
    return w.scheme ? w.scheme->format.kind : FormatKind::integer;
  };
  if (!is_integer || bits(a) != bits(b) || kind(a) != kind(b)) return;
  if (kind(a) != FormatKind::integer || (a.scheme && bits(a) < 8)) return;
  const auto bytes_a = file_a.file().load(*a.stored);
  const auto bytes_b = file_b.file().load(*b.stored);
  const TensorType& type = *a.stored->type;
  std::size_t differ = 0;
  double largest = 0;
  std::vector<float> some_a(kPiece), some_b(kPiece);
  for (std::size_t done = 0; done < a.stored->count; done += kPiece) {
    const std::size_t now = std::min(kPiece, a.stored->count - done);
    const std::size_t at = done / type.block * type.bytes;
    type.decode(bytes_a.bytes().data() + at, now, some_a.data());
    type.decode(bytes_b.bytes().data() + at, now, some_b.data());
    for (std::size_t i = 0; i < now; ++i) {
      const double step = std::abs(double{some_a[i]} - some_b[i]);
      differ += step != 0;
      largest = std::max(largest, step);
    }
  }
  result.codes_differ = differ;
  result.largest_step = largest;
}

// Pairs by name, then by shape and order.
std::vector<std::pair<const Weight*, const Weight*>> pairs_of(const WeightFile& a,
                                                              const WeightFile& b,
                                                              FileDifference& result) {
  std::vector<std::pair<const Weight*, const Weight*>> pairs;
  std::set<const Weight*> taken;
  std::vector<const Weight*> left_a, left_b;
  for (const auto& weight : a.weights()) {
    const Weight* const other = b.find(weight.name);
    if (other == nullptr) {
      left_a.push_back(&weight);
      continue;
    }
    pairs.emplace_back(&weight, other);
    taken.insert(other);
  }
  for (const auto& weight : b.weights()) {
    if (!taken.contains(&weight)) left_b.push_back(&weight);
  }
  const bool alike = left_a.size() == left_b.size() &&
                     std::ranges::equal(
                         left_a, left_b, {}, [](const Weight* w) { return w->shape; },
                         [](const Weight* w) { return w->shape; });
  for (std::size_t i = 0; alike && i < left_a.size(); ++i) pairs.emplace_back(left_a[i], left_b[i]);
  for (const Weight* weight : left_a) {
    if (!alike) result.only_a.push_back(weight->name);
  }
  for (const Weight* weight : left_b) {
    if (!alike) result.only_b.push_back(weight->name);
  }
  return pairs;
}

void add_lint(const WeightFile& file, const Weight& weight, std::size_t not_finite,
              std::vector<LintFinding>& findings) {
  LintFinding finding{weight.name, weight.type, not_finite, file.lint(weight)};
  if (!finding.is_clean()) findings.push_back(std::move(finding));
}

}  // namespace

FileDifference compare_files(const WeightFile& a, const WeightFile& b, const std::string& only,
                             const BytesProgress& progress) {
  FileDifference result;
  result.path_a = a.file().path();
  result.path_b = b.file().path();
  result.container_a = a.file().container();
  result.container_b = b.file().container();
  std::optional<NamePattern> pattern;
  if (!only.empty()) pattern.emplace(only, "--only");
  auto pairs = pairs_of(a, b, result);
  std::uint64_t done = 0, all = 0;
  if (pattern) {
    std::erase_if(pairs, [&](const auto& pair) { return !pattern->matches(pair.first->name); });
    std::erase_if(result.only_a, [&](const auto& name) { return !pattern->matches(name); });
    std::erase_if(result.only_b, [&](const auto& name) { return !pattern->matches(name); });
  }
  for (const auto& [x, y] : pairs) all += x->bytes + y->bytes;
  double error = 0, energy = 0;
  for (const auto& [x, y] : pairs) {
    WeightDifference& each = result.weights.emplace_back();
    each.name_a = x->name;
    each.name_b = y->name;
    each.by_shape = x->name != y->name;
    each.shape = x->shape;
    each.type_a = x->type;
    each.type_b = y->type;
    each.bytes_a = x->bytes;
    each.bytes_b = y->bytes;
    each.count = x->count;
    result.bytes_a += x->bytes;
    result.bytes_b += y->bytes;
    done += x->bytes + y->bytes;
    // A vector of n and a matrix of 1 × n are the same to containers that know rows alone.
    const auto without_ones = [](std::vector<std::size_t> shape) {
      std::erase(shape, std::size_t{1});
      return shape;
    };
    if (without_ones(x->shape) != without_ones(y->shape)) {
      each.problem =
          fmt::format("shapes [{}] and [{}]", fmt::join(x->shape, ", "), fmt::join(y->shape, ", "));
      continue;
    }
    const WeightValues values_a = a.load(*x), values_b = b.load(*y);
    const Sums sums = compare_values(values_a.values(), values_b.values());
    each.relative_error = sums.error == 0      ? 0
                          : sums.energy_a == 0 ? std::numeric_limits<double>::infinity()
                                               : std::sqrt(sums.error / sums.energy_a);
    each.sqnr_db = each.relative_error > 0 ? -20 * std::log10(each.relative_error) : kNone;
    if (sums.energy_a > 0 && sums.energy_b > 0) {
      each.cosine = sums.dot / std::sqrt(sums.energy_a) / std::sqrt(sums.energy_b);
    }
    each.values_differ = sums.differ;
    each.not_finite_differ = sums.not_finite;
    if (sums.largest > 0 && sums.at < each.count) {
      each.largest = sums.largest;
      each.largest_at = index_of(sums.at, x->shape);
      each.largest_a = values_a.values()[sums.at];
      each.largest_b = values_b.values()[sums.at];
    }
    compare_codes(a, *x, b, *y, each);
    result.values += each.count;
    result.same += sums.error == 0 && sums.differ == 0 && sums.not_finite == 0;
    error += sums.error;
    energy += sums.energy_a;
    add_lint(a, *x, sums.not_finite_a, result.lint_a);
    add_lint(b, *y, sums.not_finite_b, result.lint_b);
    if (progress) progress(done, all);
  }
  result.relative_error = error == 0    ? 0
                          : energy == 0 ? std::numeric_limits<double>::infinity()
                                        : std::sqrt(error / energy);
  return result;
}

}  // namespace zeropoint
