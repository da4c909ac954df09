# Tests of the house that are no GoogleTest: the installed package, the examples.

# The package, as a project elsewhere meets it.
set(flags "${CMAKE_CXX_FLAGS}")
if(ZEROPOINT_SANITIZE)
  string(APPEND flags " -fsanitize=${ZEROPOINT_SANITIZE}")
endif()
function(zeropoint_install_test step)
  add_test(NAME house.package.${step}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/house/install_test.sh ${step} ${PROJECT_SOURCE_DIR}
                   ${PROJECT_BINARY_DIR} ${PROJECT_BINARY_DIR}/package-test ${CMAKE_CXX_COMPILER} "${flags}")
  set_tests_properties(house.package.${step} PROPERTIES SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endfunction()
zeropoint_install_test(install)
set_tests_properties(house.package.install PROPERTIES FIXTURES_SETUP zeropoint_package)
foreach(step IN ITEMS examples readme pkg-config)
  zeropoint_install_test(${step})
  set_tests_properties(house.package.${step} PROPERTIES FIXTURES_REQUIRED zeropoint_package)
endforeach()


# What run.sh and test.sh install, without installing anything.
add_test(NAME house.prepare
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/house/prepare_test.sh ${PROJECT_SOURCE_DIR})
