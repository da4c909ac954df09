#include "theory/drawn_blocks.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/core/random.hpp"

namespace zeropoint {

DrawnBlocks draw_blocks(const Distribution& distribution, const BlockFormat& format,
                        std::size_t count) {
  constexpr std::size_t kValues = std::size_t{1} << 18;
  const std::size_t blocks = std::max<std::size_t>(1, kValues / count);
  const std::size_t values = blocks * count;
  std::vector<std::uint32_t> parts(values);
  std::iota(parts.begin(), parts.end(), 0U);
  const CounterStream stream{20261124, 0x626c};
  constexpr double kUnit = 0x1p-32;
  DrawnBlocks drawn{count, std::vector<float>(values), std::vector<float>(values)};
  for (std::size_t i = 0; i < values; ++i) {
    const auto words = stream.words(i);
    // Any of the parts that are left.
    const auto other =
        i + static_cast<std::size_t>(words[0] * kUnit * static_cast<double>(values - i));
    std::swap(parts[i], parts[other]);
    const double u = (parts[i] + (words[1] + 0.5) * kUnit) / static_cast<double>(values);
    drawn.x[i] = static_cast<float>(distribution.quantile(u));
  }
  const MatrixView<const float> x{drawn.x.data(), blocks, count, static_cast<std::ptrdiff_t>(count),
                                  1};
  std::vector<std::uint8_t> bytes(block_bytes(format, blocks, count));
  encode_blocks(format, {}, x, 1, bytes);
  decode_blocks(format, bytes, 1,
                {drawn.q.data(), blocks, count, static_cast<std::ptrdiff_t>(count), 1});
  return drawn;
}

}  // namespace zeropoint
