#pragma once
#include <memory>
#include <string_view>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// Each defined in its own file; listed in distribution_list.cpp.
extern const DistributionFamily kUniform;
extern const DistributionFamily kNormal;

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
