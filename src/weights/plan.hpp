#pragma once
#include <vector>

#include "zeropoint/weights/quantize_file.hpp"

namespace zeropoint {

/// The stored tensors that a weight is made of, which go on as they are if it is kept.
std::vector<const StoredTensor*> kept_parts(const WeightFile& file, const PlannedWeight& planned);

}  // namespace zeropoint
