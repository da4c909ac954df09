# zeropoint::zip: libzip, for NumPy's archives. Its own CMake files ask for its tools, too, which Debian
# packages apart.
include_guard(GLOBAL)
find_path(ZEROPOINT_ZIP_INCLUDE zip.h REQUIRED)
find_library(ZEROPOINT_ZIP_LIBRARY zip REQUIRED)
mark_as_advanced(ZEROPOINT_ZIP_INCLUDE ZEROPOINT_ZIP_LIBRARY)
if(NOT TARGET zeropoint::zip)
  add_library(zeropoint::zip UNKNOWN IMPORTED GLOBAL)
  set_target_properties(zeropoint::zip PROPERTIES
    IMPORTED_LOCATION "${ZEROPOINT_ZIP_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${ZEROPOINT_ZIP_INCLUDE}")
endif()
