#pragma once
#include <cstdint>
#include <string>

namespace zeropoint {

/// Bytes that can still be allocated: MemAvailable, or what the control group leaves, if less.
std::uint64_t available_memory();

/// The processor's name as the system gives it, or "unknown".
std::string cpu_name();

/// The project's version, as in CMakeLists.txt.
const char* version();

}  // namespace zeropoint
