#include "zeropoint/weights/compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"

#include "weights/differences.hpp"
#include "weights/name_pattern.hpp"

namespace zeropoint {
namespace {

using Shape = std::vector<std::size_t>;

Shape squeezed(const Shape& shape) {
  Shape rest;
  std::ranges::copy_if(shape, std::back_inserter(rest), [](std::size_t n) { return n != 1; });
  return rest;
}

std::optional<double> relative(double error, double energy) {
  if (error == 0) return 0;
  if (energy == 0) return std::nullopt;
  return std::sqrt(error / energy);
}

// Those whose names are in one file alone.
void pair_rest(const std::vector<const Weight*>& rest_a, const std::vector<const Weight*>& rest_b,
               WeightPairs& result) {
  const auto shape = [](const Weight* weight) { return squeezed(weight->shape); };
  if (std::ranges::equal(rest_a, rest_b, {}, shape, shape)) {
    for (std::size_t i = 0; i < rest_a.size(); ++i) {
      result.pairs.push_back({rest_a[i], rest_b[i], PairedBy::order});
    }
    return;
  }
  std::map<Shape, std::pair<std::vector<const Weight*>, std::vector<const Weight*>>> by_shape;
  for (const Weight* weight : rest_a) by_shape[shape(weight)].first.push_back(weight);
  for (const Weight* weight : rest_b) by_shape[shape(weight)].second.push_back(weight);
  const auto is_only = [&](const Weight* weight) {
    const auto& [of_a, of_b] = by_shape[shape(weight)];
    return of_a.size() == 1 && of_b.size() == 1;
  };
  for (const Weight* weight : rest_a) {
    if (is_only(weight)) {
      result.pairs.push_back({weight, by_shape[shape(weight)].second[0], PairedBy::shape});
    } else {
      result.only_a.push_back(weight);
    }
  }
  std::ranges::copy_if(rest_b, std::back_inserter(result.only_b), std::not_fn(is_only));
}

// An index for each axis.
Shape place_of(std::size_t at, const Shape& shape) {
  Shape place(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    place[axis] = at % shape[axis];
    at /= shape[axis];
  }
  return place;
}

bool same_bytes(const TensorBytes& a, const TensorBytes& b) {
  const auto x = a.bytes(), y = b.bytes();
  return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size()) == 0);
}

bool identical(const WeightFile& file_a, const Weight& a, const WeightFile& file_b,
               const Weight& b) {
  if (a.shape != b.shape || a.is_quantized != b.is_quantized || a.scheme != b.scheme) return false;
  const auto *const how_a = file_a.dequantization(a), *const how_b = file_b.dequantization(b);
  if ((how_a == nullptr) != (how_b == nullptr)) return false;
  if (how_a != nullptr && (how_a->axis != how_b->axis || how_a->block != how_b->block ||
                           how_a->per_channel != how_b->per_channel)) {
    return false;
  }
  const auto parts_a = file_a.parts(a), parts_b = file_b.parts(b);
  return std::ranges::equal(
      parts_a, parts_b, [&](const StoredTensor* part_a, const StoredTensor* part_b) {
        return part_a->type == part_b->type && part_a->shape == part_b->shape &&
               same_bytes(file_a.file().load(*part_a), file_b.file().load(*part_b));
      });
}

void compare(const WeightFile& file_a, const WeightFile& file_b, WeightDifference& out) {
  const Weight &a = *out.pair.a, &b = *out.pair.b;
  if (squeezed(a.shape) != squeezed(b.shape)) {
    out.problem = "shapes differ";
    return;
  }
  out.identical = identical(file_a, a, file_b, b);
  if (const auto codes = code_differences(file_a, a, file_b, b)) {
    out.codes_differ = codes->differ;
    out.largest_step = codes->largest_step;
  }
  const WeightValues values_a = file_a.load(a), values_b = file_b.load(b);
  const Differences found = differences(values_a.values(), values_b.values());
  out.values = found.values;
  out.values_differ = found.differ;
  out.error = found.error;
  out.energy_a = found.energy_a;
  out.energy_b = found.energy_b;
  out.product = found.product;
  out.largest = found.largest;
  if (found.largest_at != Differences::kNone) {
    out.largest_at = place_of(found.largest_at, a.shape);
    out.largest_a = values_a.values()[found.largest_at];
    out.largest_b = values_b.values()[found.largest_at];
  }
  out.non_finite_a = found.non_finite_a;
  out.non_finite_b = found.non_finite_b;
  out.non_finite_differ = found.non_finite_differ;
  if (found.non_finite_differ > 0) {
    out.non_finite_differ_at = place_of(found.non_finite_differ_at, a.shape);
  }
}

bool is_plain_numbers(const Weight& weight) { return weight.is_numbers() && !weight.is_quantized; }

// Plain numbers that were compared are not read again.
LintedWeight linted(const WeightFile& file, const Weight& weight,
                    std::optional<std::size_t> non_finite) {
  LintedWeight row{&weight, {}, {}};
  if (is_plain_numbers(weight) && non_finite) {
    row.lint.non_finite = *non_finite;
    return row;
  }
  try {
    row.lint = file.lint(weight);
  } catch (const InputError& error) {
    row.problem = error.what();
  }
  return row;
}

void sort_by_file(const WeightFile& file, std::vector<LintedWeight>& rows) {
  const Weight* const first = file.weights().data();
  std::ranges::sort(rows, {}, [first](const LintedWeight& row) { return row.weight - first; });
}

}  // namespace

