// The error of a scheme from the settings alone: docs/predictions.md has the derivation.
#include "zeropoint/theory/scheme_error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/theory/product_error.hpp"
#include "zeropoint/transforms/hadamard.hpp"

#include "theory/normal_mixture.hpp"
#include "theory/quantized_operand.hpp"

namespace zeropoint {
using namespace scheme_error;
namespace {

// tr(QSQS) with Q = diag(1, −h).
double trace(const Pair& s, double h) {
  return s.dd * s.dd - 2 * h * s.dy * s.dy + h * h * s.yy * s.yy;
}

// A bilinear form of A's and B's squares, and what two of it have in common.
using Form = std::array<std::array<double, 3>, 3>;
double product_of(const Form& form, const Covariance& a, const Covariance& b) {
  double sum = 0;
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t s = 0; s < 3; ++s) {
      for (std::size_t t = 0; t < 3; ++t) {
        for (std::size_t u = 0; u < 3; ++u) sum += form[r][t] * form[s][u] * a[r][s] * b[t][u];
      }
    }
  }
  return sum;
}

// The variance of the ratio that remains when all of A's and B's mean features are as expected:
// entries of Y and its error are no better than random, D² and Y² of normal ones; and rows of A
// and columns of B differ in their sums.
double variance_of_interaction(const ProductError& error, const Features& a, const Features& b,
                               const Neighbours& near_a, const Neighbours& near_b,
                               const Covariance& of_a, const Covariance& of_b, double m, double n) {
  const double k = error.k();
  const Ratio ratio = error.ratio(a, b);
  const double h = ratio.value();
  const double mean_d = ProductError::mean_error(a, b);
  const double mean_y = a[kX] * b[kX];
  const Pair& near = error.neighbours();
  const Pair all = {k * (ProductError::square_error(a, b) - mean_d * mean_d + near.dd),
                    k * (ProductError::error_by_product(a, b) - mean_d * mean_y + near.dy),
                    k * (a[kXX] * b[kXX] - mean_y * mean_y)};
  // Of E[(D, Y) | row of A]: d is −(x·e' + e·(x' + e')) in the other's means, y is x·x'.
  const auto main_effect = [&](const Features& of, const Neighbours& others,
                               const Features& other) {
    const auto covariance = [&](std::size_t i) {
      const double alone = squares_of_means(of)[i];
      return of[i] - alone + others.count * (others.pair[i] - alone);
    };
    const double xx = of[kXX] - of[kX] * of[kX];
    const double xe = covariance(kXE);
    const double ee = covariance(kEE);
    const double by_x = -other[kE];
    const double by_e = -(other[kX] + other[kE]);
    return Pair{k * (by_x * by_x * xx + 2 * by_x * by_e * xe + by_e * by_e * ee),
                k * other[kX] * (by_x * xx + by_e * xe), k * other[kX] * other[kX] * xx};
  };
  const Pair rows = main_effect(a, near_a, b);
  const Pair columns = main_effect(b, near_b, a);
  // What a tile's range does to the square of its sum is in the cumulants of tiles.
  const auto of_ranges = [&](const Features& of, const Neighbours& others, const Features& other) {
    const Features alone = squares_of_means(of);
    Features by_range = alone;
    for (const auto i : {kXE, kEE}) by_range[i] += others.pair[i] - alone[i];
    by_range[kX] = of[kX];
    by_range[kE] = of[kE];
    const Pair pair = main_effect(by_range, {}, other);
    return 2 * trace(pair, h) * others.count * others.count * (others.count + 1) / k;
  };
  const Pair rest = {all.dd - rows.dd - columns.dd, all.dy - rows.dy - columns.dy,
                     all.yy - rows.yy - columns.yy};
  const double d = k * mean_d;
  const double y = k * mean_y;
  const double of_means = 4 * (d * d * rest.dd - 2 * h * d * y * rest.dy + h * h * y * y * rest.yy);
  double variance =
      (2 * (trace(all, h) - trace(rows, h) - trace(columns, h)) + of_means) / (m * n) +
      (2 * trace(rows, h) - of_ranges(a, near_a, b)) / m +
      (2 * trace(columns, h) - of_ranges(b, near_b, a)) / n;
  // Entries of a row that meet errors which share a tile of B: of pairs x, e of A with a form of
  // B's neighbours, and the other way around.
  const auto of_pairs = [&](const Features& of, const Features& other, const Neighbours& others) {
    const Features alone = squares_of_means(other);
    const double ee = others.pair[kEE] - alone[kEE];
    const double xe = others.pair[kXE] - alone[kXE];
    const std::array<double, 3> f = {ee, xe + ee, 2 * xe + ee};  // of x·x, x·e, e·e
    const std::array<double, 3> s = {of[kXX] - of[kX] * of[kX], of[kXE] - of[kX] * of[kE],
                                     of[kEE] - of[kE] * of[kE]};
    // tr(FSFS) of symmetric 2×2 matrices.
    const double a11 = f[0] * s[0] + f[1] * s[1];
    const double a12 = f[0] * s[1] + f[1] * s[2];
    const double a21 = f[1] * s[0] + f[2] * s[1];
    const double a22 = f[1] * s[1] + f[2] * s[2];
    return 2 * k * others.count * (a11 * a11 + 2 * a12 * a21 + a22 * a22);
  };
  variance += of_pairs(a, b, near_b) / m + of_pairs(b, a, near_a) / n;
  // E[d²], E[dy] and E[y²] of two entries by their x², xe and e².
  constexpr Form kOfD = {{{0, 0, 1}, {0, 2, 2}, {1, 2, 1}}};
  constexpr Form kOfDY = {{{0, -1, 0}, {-1, -1, 0}, {0, 0, 0}}};
  constexpr Form kOfY = {{{1, 0, 0}, {0, 0, 0}, {0, 0, 0}}};
  Form of_difference = kOfD;
  of_difference[0][0] -= h;
  // Squares that meet squares: heavy tails; and those of neighbours, which share a scale.
  const double both = std::min(near_a.count, near_b.count);
  variance += k *
              (product_of(of_difference, of_a, of_b) +
               both * product_of(of_difference, near_a.squares, near_b.squares)) /
              (m * n);
  // Rows and columns, or tiles in them, with larger errors have a larger part in how entries stray.
  const auto trace_of = [&](const Covariance& x, const Covariance& others) {
    return product_of(kOfD, x, others) - 2 * h * product_of(kOfDY, x, others) +
           h * h * product_of(kOfY, x, others);
  };
  variance += 2 * k *
              (near_a.count * trace_of(near_a.squares, products(b)) +
               near_b.count * trace_of(products(a), near_b.squares) +
               both * trace_of(near_a.squares, near_b.squares)) /
              (m * n);
  const double whole = k * ratio.denominator;
  return std::max(0.0, variance) / (whole * whole);
}

