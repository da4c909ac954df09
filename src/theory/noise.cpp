// Sums of a few large numbers and many small ones are not of any family: their distribution is
// taken from its characteristic function (J. Gil-Pelaez, Biometrika 38, 1951).
#include "theory/noise.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

namespace zeropoint::scheme_error {
namespace {

using Complex = std::complex<double>;
constexpr Complex kI{0, 1};

// Numbers of one distribution: those far below the whole's deviation by their moments.
class Folded {
 public:
  Folded(const Noise::Values& values, double small) : count_(values.count) {
    for (const auto& [p, v] : values.numbers) {
      if (std::abs(v) > small) {
        large_.emplace_back(p, v);
      } else {
        first_ += p * v;
        second_ += p * v * v;
        third_ += p * v * v * v;
      }
    }
  }

  // The logarithm of their sum's characteristic function.
  Complex at(double t) const {
    Complex z{-t * t * second_ / 2, t * first_ - t * t * t * third_ / 6};
    for (const auto& [p, v] : large_) z += p * (std::polar(1.0, t * v) - 1.0);
    return count_ * std::log(1.0 + z);
  }

 private:
  double count_;
  double first_ = 0, second_ = 0, third_ = 0;
  std::vector<std::pair<double, double>> large_;
};

class Wave {
 public:
  Wave(const Noise& noise, double expected) : noise_(noise), expected_(expected) {
    constexpr double kSmall = 0.05;
    const double small = kSmall * std::sqrt(noise.variance);
    for (const auto& tiles : noise.tiles) {
      auto& of_tiles = folded_.emplace_back();
      for (const auto& within : tiles.within) {
        auto& list = of_tiles.emplace_back();
        for (const auto& values : within) list.emplace_back(values, small);
      }
    }
  }

  Complex at(double t) const {
    Complex log = rest(t);
    for (std::size_t i = 0; i < folded_.size(); ++i) {
      std::vector<Complex> within;
      for (const auto& list : folded_[i]) {
        Complex sum = 0;
        for (const auto& values : list) sum += values.at(t);
        within.push_back(std::exp(sum));
      }
      Complex tile = 0;
      for (const auto& range : noise_.tiles[i].ranges) {
        tile += range.probability * std::polar(1.0, t * range.off) * within[range.within];
      }
      log += noise_.tiles[i].count * std::log(tile);
    }
    return std::exp(log);
  }

 private:
  // A gamma distribution from −expected on: what a sum of squares of normal numbers has.
  Complex rest(double t) const {
    if (!(noise_.rest > 1e-10 * expected_ * expected_)) return -t * t * noise_.rest / 2;
    const double scale = noise_.rest / expected_;
    return -expected_ / scale * std::log(1.0 - kI * t * scale) - kI * t * expected_;
  }

  const Noise& noise_;
  double expected_;
  std::vector<std::vector<std::vector<Folded>>> folded_;
};

}  // namespace

std::vector<double> even_quantiles(const Noise& noise, double expected, std::size_t count) {
  if (!(noise.variance > 0)) return std::vector<double>(count, 0.0);
  const double deviation = std::sqrt(noise.variance);
  // As many deviations as a period has, half of it above.
  constexpr double kPeriod = 24, kBelow = 8, kAbove = 12;
  constexpr std::size_t kMostWaves = 400, kPoints = 801;
  const double step = 2 * std::numbers::pi / (kPeriod * deviation);
  const double apart = (kBelow + kAbove) * deviation / (kPoints - 1);
  const double first = -kBelow * deviation;
  std::vector<double> below(kPoints, 0.5);
  const Wave wave(noise, expected);
  for (std::size_t j = 0; j < kMostWaves; ++j) {
    const double t = (static_cast<double>(j) + 0.5) * step;
    const Complex value = wave.at(t);
    if (std::abs(value) < 1e-6) break;
    Complex turned =
        value * std::polar(1.0, -t * first) / (std::numbers::pi * (static_cast<double>(j) + 0.5));
    const Complex turn = std::polar(1.0, -t * apart);
    for (double& p : below) {
      p -= turned.imag();
      turned *= turn;
    }
  }
  std::vector<double> quantiles;
  std::size_t i = 0;
  for (std::size_t q = 0; q < count; ++q) {
    const double p = (static_cast<double>(q) + 0.5) / static_cast<double>(count);
    while (i + 2 < kPoints && below[i + 1] < p) ++i;
    const double rise = below[i + 1] - below[i];
    const double part = rise > 0 ? std::clamp((p - below[i]) / rise, 0.0, 1.0) : 0.5;
    const double x = first + (static_cast<double>(i) + part) * apart;
    quantiles.push_back(std::max(x, -expected));
  }
  return quantiles;
}

}  // namespace zeropoint::scheme_error
