#pragma once
#include <hwy/targets.h>

namespace zeropoint {

/// To be called before a pointer to a dispatched function is kept: until the first dispatched call
/// has chosen an instruction set, such a pointer leads to the choice itself, each time.
inline void choose_vector_target() {
  auto& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(hwy::SupportedTargets());
}

}  // namespace zeropoint
