#include "bench/peak_arm.hpp"

#if defined(__aarch64__)

// How a function asks for SDOT is where the compilers differ.
#if defined(__clang__)
#define ZEROPOINT_DOTPROD __attribute__((target("dotprod")))
#else
#define ZEROPOINT_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

namespace zeropoint {
namespace {

ZEROPOINT_DOTPROD void run_dot(std::size_t rounds) noexcept {
  const int x = 0x7F83'3A91, y = 0x6B45'9E27;  // codes of many bits: zeros would take less power
  ZEROPOINT_LOOP("sdot v\\r\\().4s, v30.16b, v31.4b[0]\n");
}

}  // namespace

const PeakLoops peak_neondot{.instruction_set = "neondot",
                             .dot = "sdot",
                             .fma = "fmla",
                             .dot_ops = 2 * 16 * arm::kInstructions,
                             .fma_ops = 2 * 4 * arm::kInstructions,
                             .run_dot = run_dot,
                             .run_fma = arm::run_fma,
                             .read = arm::read};

}  // namespace zeropoint
#endif
