# ONNX's node tests, as a program that takes any such folders.
add_executable(onnx_node_test model/onnx_node_program.cpp model/node_directory.cpp)
target_include_directories(onnx_node_test PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(onnx_node_test PRIVATE zeropoint zeropoint_options fmt::fmt)