// `count` values of equal probability that stand for weighted ones.
std::vector<double> even_quantiles(std::vector<std::pair<double, double>> weighted,
                                   std::size_t count) {
  std::sort(weighted.begin(), weighted.end());
  double total = 0;
  for (const auto& [value, weight] : weighted) total += weight;
  std::vector<double> quantiles;
  // Each value stands at the middle of its probability.
  std::size_t i = 0;
  double before = 0;  // of value i
  for (std::size_t j = 0; j < count; ++j) {
    const double wanted = total * (static_cast<double>(j) + 0.5) / static_cast<double>(count);
    while (i + 1 < weighted.size() &&
           before + weighted[i].second + weighted[i + 1].second / 2 < wanted) {
      before += weighted[i].second;
      ++i;
    }
    const double here = before + weighted[i].second / 2;
    double value = weighted[i].first;
    if (i + 1 < weighted.size() && wanted > here) {
      const double next = before + weighted[i].second + weighted[i + 1].second / 2;
      value += (weighted[i + 1].first - value) * (wanted - here) / (next - here);
    }
    quantiles.push_back(value);
  }
  return quantiles;
}

double nth(std::vector<double>& values, double p) {
  const double rank = p * static_cast<double>(values.size()) - 0.5;
  const auto low = static_cast<std::ptrdiff_t>(std::floor(rank));
  std::nth_element(values.begin(), values.begin() + low, values.end());
  const double at = values[static_cast<std::size_t>(low)];
  const double next = *std::min_element(values.begin() + low + 1, values.end());
  return at + (rank - std::floor(rank)) * (next - at);
}

