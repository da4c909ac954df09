#pragma once
#include <cstdlib>

#include <rapidcheck/gtest.h>

namespace zeropoint::testing {

/// rapidcheck's seed is fixed unless RC_PARAMS says otherwise; a failure prints it.
inline const int fixed_seed = setenv("RC_PARAMS", "seed=20240229", 0);

}  // namespace zeropoint::testing
