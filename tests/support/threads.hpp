#pragma once
#include "zeropoint/core/parallel.hpp"

namespace zeropoint::testing {

/// Sets the number of threads until the end of the scope.
class WithThreads {
 public:
  explicit WithThreads(int count) { set_threads(count); }
  ~WithThreads() { set_threads(0); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;
};

}  // namespace zeropoint::testing
