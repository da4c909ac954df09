#pragma once
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "zeropoint/gemm/kernels.hpp"

#include "gemm/kernel.hpp"

namespace zeropoint::testing {

/// Uses a kernel until the end of the scope.
class WithKernel {
 public:
  explicit WithKernel(std::string_view name) { set_kernel(name); }
  ~WithKernel() { set_kernel(""); }
  WithKernel(const WithKernel&) = delete;
  WithKernel& operator=(const WithKernel&) = delete;
};

/// Calls `body(kernel)` once for every kernel of this processor, while it is in use.
template <class Body>
void on_every_kernel(const Body& body) {
  for (const Kernel* kernel : kernel_list()) {
    if (!kernel->supported()) continue;
    SCOPED_TRACE("kernel " + std::string(kernel->name));
    const WithKernel with(kernel->name);
    body(*kernel);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace zeropoint::testing
