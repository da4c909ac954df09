# zeropoint::onednn, the CPU library alone: oneDNN's own CMake config demands OpenCL, which the CPU
# product does not use. Read by this build and, installed, by whoever links the static library.
include_guard(GLOBAL)
find_library(ZEROPOINT_DNNL_LIBRARY dnnl REQUIRED)
find_path(ZEROPOINT_DNNL_INCLUDE oneapi/dnnl/dnnl.h REQUIRED)
mark_as_advanced(ZEROPOINT_DNNL_LIBRARY ZEROPOINT_DNNL_INCLUDE)
add_library(zeropoint::onednn UNKNOWN IMPORTED GLOBAL)
set_target_properties(zeropoint::onednn PROPERTIES
  IMPORTED_LOCATION "${ZEROPOINT_DNNL_LIBRARY}"
  INTERFACE_INCLUDE_DIRECTORIES "${ZEROPOINT_DNNL_INCLUDE}")
