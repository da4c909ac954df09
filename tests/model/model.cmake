# ONNX's node tests, as a program that takes any such folders.
add_executable(onnx_node_test model/onnx_node_program.cpp model/node_directory.cpp)
target_include_directories(onnx_node_test PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(onnx_node_test PRIVATE zeropoint zeropoint_options fmt::fmt)
# support/command.hpp runs it for this layer's tests.
add_dependencies(test_model onnx_node_test)
target_compile_definitions(test_model PRIVATE ZEROPOINT_COMMAND="$<TARGET_FILE:onnx_node_test>")
