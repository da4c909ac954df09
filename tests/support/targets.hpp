#pragma once
#include <cstdint>
#include <string>
#include <vector>

// As the code that is compiled for it (formats/codebook.cpp).
#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif
#include <gtest/gtest.h>
#include <hwy/highway.h>

namespace zeropoint::testing {

/// Calls `body` once for every instruction set that Highway compiled for and this machine has.
template <class Body>
void on_every_target(const Body& body) {
  struct Restore {
    ~Restore() {
      hwy::SetSupportedTargetsForTest(0);
      hwy::GetChosenTarget().DeInit();
    }
  } restore;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(std::string("instruction set ") + hwy::TargetName(target));
    // What is not compiled for this one takes the next.
    const std::int64_t targets = target == HWY_AVX3_DL ? target | HWY_AVX3 : target;
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(targets);
    body();
    if (::testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace zeropoint::testing
