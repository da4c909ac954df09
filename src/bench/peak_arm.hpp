#pragma once
#include "bench/peak.hpp"

#if defined(__aarch64__)

/// What the instruction sets of arm64 have in common.
// clang-format off
#define ZEROPOINT_CLOBBERS                                                                     \
  "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",    \
  "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",   \
  "v25", "v26", "v27", "v28", "v29", "v30", "v31"

namespace zeropoint::arm {

// 24 chains: four units of up to four cycles need sixteen.
constexpr double kInstructions = 2 * 24;

#define ZEROPOINT_CHAINS(instruction)                                                          \
  ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n" instruction ".endr\n"
#define ZEROPOINT_LOOP(instruction)                                                            \
  asm volatile(                                                                                \
      "ld1r {v30.4s}, [%[x]]\n"                                                                \
      "ld1r {v31.4s}, [%[y]]\n"                                                                \
      ZEROPOINT_CHAINS("movi v\\r\\().4s, #0\n")                                               \
      ".p2align 4\n"                                                                           \
      "1:\n"                                                                                   \
      ".rept 2\n"                                                                              \
      ZEROPOINT_CHAINS(instruction)                                                            \
      ".endr\n"                                                                                \
      "subs %[rounds], %[rounds], #1\n"                                                        \
      "b.ne 1b\n"                                                                              \
      : [rounds] "+r"(rounds) : [x] "r"(&x), [y] "r"(&y) : ZEROPOINT_CLOBBERS)

inline void run_fma(std::size_t rounds) noexcept {
  const float x = 0.7391F, y = 1.173e-3F;  // the sums stay far from infinity
  ZEROPOINT_LOOP("fmla v\\r\\().4s, v30.4s, v31.4s\n");
}

inline void read(const std::byte* data, std::size_t bytes) noexcept {
  std::size_t steps = bytes / kReadStep;
  if (steps == 0) return;
  asm volatile(
      ".p2align 4\n"
      "1:\n"
      ".rept 8\n"
      "ldp q0, q1, [%[data]]\n"
      "ldp q2, q3, [%[data], #32]\n"
      "ldp q4, q5, [%[data], #64]\n"
      "ldp q6, q7, [%[data], #96]\n"
      "add %[data], %[data], #128\n"
      ".endr\n"
      "subs %[steps], %[steps], #1\n"
      "b.ne 1b\n"
      : [data] "+r"(data), [steps] "+r"(steps) : : ZEROPOINT_CLOBBERS);
}
// clang-format on

}  // namespace zeropoint::arm
#endif
