#pragma once
#include <span>
#include <string_view>

#include "zeropoint/quantize/params.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {

/// What `mse` and `kl` look for: a grid as choose_params makes it. Refers to the scheme.
GridNeed grid_need(const Scheme& scheme);

/// Scale and zero point over a range: a grid's by choose_params, a float format's or a codebook's
/// so that its largest number is the range's largest magnitude.
QuantParams params_of_range(const Scheme& scheme, Range range);

/// True if its levels are measured in the root mean square, which no range tells.
bool is_in_rms(const Format& format);

/// The same for values at hand; not empty. Throws InputError if one is not finite.
QuantParams params_of_values(const Scheme& scheme, std::span<const float> values,
                             std::string_view what);

}  // namespace zeropoint
