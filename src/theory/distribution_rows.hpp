#pragma once
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// Each defined in its own file; listed in distribution_list.cpp.
extern const Distribution kUniform;
extern const Distribution kNormal;

}  // namespace zeropoint
