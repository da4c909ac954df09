#include "bench/peak_ymm.hpp"

#if defined(__x86_64__)

namespace zeropoint {
namespace {

// A product takes two instructions; ymm14 holds what passes between them, and is renamed each time.
__attribute__((target("avx2"))) void run_dot(std::size_t rounds) noexcept {
  const int x = 0x0043'FF91, y = 0xFF85'0027;  // pairs of codes in 16 bits
  // clang-format off
  ZEROPOINT_LOOP("vpbroadcastd",
                 "vpmaddwd %%ymm12, %%ymm13, %%ymm14\n"
                 "vpaddd %%ymm14, %%ymm\\r, %%ymm\\r\n");
  // clang-format on
}

}  // namespace

const PeakLoops peak_avx2{.instruction_set = "avx2",
                          .dot = "vpmaddwd + vpaddd ymm",
                          .fma = "vfmadd231ps ymm",
                          .dot_ops = 2 * 16 * ymm::kInstructions,
                          .fma_ops = 2 * 8 * ymm::kInstructions,
                          .run_dot = run_dot,
                          .run_fma = ymm::run_fma,
                          .read = ymm::read};

}  // namespace zeropoint
#endif
