#pragma once
#include <cstddef>
#include <vector>

#include "zeropoint/formats/block_format.hpp"
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

/// Blocks of `count` independent values of a distribution, one after the other, and what a format
/// makes of them: for formats whose values are coded together, so that no cells tell their errors.
struct DrawnBlocks {
  std::size_t count;
  std::vector<float> x, q;

  std::size_t blocks() const { return x.size() / count; }
};

/// The same ones every time; of 2^18 values together each falls once into each of as many equally
/// probable parts of the distribution. Takes as long as the format's encoder.
DrawnBlocks draw_blocks(const Distribution& distribution, const BlockFormat& format,
                        std::size_t count);

}  // namespace zeropoint
