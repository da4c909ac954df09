#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// Each defined in its own file; listed in distribution_list.cpp.
extern const DistributionFamily kUniform;
extern const DistributionFamily kNormal;
extern const DistributionFamily kLaplace;
extern const DistributionFamily kStudent;
extern const DistributionFamily kLognormal;
extern const DistributionFamily kOutliers;
extern const DistributionFamily kSparse;
extern const DistributionFamily kLowrank;

/// Normal, for those that are made from it.
const Distribution& distribution_normal();

/// Elements from here on are for draws that an entry needs beside its first.
constexpr std::size_t kMoreDraws = std::size_t{1} << 62;

/// The numbers of "0.01x10", as many as `own` holds; an empty argument is the family's `own`.
/// Throws InputError if it is not such numbers, all finite.
std::vector<double> read_parameters(const DistributionFamily& family, std::string_view argument,
                                    std::vector<double> own);
/// Refuses them.
[[noreturn]] void refuse_parameters(const DistributionFamily& family, std::string_view argument,
                                    std::string_view expected);

/// Called by distribution_list.cpp.
std::unique_ptr<const Distribution> make_distribution_of_values(std::string name,
                                                                std::span<const float> values);

/// Makes a distribution without parameters.
template <class D>
std::unique_ptr<const Distribution> make_plain(std::string_view argument) {
  auto made = std::make_unique<const D>();
  if (!argument.empty()) {
    throw InputError(
        fmt::format("distribution {}: expected no parameter, found '{}'", made->name(), argument));
  }
  return made;
}

}  // namespace zeropoint
