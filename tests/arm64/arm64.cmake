# The kernels of arm64, built by a cross compiler and run in an emulator: on every machine that has
# the two, whatever the machine. The program needs nothing but the C++ standard library, since
# Debian has no libraries of another architecture at hand.
find_program(ZEROPOINT_ARM64_CXX aarch64-linux-gnu-g++)
find_program(ZEROPOINT_ARM64_EMULATOR qemu-aarch64)
mark_as_advanced(ZEROPOINT_ARM64_CXX ZEROPOINT_ARM64_EMULATOR)
if(ZEROPOINT_ARM64_CXX AND ZEROPOINT_ARM64_EMULATOR)
  set(program ${CMAKE_CURRENT_BINARY_DIR}/arm64_kernels)
  set(sources ${CMAKE_CURRENT_SOURCE_DIR}/arm64/kernels.cpp)
  foreach(name IN ITEMS neon neondot portable)
    list(APPEND sources ${PROJECT_SOURCE_DIR}/src/gemm/kernel_${name}.cpp)
  endforeach()
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/gemm/*.hpp)
  add_custom_command(
    OUTPUT ${program}
    COMMAND ${ZEROPOINT_ARM64_CXX} -std=c++20 -O2 -Wall -Wextra -Wpedantic -Wshadow
            $<$<BOOL:${ZEROPOINT_WERROR}>:-Werror> -I${PROJECT_SOURCE_DIR}/src
            -I${PROJECT_SOURCE_DIR}/include ${sources} -o ${program}
    DEPENDS ${sources} ${headers}
    COMMENT "Building the kernels of arm64"
    VERBATIM COMMAND_EXPAND_LISTS)
  add_custom_target(test_arm64 ALL DEPENDS ${program})
  # Every instruction the emulator knows, and a processor without dot products.
  set(emulate ${ZEROPOINT_ARM64_EMULATOR} -L /usr/aarch64-linux-gnu)
  add_test(NAME house.arm64.max COMMAND ${emulate} -cpu max ${program})
  add_test(NAME house.arm64.cortex-a53
           COMMAND ${emulate} -cpu cortex-a53 ${program} --unsupported s8s8s32_8x12c4_neondot)
else()
  add_test(NAME house.arm64
           COMMAND ${CMAKE_COMMAND} -E echo
                   "[  SKIPPED ] expected aarch64-linux-gnu-g++ and qemu-aarch64, found not both")
  set_tests_properties(house.arm64 PROPERTIES SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endif()
