#include "zeropoint/core/machine.hpp"

namespace zeropoint {

const char* version() { return ZEROPOINT_VERSION; }

}  // namespace zeropoint
