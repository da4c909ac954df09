// Normal with variance 1, but for a fraction of the indices along k, whose columns of A are so many
// times larger.
#include <algorithm>
#include <cmath>

#include "zeropoint/core/parallel.hpp"

#include "theory/distribution_rows.hpp"
#include "theory/normal_mixture.hpp"

namespace zeropoint {
namespace {

class Outliers final : public NormalMixture {
 public:
  Outliers(double fraction, double factor)
      : NormalMixture(fmt::format("{}={}x{}", kOutliers.word, fraction, factor),
                      fmt::format("normal with variance 1, a fraction {} of A's columns times {}",
                                  fraction, factor),
                      {{fraction, factor}, {1 - fraction, 1}}),
        fraction_(fraction),
        factor_(factor) {}

  bool is_independent() const override { return false; }

  // The outliers are the columns with the smallest random words, of which there are as many as the
  // fraction says, and one at least: the same columns for any number of rows.
  void draw(const CounterStream& stream, Role role, Matrix<float>& out) const override {
    normal_.draw(stream, role, out);
    const std::size_t cols = out.cols();
    if (role != Role::left || cols == 0) return;
    std::vector<std::pair<std::uint32_t, std::size_t>> order(cols);
    for (std::size_t j = 0; j < cols; ++j) {
      order[j] = {stream.words((kMoreDraws + j) / 4)[j % 4], j};
    }
    const auto wanted = std::lround(fraction_ * static_cast<double>(cols));
    const auto count = std::clamp<std::ptrdiff_t>(wanted, 1, static_cast<std::ptrdiff_t>(cols));
    std::nth_element(order.begin(), order.begin() + (count - 1), order.end());
    constexpr std::size_t kRows = 64;
    parallel_for(out.rows(), kRows, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        for (auto one = order.begin(); one != order.begin() + count; ++one) {
          float& x = out(i, one->second);
          x = static_cast<float>(factor_ * x);
        }
      }
    });
  }

 private:
  double fraction_, factor_;
  const Distribution& normal_ = distribution_normal();
};

std::unique_ptr<const Distribution> make(std::string_view argument) {
  const auto own = read_parameters(kOutliers, argument, {0.01, 10});
  if (!(own[0] > 0 && own[0] < 1 && own[1] >= 1 && own[1] <= 1e6)) {
    refuse_parameters(kOutliers, argument,
                      "a fraction above 0 and below 1 and a factor from 1 to 1e6");
  }
  return std::make_unique<const Outliers>(own[0], own[1]);
}

}  // namespace

const DistributionFamily kOutliers = {
    "outliers", "FRACTIONxFACTOR",
    "normal with variance 1, a FRACTION of A's columns times FACTOR (0.01x10)", make};

}  // namespace zeropoint
