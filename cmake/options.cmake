# Compile options of every target of this project, none of which leaks to those who link it.
add_library(zeropoint_options INTERFACE)
target_compile_options(
  zeropoint_options
  INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
            # GCC 12 warns of overlaps inside std::string's own operator+ (its bug 105651).
            $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
            # One multiply and one add stay two roundings, so that codes agree on every machine.
            -ffp-contract=off $<$<BOOL:${ZEROPOINT_WERROR}>:-Werror>)
if(ZEROPOINT_SANITIZE)
  target_compile_options(zeropoint_options INTERFACE -fsanitize=${ZEROPOINT_SANITIZE}
                                                     -fno-sanitize-recover=all
                                                     -fno-omit-frame-pointer)
  target_link_options(zeropoint_options INTERFACE -fsanitize=${ZEROPOINT_SANITIZE})
endif()
