#pragma once
#include <array>
#include <cstdint>
#include <random>

namespace zeropoint {

/// The report's stream of uniform floats: std::mt19937, u = (word & 0xFFFFFF)·2⁻²⁴ in [0, 1).
class ReportStream {
 public:
  explicit ReportStream(std::uint32_t seed) : engine_(seed) {}
  float next() { return static_cast<float>(engine_() & 0xFFFFFFU) * 0x1p-24F; }

 private:
  std::mt19937 engine_;
};

/// Philox4x32-10: four random words that are a function of a key and a counter alone, so that any
/// part of a sequence can be made on any thread. Source: Salmon, Moraes, Dror, Shaw, "Parallel
/// random numbers: as easy as 1, 2, 3", SC 2011.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) noexcept;

/// One addressable stream of random words, by (seed, stream number): word i is the same whoever
/// asks for it.
class CounterStream {
 public:
  CounterStream(std::uint64_t seed, std::uint32_t stream) : seed_(seed), stream_(stream) {}
  /// Words 4·block … 4·block + 3.
  std::array<std::uint32_t, 4> words(std::uint64_t block) const;

 private:
  std::uint64_t seed_;
  std::uint32_t stream_;
};

/// Addressable uniform floats in [0, 1), multiples of 2⁻²⁴: number i is the same whoever asks.
/// Cheapest when asked for in order. Not for several threads at once: each has its own.
class UniformFloats {
 public:
  explicit UniformFloats(std::uint64_t seed) : stream_(seed, 0x5742) {}
  float at(std::uint64_t i) {
    if (i / 4 != block_) words_ = stream_.words(block_ = i / 4);
    return static_cast<float>(words_[i % 4] >> 8) * 0x1p-24F;
  }

 private:
  CounterStream stream_;
  std::uint64_t block_ = ~std::uint64_t{0};
  std::array<std::uint32_t, 4> words_{};
};

}  // namespace zeropoint
