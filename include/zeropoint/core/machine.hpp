#pragma once
#include <cstdint>
#include <string>

namespace zeropoint {

/// Bytes that can still be allocated: the least of MemAvailable, what the control groups leave
/// (version 1 or 2) and what the limit of the address space leaves.
std::uint64_t available_memory();

/// The processor's name as the system gives it, or "unknown".
std::string cpu_name();

/// The project's version, as in CMakeLists.txt.
const char* version();

}  // namespace zeropoint
