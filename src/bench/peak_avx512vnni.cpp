#include "bench/peak.hpp"

#if defined(__x86_64__)

namespace zeropoint {
namespace {

// 24 chains: two units of up to five cycles need ten.
constexpr double kInstructions = 4 * 24;

// clang-format off
#define ZEROPOINT_CHAINS(instruction)                                                          \
  ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23\n" instruction ".endr\n"
#define ZEROPOINT_CLOBBERS                                                                     \
  "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",        \
  "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19",    \
  "xmm20", "xmm21", "xmm22", "xmm23", "xmm30", "xmm31"

__attribute__((target("avx512f,avx512vnni"))) void run_dot(std::size_t rounds) noexcept {
  const int x = 0x7F83'3A91, y = 0x6B45'9E27;  // codes of many bits: zeros would take less power
  asm volatile(
      "vpbroadcastd %[x], %%zmm30\n"
      "vpbroadcastd %[y], %%zmm31\n"
      ZEROPOINT_CHAINS("vpxord %%zmm\\r, %%zmm\\r, %%zmm\\r\n")
      ".p2align 5\n"
      "1:\n"
      ".rept 4\n"
      ZEROPOINT_CHAINS("vpdpbusd %%zmm30, %%zmm31, %%zmm\\r\n")
      ".endr\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [rounds] "+r"(rounds) : [x] "m"(x), [y] "m"(y) : ZEROPOINT_CLOBBERS);
}

__attribute__((target("avx512f"))) void run_fma(std::size_t rounds) noexcept {
  const float x = 0.7391F, y = 1.173e-3F;  // the sums stay far from infinity
  asm volatile(
      "vbroadcastss %[x], %%zmm30\n"
      "vbroadcastss %[y], %%zmm31\n"
      ZEROPOINT_CHAINS("vpxord %%zmm\\r, %%zmm\\r, %%zmm\\r\n")
      ".p2align 5\n"
      "1:\n"
      ".rept 4\n"
      ZEROPOINT_CHAINS("vfmadd231ps %%zmm30, %%zmm31, %%zmm\\r\n")
      ".endr\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [rounds] "+r"(rounds) : [x] "m"(x), [y] "m"(y) : ZEROPOINT_CLOBBERS);
}

__attribute__((target("avx512f"))) void read(const std::byte* data, std::size_t bytes) noexcept {
  std::size_t steps = bytes / kReadStep;
  if (steps == 0) return;
  asm volatile(
      ".p2align 5\n"
      "1:\n"
      ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
      "vmovdqu64 64*\\r(%[data]), %%zmm\\r\n"
      ".endr\n"
      "add $1024, %[data]\n"
      "dec %[steps]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [data] "+r"(data), [steps] "+r"(steps) : : "memory", ZEROPOINT_CLOBBERS);
}
// clang-format on

}  // namespace

const PeakLoops peak_avx512vnni{.instruction_set = "avx512vnni",
                                .dot = "vpdpbusd zmm",
                                .fma = "vfmadd231ps zmm",
                                .dot_ops = 2 * 64 * kInstructions,
                                .fma_ops = 2 * 16 * kInstructions,
                                .run_dot = run_dot,
                                .run_fma = run_fma,
                                .read = read};

}  // namespace zeropoint
#endif
