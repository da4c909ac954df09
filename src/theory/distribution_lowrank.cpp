// U·V/√r + noise·W, all entries of U (rows × r), V (r × columns) and W normal. Given the row of U,
// an entry is normal with variance |u|²/r + noise²: a mixture over |u|², which is χ² with r
// degrees of freedom.
#include <algorithm>
#include <cmath>

#include "zeropoint/core/parallel.hpp"

#include "theory/distribution_rows.hpp"
#include "theory/normal_mixture.hpp"

namespace zeropoint {
namespace {

// The mixture's integral over g = |u|²/r by the trapezoidal rule in t = ln g, where the density is
// exp(r/2·(t − eᵗ)) but for a factor: its error is the gamma function at r/2 + 2πi/step, beside
// that at r/2; below 1e-16.
std::vector<NormalMixture::Part> parts(double rank, double noise) {
  const double half = rank / 2;
  const double step = std::min(0.2, 0.4 / std::sqrt(half));
  const auto log_density = [&](double t) { return half * (t - std::expm1(t)); };  // 0 at t = 0
  constexpr double kLeast = -40;
  std::vector<NormalMixture::Part> list;
  double sum = 0;
  const auto add = [&](double t) {
    const double weight = std::exp(log_density(t));
    list.push_back({weight, std::sqrt(std::exp(t) + noise * noise)});
    sum += weight;
    return log_density(t) > kLeast;
  };
  add(0);
  for (double t = step; add(t); t += step) {
  }
  for (double t = -step; add(t); t -= step) {
  }
  for (auto& part : list) part.weight /= sum;
  return list;
}

class Lowrank final : public NormalMixture {
 public:
  Lowrank(std::size_t rank, double noise)
      : NormalMixture(fmt::format("{}={}x{}", kLowrank.word, rank, noise),
                      fmt::format("normal factors of rank {}, scaled to variance 1, and noise of "
                                  "deviation {}",
                                  rank, noise),
                      parts(static_cast<double>(rank), noise)),
        rank_(rank),
        noise_(noise) {}

  bool is_independent() const override { return false; }

  void fill_counter(const CounterStream& stream, std::size_t first,
                    std::span<float> out) const override {
    normal_.fill_counter(stream, first, out);
    std::vector<float> factors(rank_ * ((out.size() + 3) / 4 * 4));
    normal_.fill_counter(stream, kMoreDraws + first * rank_, factors);
    for (std::size_t i = 0; i < out.size(); ++i) {
      double squares = 0;
      for (std::size_t r = 0; r < rank_; ++r) {
        squares += double{factors[i * rank_ + r]} * factors[i * rank_ + r];
      }
      const double variance = squares / static_cast<double>(rank_) + noise_ * noise_;
      out[i] = static_cast<float>(std::sqrt(variance) * out[i]);
    }
  }

  void draw(const CounterStream& stream, Role role, Matrix<float>& out) const override {
    normal_.draw(stream, role, out);  // W
    const std::size_t rows = out.rows(), cols = out.cols();
    const auto whole = [](std::size_t count) { return (count + 3) / 4 * 4; };
    std::vector<float> u(whole(rows * rank_)), v(whole(cols * rank_));
    normal_.fill_counter(stream, kMoreDraws, u);
    normal_.fill_counter(stream, kMoreDraws + u.size(), v);
    const double factor = 1 / std::sqrt(static_cast<double>(rank_));
    constexpr std::size_t kRows = 8;
    parallel_for(rows, kRows, [&](std::size_t begin, std::size_t end) {
      std::vector<double> row(cols);
      for (std::size_t i = begin; i < end; ++i) {
        std::ranges::fill(row, 0.0);
        for (std::size_t r = 0; r < rank_; ++r) {
          const double weight = factor * u[i * rank_ + r];
          for (std::size_t j = 0; j < cols; ++j) row[j] += weight * v[r * cols + j];
        }
        for (std::size_t j = 0; j < cols; ++j) {
          out(i, j) = static_cast<float>(row[j] + noise_ * out(i, j));
        }
      }
    });
  }

 private:
  std::size_t rank_;
  double noise_;
  const Distribution& normal_ = distribution_normal();
};

std::unique_ptr<const Distribution> make(std::string_view argument) {
  const auto own = read_parameters(kLowrank, argument, {16, 0.1});
  if (!(own[0] >= 1 && own[0] <= 65536 && own[0] == std::floor(own[0]) && own[1] >= 0 &&
        own[1] <= 1e6)) {
    refuse_parameters(kLowrank, argument,
                      "a whole rank from 1 to 65536 and a deviation from 0 to 1e6");
  }
  return std::make_unique<const Lowrank>(static_cast<std::size_t>(own[0]), own[1]);
}

}  // namespace

const DistributionFamily kLowrank = {
    "lowrank", "RANKxNOISE",
    "normal factors of RANK (16), scaled to variance 1, and noise of deviation NOISE (0.1)", make};

}  // namespace zeropoint
