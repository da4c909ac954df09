#include "bench/peak_ymm.hpp"

#if defined(__x86_64__)

namespace zeropoint {
namespace {

__attribute__((target("avx2"))) void run_dot(std::size_t rounds) noexcept {
  const int x = 0x7F83'3A91, y = 0x6B45'9E27;  // codes of many bits: zeros would take less power
  ZEROPOINT_LOOP("vpbroadcastd", "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm\\r\n");
}

}  // namespace

const PeakLoops peak_avxvnni{.instruction_set = "avxvnni",
                             .dot = "vpdpbusd ymm",
                             .fma = "vfmadd231ps ymm",
                             .dot_ops = 2 * 32 * ymm::kInstructions,
                             .fma_ops = 2 * 8 * ymm::kInstructions,
                             .run_dot = run_dot,
                             .run_fma = ymm::run_fma,
                             .read = ymm::read};

}  // namespace zeropoint
#endif
