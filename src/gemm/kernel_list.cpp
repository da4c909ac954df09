#include <atomic>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/gemm/kernels.hpp"

#include "gemm/kernel.hpp"
#include "gemm/kernel_rows.hpp"

namespace zeropoint {
namespace {

constexpr const Kernel* kKernels[] = {
#if defined(__x86_64__)
    &kernel_avx512vnni,
    &kernel_avxvnni,
    &kernel_avx2,
#elif defined(__aarch64__)
    &kernel_neondot,
    &kernel_neon,
#endif
    &kernel_portable,
};

std::atomic<const Kernel*> chosen{nullptr};

const Kernel& named(std::string_view name, std::string_view where) {
  std::vector<std::string_view> known;
  for (const Kernel* kernel : kKernels) {
    if (name == kernel->name) {
      if (kernel->supported()) return *kernel;
      throw InputError(
          fmt::format("{}: expected a kernel for this processor, found {}", where, name));
    }
    known.push_back(kernel->name);
  }
  throw InputError(fmt::format("{}: expected one of {}; found '{}', the nearest is {}", where,
                               join_words(known), name, nearest_word(name, known)));
}

const Kernel& choose() {
  const char* asked = std::getenv("ZEROPOINT_KERNEL");
  if (asked != nullptr && *asked != '\0') return named(asked, "ZEROPOINT_KERNEL");
  for (const Kernel* kernel : kKernels) {
    if (kernel->supported()) return *kernel;
  }
  return kernel_portable;
}

}  // namespace

std::span<const Kernel* const> kernel_list() noexcept { return kKernels; }

const Kernel& kernel() {
  const Kernel* known = chosen.load(std::memory_order_relaxed);
  if (known == nullptr) {
    known = &choose();
    chosen.store(known, std::memory_order_relaxed);
  }
  return *known;
}

std::vector<KernelInfo> kernels() {
  std::vector<KernelInfo> list;
  for (const Kernel* kernel : kKernels) list.push_back({kernel->name, kernel->supported()});
  return list;
}

std::string_view kernel_name() { return kernel().name; }

void set_kernel(std::string_view name) {
  chosen = name.empty() ? &choose() : &named(name, "kernel");
}

}  // namespace zeropoint