double root(double x) { return std::sqrt(std::max(0.0, x)); }

ErrorPrediction combine(const ProductError& error, const QuantizedOperand* a_operand,
                        const QuantizedOperand* b_operand, const Features& a, const Features& b,
                        const Noise& noise) {
  using Outcomes = std::vector<QuantizedOperand::Outcome>;
  const Outcomes outcomes_a = a_operand != nullptr ? a_operand->outcomes() : Outcomes{{1, a}};
  const Outcomes outcomes_b = b_operand != nullptr ? b_operand->outcomes() : Outcomes{{1, b}};
  ErrorPrediction prediction;
  const double expected = error.ratio(a, b).value();
  if (!std::isfinite(expected) || !std::isfinite(noise.variance)) {
    prediction.why_not = "the moments of the operands are not finite";
    return prediction;
  }

  std::vector<std::pair<double, double>> of_a, of_b;
  for (const auto& x : outcomes_a) {
    of_a.emplace_back(error.ratio(x.mean, b).value() - expected, x.probability);
  }
  for (const auto& y : outcomes_b) {
    of_b.emplace_back(error.ratio(a, y.mean).value() - expected, y.probability);
  }
  // The mean of √(1 + what strays).
  const auto noises = even_quantiles(noise, expected, 256);
  double shrinks = 0;
  for (const double y : noises) shrinks += expected > 0 ? root(1 + y / expected) : 1;
  shrinks /= static_cast<double>(noises.size());
  double total = 0;
  for (const auto& [off_a, weight_a] : of_a) {
    for (const auto& [off_b, weight_b] : of_b) {
      prediction.expected += weight_a * weight_b * root(expected + off_a + off_b) * shrinks;
      total += weight_a * weight_b;
    }
  }
  prediction.expected /= total;

  constexpr std::size_t kFew = 128;
  const auto quantiles_a = even_quantiles(of_a, of_a.size() == 1 ? 1 : kFew);
  const auto quantiles_b = even_quantiles(of_b, of_b.size() == 1 ? 1 : kFew);
  std::vector<std::pair<double, double>> both;
  for (const double x : quantiles_a) {
    for (const double y : quantiles_b) both.emplace_back(x + y, 1);
  }
  const auto ranges = even_quantiles(both, both.size() == 1 ? 1 : 2 * kFew);
  std::vector<double> all;
  for (const double x : ranges) {
    // What strays is a part of the error.
    for (const double y : noises) {
      all.push_back(expected > 0 ? (expected + x) * (1 + y / expected) : x + y);
    }
  }
  // Deviations are off by 3.0 % (docs/predictions.md), so that 1 + 1.645 · 3.0 % of one is enough
  // 19 times in 20: intervals are to hold 95 % of the measurements of each kind, not of all
  // together.
  constexpr double kOwn = 1.05;
  const auto widened = [&](double p) {
    const double end = root(nth(all, p));
    return std::max(0.0, prediction.expected + kOwn * (end - prediction.expected));
  };
  prediction.low = widened(0.025);
  prediction.high = widened(0.975);
  return prediction;
}

// Entries after a scheme's transforms along k, which leave the product as it was.
struct Transformed {
  std::unique_ptr<const Distribution> made;
  const Distribution* entries;
  std::string why_not;
};
Transformed transformed(const Distribution& distribution, const std::vector<Transform>& transforms,
                        std::size_t k) {
  Transformed result{nullptr, &distribution, {}};
  if (transforms.empty()) return result;
  const bool is_rotated = std::ranges::all_of(
      transforms, [](const Transform& t) { return t.kind == TransformKind::hadamard; });
  if (!is_rotated || !distribution.is_independent()) {
    result.why_not = "transforms change the distribution";
    return result;
  }
  if (distribution.name() == "normal") return result;
  // Sums of many numbers, uncorrelated and all but normal: what is left of the excess kurtosis.
  const auto order = static_cast<double>(hadamard_order_for(k));
  const double mean = distribution.partial_mean(kInfinity);
  const double square = distribution.partial_square(kInfinity);
  const double spread = Points(distribution, order).square_spread;
  constexpr double kMostExcess = 0.006;
  if (!(mean * mean * order < 1e-6 * square && std::isfinite(square) &&
        std::abs(spread * spread - 2) / order < kMostExcess)) {
    result.why_not =
        fmt::format("{} numbers of {} do not add up to a normal one", order, distribution.name());
    return result;
  }
  result.made = std::make_unique<const NormalMixture>(
      fmt::format("rotated {}", distribution.name()), "",
      std::vector<NormalMixture::Part>{{1, std::sqrt(square)}});
  result.entries = result.made.get();
  return result;
}

