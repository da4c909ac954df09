#include "bench/peak_arm.hpp"

#if defined(__aarch64__)

namespace zeropoint {
namespace {

// Eight products and their sums take two instructions, which go to different pipes; v24 holds what
// passes between them, and is renamed each time.
void run_dot(std::size_t rounds) noexcept {
  const int x = 0x7F83'3A91, y = 0x6B45'9E27;  // codes of many bits: zeros would take less power
  // clang-format off
  ZEROPOINT_LOOP("smull v24.8h, v30.8b, v31.8b\n"
                 "sadalp v\\r\\().4s, v24.8h\n");
  // clang-format on
}

}  // namespace

const PeakLoops peak_neon{.instruction_set = "neon",
                          .dot = "smull + sadalp",
                          .fma = "fmla",
                          .dot_ops = 2 * 8 * arm::kInstructions,
                          .fma_ops = 2 * 4 * arm::kInstructions,
                          .run_dot = run_dot,
                          .run_fma = arm::run_fma,
                          .read = arm::read};

}  // namespace zeropoint
#endif
