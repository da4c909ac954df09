#pragma once
#include <cstdint>

namespace zeropoint {

/// The lowest kOnes bits of every kWidth bits of a word.
template <int kOnes, int kWidth>
constexpr std::uint64_t lower_bits() {
  const std::uint64_t ones = kOnes == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << kOnes) - 1;
  std::uint64_t mask = 0;
  for (int at = 0; at < 64; at += kWidth) mask |= ones << at;
  return mask;
}

}  // namespace zeropoint