std::string refusal(const Distribution& distribution, const Scheme& scheme, std::size_t rows,
                    std::size_t cols) {
  // Their errors have a mean of about half a step, so that those of two operands add up along a
  // whole tile, whose scales vary; measured 4 to 8 % above what independent errors would give.
  const bool has_tiles =
      scheme.format.kind == FormatKind::block || scheme.granularity.kind != GranularityKind::tensor;
  if (has_tiles && (scheme.convention.rounding == Rounding::floor ||
                    scheme.convention.rounding == Rounding::ceil)) {
    return "errors of one sign add up along tiles";
  }
  if (!distribution.is_independent()) {
    return fmt::format("the entries of {} are not independent", distribution.name());
  }
  if (rows == 0 || cols == 0) return "there are no entries";
  if (scheme.is_static) return "static parameters come from elsewhere";
  return no_step_function(scheme);
}

// A range that is taken where the error is least, or from the mean square, is known well enough for
// squares of errors, but not for their mean, on which a product of numbers with means hangs.
std::string no_means(const ProductError& error, const QuantizedOperand& a,
                     const QuantizedOperand& b) {
  if (!a.has_central_range() && !b.has_central_range()) return {};
  const double mean = ProductError::mean_error(a.mean(), b.mean());
  const double square = ProductError::square_error(a.mean(), b.mean());
  if ((error.k() - 1) * mean * mean < 0.1 * square) return {};
  return "the mean of the errors decides, and hangs on a range that is known in the mean alone";
}

ErrorPrediction none(std::string why_not) {
  ErrorPrediction prediction;
  prediction.why_not = std::move(why_not);
  return prediction;
}

}  // namespace

ErrorPrediction predict_tensor(const Distribution& source, const Scheme& scheme, std::size_t rows,
                               std::size_t cols, Role role) {
  const auto entries = transformed(source, scheme.transforms, role == Role::right ? rows : cols);
  if (!entries.why_not.empty()) return none(entries.why_not);
  const Distribution& distribution = *entries.entries;
  if (auto why_not = refusal(distribution, scheme, rows, cols); !why_not.empty()) {
    return none(why_not);
  }
  const auto table = PartialMoments::of(distribution);
  const PartialMoments& moments = *table;
  const Points points(distribution, static_cast<double>(rows) * static_cast<double>(cols));
  const QuantizedOperand operand(moments, points, scheme, rows, cols, role);
  if (!operand.why_not().empty()) return none(operand.why_not());
  // As if multiplied by numbers that are exact, one at a time.
  const ProductError error(1);
  const Features exact = {0, 0, 1, 0, 0};
  const Features& x = operand.mean();
  const Features g = operand.gradient(
      error.gradient(x, exact), [&](const Features& f) { return error.ratio(f, exact).value(); });
  Covariance covariance;
  const Noise noise = operand.noise(g, {}, points, covariance);
  return combine(error, &operand, nullptr, x, exact, noise);
}

