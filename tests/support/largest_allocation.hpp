#pragma once
#include <atomic>
#include <cstddef>

namespace zeropoint {

/// The largest piece of memory that was asked for since it was set to 0. Of the io layer's tests:
/// npy_test.cpp counts.
extern std::atomic<std::size_t> largest_allocation;

}  // namespace zeropoint