std::string_view to_string(PairedBy paired_by) {
  switch (paired_by) {
    case PairedBy::order:
      return "order";
    case PairedBy::shape:
      return "shape";
    case PairedBy::name:
      break;
  }
  return "name";
}

WeightPairs pair_weights(const WeightFile& a, const WeightFile& b) {
  WeightPairs result;
  std::vector<const Weight*> rest_a, rest_b;
  std::vector<bool> is_taken(b.weights().size(), false);
  for (const auto& weight : a.weights()) {
    const Weight* const other = b.find(weight.name);
    if (other == nullptr) {
      rest_a.push_back(&weight);
      continue;
    }
    is_taken[static_cast<std::size_t>(other - b.weights().data())] = true;
    result.pairs.push_back({&weight, other, PairedBy::name});
  }
  for (std::size_t i = 0; i < is_taken.size(); ++i) {
    if (!is_taken[i]) rest_b.push_back(&b.weights()[i]);
  }
  // An index or a count is never a weight.
  for (const bool numbers : {true, false}) {
    const auto of = [numbers](std::vector<const Weight*> some) {
      std::erase_if(some, [&](const Weight* weight) { return weight->is_numbers() != numbers; });
      return some;
    };
    pair_rest(of(rest_a), of(rest_b), result);
  }
  const auto in_file = [](std::vector<const Weight*>& some) { std::ranges::sort(some); };
  in_file(result.only_a);
  in_file(result.only_b);
  std::ranges::sort(result.pairs, {}, &WeightPair::a);
  return result;
}

std::optional<double> WeightDifference::relative_error() const { return relative(error, energy_a); }

std::optional<double> WeightDifference::sqnr_db() const {
  const auto relative = relative_error();
  if (!relative || *relative == 0) return std::nullopt;
  return -20 * std::log10(*relative);
}

std::optional<double> WeightDifference::cosine() const {
  if (energy_a == 0 || energy_b == 0) return std::nullopt;
  if (error == 0) return 1;
  return std::clamp(product / (std::sqrt(energy_a) * std::sqrt(energy_b)), -1.0, 1.0);
}

std::optional<double> FileComparison::relative_error() const { return relative(error, energy_a); }

std::vector<const WeightDifference*> FileComparison::worst(std::size_t most) const {
  std::vector<const WeightDifference*> rows;
  for (const auto& pair : pairs) {
    if (pair.problem.empty() && pair.error > 0) rows.push_back(&pair);
  }
  std::ranges::stable_sort(rows, std::greater<>(), [](const WeightDifference* row) {
    return row->relative_error().value_or(std::numeric_limits<double>::infinity());
  });
  if (rows.size() > most) rows.resize(most);
  return rows;
}

FileComparison compare_files(const WeightFile& a, const WeightFile& b, const std::string& only,
                             const BytesProgress& progress) {
  std::optional<NamePattern> pattern;
  if (!only.empty()) pattern.emplace(only, "--only");
  const auto is_asked = [&](const Weight* weight) {
    return !pattern || pattern->matches(weight->name);
  };
  WeightPairs pairs = pair_weights(a, b);
  std::erase_if(pairs.pairs,
                [&](const WeightPair& pair) { return !is_asked(pair.a) && !is_asked(pair.b); });
  std::erase_if(pairs.only_a, std::not_fn(is_asked));
  std::erase_if(pairs.only_b, std::not_fn(is_asked));

  std::uint64_t done = 0, all = 0;
  for (const auto& pair : pairs.pairs) all += pair.a->bytes + pair.b->bytes;
  for (const Weight* weight : pairs.only_a) all += weight->bytes;
  for (const Weight* weight : pairs.only_b) all += weight->bytes;
  const auto advance = [&](std::uint64_t bytes) {
    done += bytes;
    if (progress) progress(done, all);
  };
  FileComparison result;
  for (const auto& pair : pairs.pairs) {
    WeightDifference row;
    row.pair = pair;
    try {
      compare(a, b, row);
    } catch (const InputError& error) {
      row.problem = error.what();
    }
    const bool is_compared = row.problem.empty();
    if (is_compared) {
      result.compared += 1;
      result.identical += row.identical ? 1 : 0;
      result.values += row.values;
      result.error += row.error;
      result.energy_a += row.energy_a;
    }
    const auto known = [&](std::size_t count) {
      return is_compared ? std::optional(count) : std::nullopt;
    };
    result.lint_a.push_back(linted(a, *pair.a, known(row.non_finite_a)));
    result.lint_b.push_back(linted(b, *pair.b, known(row.non_finite_b)));
    result.pairs.push_back(std::move(row));
    advance(pair.a->bytes + pair.b->bytes);
  }
  for (const Weight* weight : pairs.only_a) {
    result.lint_a.push_back(linted(a, *weight, std::nullopt));
    advance(weight->bytes);
  }
  for (const Weight* weight : pairs.only_b) {
    result.lint_b.push_back(linted(b, *weight, std::nullopt));
    advance(weight->bytes);
  }
  sort_by_file(a, result.lint_a);
  sort_by_file(b, result.lint_b);
  result.only_a = std::move(pairs.only_a);
  result.only_b = std::move(pairs.only_b);
  return result;
}

std::vector<const Weight*> select_weights(const WeightFile& file, const std::string& only) {
  std::optional<NamePattern> pattern;
  if (!only.empty()) pattern.emplace(only, "--only");
  std::vector<const Weight*> chosen;
  for (const auto& weight : file.weights()) {
    if (!pattern || pattern->matches(weight.name)) chosen.push_back(&weight);
  }
  return chosen;
}

}  // namespace zeropoint
