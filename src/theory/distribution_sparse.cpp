// 0 with a given probability, otherwise normal with variance 1.
#include "theory/distribution_rows.hpp"
#include "theory/normal_mixture.hpp"

namespace zeropoint {
namespace {

std::unique_ptr<const Distribution> make(std::string_view argument) {
  const auto own = read_parameters(kSparse, argument, {0.9});
  if (!(own[0] > 0 && own[0] < 1)) {
    refuse_parameters(kSparse, argument, "a fraction above 0 and below 1");
  }
  return std::make_unique<const NormalMixture>(
      fmt::format("{}={}", kSparse.word, own[0]),
      fmt::format("0 with probability {}, otherwise normal with mean 0 and variance 1", own[0]),
      std::vector<NormalMixture::Part>{{own[0], 0}, {1 - own[0], 1}});
}

}  // namespace

const DistributionFamily kSparse = {
    "sparse", "FRACTION", "a FRACTION (0.9) of exact zeros, the others normal with variance 1",
    make};

}  // namespace zeropoint
