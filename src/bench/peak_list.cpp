#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "bench/peak.hpp"

namespace zeropoint {
namespace {

constexpr const PeakLoops* kPeaks[] = {
#if defined(__x86_64__)
    &peak_avx512vnni,
    &peak_avxvnni,
    &peak_avx2,
#elif defined(__aarch64__)
    &peak_neondot,
    &peak_neon,
#endif
    &peak_portable,
};

}  // namespace

std::span<const PeakLoops* const> peak_list() noexcept { return kPeaks; }

const PeakLoops& peak_loops(std::string_view kernel) {
  const auto instruction_set = kernel.substr(kernel.rfind('_') + 1);
  for (const PeakLoops* loops : kPeaks) {
    if (loops->instruction_set == instruction_set) return *loops;
  }
  throw WorkError(
      fmt::format("bench: expected loops that measure the peak of {}, found none", kernel));
}

}  // namespace zeropoint
