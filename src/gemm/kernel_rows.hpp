#pragma once
#include "gemm/kernel.hpp"

namespace zeropoint {

// One a file of this folder; kernel_list.cpp orders them.
extern const Kernel kernel_avx512vnni;
extern const Kernel kernel_avxvnni;
extern const Kernel kernel_avx2;
extern const Kernel kernel_neondot;
extern const Kernel kernel_neon;
extern const Kernel kernel_portable;

}  // namespace zeropoint
