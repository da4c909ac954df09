#include <cstdint>

#include "bench/peak.hpp"

namespace zeropoint {
namespace {

// Plain C++, as the portable kernel is: what the compiler makes of it for every processor is what
// that kernel can reach. Sums in loops that every compiler's vectorizer knows; the elements stay in
// the first cache.
constexpr std::size_t kLength = 512;
constexpr std::size_t kRows = 4;
constexpr std::size_t kLanes = 8;

// Hides from the compiler what memory holds, so that it does each round's work.
void forget(const void* memory) noexcept { asm volatile("" : : "g"(memory) : "memory"); }

void run_dot(std::size_t rounds) noexcept {
  alignas(64) std::int16_t a[kLength], b[kRows][kLength];
  for (std::size_t l = 0; l < kLength; ++l) {
    a[l] = static_cast<std::int16_t>(91 - l % 200);
    for (auto& row : b) row[l] = static_cast<std::int16_t>(l % 251 - 120);
  }
  std::int32_t sums[kRows] = {};
  for (; rounds > 0; --rounds) {
    forget(a);
    forget(b);
    std::int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (std::size_t l = 0; l < kLength; ++l) {
      s0 += a[l] * b[0][l];
      s1 += a[l] * b[1][l];
      s2 += a[l] * b[2][l];
      s3 += a[l] * b[3][l];
    }
    for (std::size_t r = 0; const std::int32_t s : {s0, s1, s2, s3}) sums[r++] ^= s;
  }
  forget(sums);
}

void run_fma(std::size_t rounds) noexcept {
  float a[kLength][kRows];
  alignas(64) float b[kLanes], sums[kRows][kLanes];
  for (std::size_t l = 0; l < kLength; ++l) {
    for (std::size_t r = 0; r < kRows; ++r) a[l][r] = 0.7391F + static_cast<float>(r);
  }
  for (std::size_t j = 0; j < kLanes; ++j) b[j] = 1.173e-3F * static_cast<float>(j);
  for (; rounds > 0; --rounds) {
    forget(a);
    forget(b);
    float s[kRows][kLanes] = {};
    for (std::size_t l = 0; l < kLength; ++l) {
      for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t j = 0; j < kLanes; ++j) s[r][j] += a[l][r] * b[j];
      }
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t j = 0; j < kLanes; ++j) sums[r][j] = s[r][j];
    }
    forget(sums);
  }
}

void read(const std::byte* data, std::size_t bytes) noexcept {
  const auto* words = reinterpret_cast<const std::uint64_t*>(data);
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i + 8 <= bytes / 8; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  forget(sums);
}

}  // namespace

const PeakLoops peak_portable{.instruction_set = "portable",
                              .dot = "16-bit products in C++",
                              .fma = "float products in C++",
                              .dot_ops = 2 * kRows * kLength,
                              .fma_ops = 2 * kRows * kLanes * kLength,
                              .run_dot = run_dot,
                              .run_fma = run_fma,
                              .read = read};

}  // namespace zeropoint
