#pragma once
#include <string_view>
#include <vector>

namespace zeropoint {

/// An implementation of the product's inner loop. All give the same integers.
struct KernelInfo {
  std::string_view name;  ///< types of A, B and the sum, tile, elements a group, instruction set
  bool supported;         ///< by this processor
};

/// Those of this architecture, fastest first, the portable one last.
std::vector<KernelInfo> kernels();

/// The one in use: the first that is supported, or the one that the environment's ZEROPOINT_KERNEL
/// names. Throws InputError if that is unknown or not supported.
std::string_view kernel_name();

/// Uses that kernel from now on, in every thread; "" goes back to the choice above. Not while
/// products run. Throws InputError if it is unknown or not supported.
void set_kernel(std::string_view name);

}  // namespace zeropoint