ErrorPrediction predict_product(const Distribution& source, const SchemePair& schemes,
                                std::size_t m, std::size_t k, std::size_t n) {
  const auto entries = transformed(source, schemes.a.transforms, k);
  if (!entries.why_not.empty()) return none(entries.why_not);
  const Distribution& distribution = *entries.entries;
  for (const auto& why_not :
       {refusal(distribution, schemes.a, m, k), refusal(distribution, schemes.b, k, n)}) {
    if (!why_not.empty()) return none(why_not);
  }
  const auto table = PartialMoments::of(distribution);
  const PartialMoments& moments = *table;
  const auto rows = static_cast<double>(m);
  const auto depth = static_cast<double>(k);
  const auto columns = static_cast<double>(n);
  const Points points(distribution, depth * std::max(rows, columns));
  const QuantizedOperand operand_a(moments, points, schemes.a, m, k, Role::left);
  if (!operand_a.why_not().empty()) return none(operand_a.why_not());
  // Alike as a rule, and then alike in all that is expected of them.
  const bool is_alike = schemes.a == schemes.b && tile_kinds(schemes.a, m, k, Role::left) ==
                                                      tile_kinds(schemes.b, k, n, Role::right);
  std::optional<QuantizedOperand> other;
  if (!is_alike) other.emplace(moments, points, schemes.b, k, n, Role::right);
  const QuantizedOperand& operand_b = is_alike ? operand_a : *other;
  if (!operand_b.why_not().empty()) return none(operand_b.why_not());
  const Features& a = operand_a.mean();
  const Features& b = operand_b.mean();
  ProductError error(depth);
  if (const auto why_not = no_means(error, operand_a, operand_b); !why_not.empty()) {
    return none(why_not);
  }
  error.add_neighbours(operand_a.neighbours(), operand_b.neighbours(), a, b);
  const Features by_a = operand_a.gradient(
      error.gradient(a, b), [&](const Features& f) { return error.ratio(f, b).value(); });
  const Features by_b = operand_b.gradient(
      error.gradient(b, a), [&](const Features& f) { return error.ratio(a, f).value(); });
  Covariance of_a, of_b;
  const auto& near_a = operand_a.neighbours();
  const auto& near_b = operand_b.neighbours();
  Noise noise = operand_a.noise(by_a, error.gradient_by_pair(near_a, near_b, a, b), points, of_a);
  noise.add(operand_b.noise(by_b, error.gradient_by_pair(near_b, near_a, b, a), points, of_b));
  const double interaction =
      variance_of_interaction(error, a, b, near_a, near_b, of_a, of_b, rows, columns);
  noise.rest += interaction;
  noise.variance += interaction;
  return combine(error, &operand_a, &operand_b, a, b, noise);
}

ErrorPrediction predict_study_error(const Distribution& source, std::size_t m, std::size_t k,
                                    std::size_t n, double cover, int bits,
                                    const Convention& convention) {
  if (convention.rounding == Rounding::stochastic) return none("rounding is at random");
  const double mean = source.partial_mean(kInfinity);
  if (mean * mean > 0.01 * source.partial_square(kInfinity)) {
    return none("entries have a mean, so that those of a row of the product have a part in common");
  }
  Scheme scheme;
  scheme.format.bits = bits;
  scheme.format.grid = convention.grid(bits);
  scheme.format.name = name(scheme.format.grid);
  scheme.range = {RangeKind::cover, cover};
  scheme.convention = convention;
  const auto product = predict_product(source, {scheme, scheme}, m, k, n);
  if (!product.has_value()) return product;
  // Y is normal, and its errors are no part of the product's.
  const auto output = predict_tensor(distribution("normal"), scheme, m, n);
  if (!output.has_value()) return output;
  const auto study = predict_study(source, m, k, n, cover, bits, convention).errors;
  const double whole = study.ground_truth * study.ground_truth;
  const double of_product = std::min(whole, study.product * study.product);
  // How far their squares stray, together.
  const auto strays = [](double part, double end, double expected) {
    return expected > 0 ? part * (end * end / (expected * expected) - 1) : 0;
  };
  const auto together = [&](double product_end, double output_end) {
    return std::hypot(strays(of_product, product_end, product.expected),
                      strays(whole - of_product, output_end, output.expected));
  };
  ErrorPrediction prediction;
  prediction.expected = study.ground_truth;
  prediction.low = root(whole - together(product.low, output.low));
  prediction.high = root(whole + together(product.high, output.high));
  return prediction;
}

}  // namespace zeropoint
