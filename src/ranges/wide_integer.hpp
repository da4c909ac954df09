#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace zeropoint {

/// A whole number of 32·N bits, two's complement, least significant word first.
template <std::size_t N>
using WideInteger = std::array<std::uint32_t, N>;

/// to += value · 2^bit, modulo 2^(32·N).
template <std::size_t N>
void add_shifted(WideInteger<N>& to, std::uint64_t value, bool negative, std::size_t bit) {
  const std::uint64_t low = value << (bit % 32);
  const auto high = static_cast<std::uint32_t>(bit % 32 == 0 ? 0 : value >> (64 - bit % 32));
  const std::uint32_t parts[3] = {static_cast<std::uint32_t>(low),
                                  static_cast<std::uint32_t>(low >> 32), high};
  std::uint64_t carry = 0;
  for (std::size_t i = bit / 32, part = 0; i < N && (part < 3 || carry != 0); ++i, ++part) {
    const std::uint64_t digit = (part < 3 ? parts[part] : 0U) + carry;
    const std::uint64_t now = negative ? std::uint64_t{to[i]} - digit : to[i] + digit;
    to[i] = static_cast<std::uint32_t>(now);
    carry = negative ? now >> 63 : now >> 32;  // of a difference, what was borrowed
  }
}

template <std::size_t N>
void add(WideInteger<N>& to, const WideInteger<N>& other) {
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < N; ++i) {
    carry += std::uint64_t{to[i]} + other[i];
    to[i] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
}

template <std::size_t N>
bool is_negative(const WideInteger<N>& x) {
  return x[N - 1] >> 31 != 0;
}

template <std::size_t N>
WideInteger<N> negated(WideInteger<N> x) {
  std::uint64_t carry = 1;
  for (auto& word : x) {
    carry += static_cast<std::uint32_t>(~word);
    word = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  return x;
}

/// Of two that are not negative, modulo 2^(32·N).
template <std::size_t N, std::size_t A, std::size_t B>
WideInteger<N> product(const WideInteger<A>& a, const WideInteger<B>& b) {
  WideInteger<N> result{};
  for (std::size_t i = 0; i < A; ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; i + j < N; ++j) {
      carry += result[i + j] + std::uint64_t{a[i]} * (j < B ? b[j] : 0U);
      result[i + j] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  return result;
}

/// x · 2^exponent, rounded once.
template <std::size_t N>
double to_double(const WideInteger<N>& x, int exponent) {
  if (is_negative(x)) return -to_double(negated(x), exponent);
  std::size_t words = N;
  while (words > 0 && x[words - 1] == 0) --words;
  if (words == 0) return 0;
  // The leading 64 bits; of what follows, only whether there is any: below a double's last bit and
  // the one that decides.
  const auto word = [&](std::size_t back) {
    return std::uint64_t{back < words ? x[words - 1 - back] : 0U};
  };
  const int shift = std::countl_zero(x[words - 1]);
  std::uint64_t top = (word(0) << 32 | word(1)) << shift | word(2) << shift >> 32;
  bool rest = static_cast<std::uint32_t>(word(2) << shift) != 0;
  for (std::size_t back = 3; back < words; ++back) rest = rest || word(back) != 0;
  if (rest) top |= 1;
  return std::ldexp(static_cast<double>(top), exponent + static_cast<int>(32 * words) - 64 - shift);
}

}  // namespace zeropoint
