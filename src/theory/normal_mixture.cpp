#include "theory/normal_mixture.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "theory/distribution_rows.hpp"

namespace zeropoint {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }
double normal_pdf(double x) {
  return std::exp(-x * x / 2) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
}

}  // namespace

NormalMixture::NormalMixture(std::string name, std::string title, std::vector<Part> parts)
    : Distribution(std::move(name), std::move(title)) {
  for (const Part& part : parts) {
    if (part.scale > 0) {
      parts_.push_back(part);
    } else {
      atom_ += part.weight;
    }
    widest_ = std::max(widest_, part.scale);
  }
}

double NormalMixture::pdf(double x) const {
  if (x == 0 && atom_ > 0) return kInfinity;
  double sum = 0;
  for (const auto& [weight, scale] : parts_) sum += weight / scale * normal_pdf(x / scale);
  return sum;
}

double NormalMixture::below(double x) const {
  double sum = 0;
  for (const auto& [weight, scale] : parts_) sum += weight * normal_cdf(x / scale);
  return sum;
}

double NormalMixture::cdf(double x) const { return x < 0 ? below(x) : 1 - below(-x); }

double NormalMixture::partial_mean(double x) const {
  double sum = 0;
  for (const auto& [weight, scale] : parts_) sum -= weight * scale * normal_pdf(x / scale);
  return sum;
}

double NormalMixture::partial_square(double x) const {
  double sum = 0;
  for (const auto& [weight, scale] : parts_) {
    const double z = x / scale;
    const double edge = std::isinf(z) ? 0 : z * normal_pdf(z);
    sum += weight * scale * scale * (normal_cdf(z) - edge);
  }
  return sum;
}

double NormalMixture::quantile(double p) const {
  if (p <= 0) return -kInfinity;
  if (p >= 1) return kInfinity;
  const double at_zero = (1 - atom_) / 2;
  if (p >= at_zero && p <= at_zero + atom_) return 0;
  if (p > at_zero) return -quantile(1 - p);
  // Where the widest part alone would have it, the mixture has less below. From there, Newton's
  // steps for the cdf's logarithm, which is concave or nearly so, come from below.
  double low = widest_ * distribution_normal().quantile(p);
  double high = 0;
  double x = low;
  for (int round = 0; round < 200; ++round) {
    const double at = below(x);
    (at < p ? low : high) = x;
    const double step = at / pdf(x) * std::log(at / p);
    const double next = x - step;
    const double from = x;
    x = next > low && next < high ? next : (low + high) / 2;
    if (std::abs(x - from) <= 2e-16 * std::abs(x) || from == x) break;
  }
  return x;
}

// By the trapezoidal rule in t, x = narrowest·sinh(t): as fine for the narrowest part as for the
// widest.
double NormalMixture::entropy() const {
  constexpr double kStep = 1.0 / 64;
  double narrowest = widest_;
  for (const Part& part : parts_) narrowest = std::min(narrowest, part.scale);
  const double reach = std::asinh(40 * widest_ / narrowest);
  double sum = 0;
  for (double t = 0; t < reach; t += kStep) {
    const double x = narrowest * std::sinh(t);
    double f = 0;
    for (const auto& [weight, scale] : parts_) f += weight / scale * normal_pdf(x / scale);
    f /= 1 - atom_;
    if (f > 0) sum -= (t == 0 ? 1 : 2) * kStep * narrowest * std::cosh(t) * f * std::log(f);
  }
  return sum;
}

void NormalMixture::fill_counter(const CounterStream& stream, std::size_t first,
                                 std::span<float> out) const {
  distribution_normal().fill_counter(stream, first, out);
  for (std::size_t i = 0; i < out.size(); i += 4) {
    const auto words = stream.words((kMoreDraws + first + i) / 4);
    for (std::size_t j = 0; j < std::min<std::size_t>(4, out.size() - i); ++j) {
      double left = (words[j] + 0.5) * 0x1p-32 - atom_;
      double scale = 0;
      for (std::size_t part = 0; left > 0 && part < parts_.size(); ++part) {
        scale = parts_[part].scale;
        left -= parts_[part].weight;
      }
      out[i + j] = scale == 0 ? 0 : static_cast<float>(scale * out[i + j]);
    }
  }
}

}  // namespace zeropoint
