#pragma once
#include "bench/peak.hpp"

#if defined(__x86_64__)

/// What the two instruction sets of 256 bits have in common.
// clang-format off
#define ZEROPOINT_CLOBBERS                                                                     \
  "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",        \
  "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

namespace zeropoint::ymm {

// 12 chains: two units of up to five cycles need ten.
constexpr double kInstructions = 4 * 12;

#define ZEROPOINT_CHAINS(instruction)                                                          \
  ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11\n" instruction ".endr\n"
#define ZEROPOINT_LOOP(broadcast, instruction)                                                 \
  asm volatile(                                                                                \
      broadcast " %[x], %%ymm12\n"                                                             \
      broadcast " %[y], %%ymm13\n"                                                             \
      ZEROPOINT_CHAINS("vpxor %%ymm\\r, %%ymm\\r, %%ymm\\r\n")                                 \
      ".p2align 5\n"                                                                           \
      "1:\n"                                                                                   \
      ".rept 4\n"                                                                              \
      ZEROPOINT_CHAINS(instruction)                                                            \
      ".endr\n"                                                                                \
      "dec %[rounds]\n"                                                                        \
      "jnz 1b\n"                                                                               \
      "vzeroupper\n"                                                                           \
      : [rounds] "+r"(rounds) : [x] "m"(x), [y] "m"(y) : ZEROPOINT_CLOBBERS)

__attribute__((target("avx2,fma"))) inline void run_fma(std::size_t rounds) noexcept {
  const float x = 0.7391F, y = 1.173e-3F;  // the sums stay far from infinity
  ZEROPOINT_LOOP("vbroadcastss", "vfmadd231ps %%ymm12, %%ymm13, %%ymm\\r\n");
}

__attribute__((target("avx2"))) inline void read(const std::byte* data,
                                                 std::size_t bytes) noexcept {
  std::size_t steps = bytes / kReadStep;
  if (steps == 0) return;
  asm volatile(
      ".p2align 5\n"
      "1:\n"
      ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
      "vmovdqu 64*\\r(%[data]), %%ymm\\r\n"
      "vmovdqu 64*\\r+32(%[data]), %%ymm\\r\n"
      ".endr\n"
      "add $1024, %[data]\n"
      "dec %[steps]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [data] "+r"(data), [steps] "+r"(steps) : : "memory", ZEROPOINT_CLOBBERS);
}
// clang-format on

}  // namespace zeropoint::ymm
#endif
