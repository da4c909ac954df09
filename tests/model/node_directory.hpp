#pragma once
#include <filesystem>
#include <string>

namespace zeropoint::testing {

/// Runs one of ONNX's node tests: model.onnx on test_data_set_*/input_*.pb, whose outputs must be
/// test_data_set_*/output_*.pb. Empty if they are, otherwise what is wrong, in one line. Types,
/// shapes and elements must be equal to the bit; a NaN of 16 bits or more is equal to any other.
std::string run_node_directory(const std::filesystem::path& folder);

/// The last part of the path, a slash behind it or not.
std::string directory_name(const std::filesystem::path& folder);

}  // namespace zeropoint::testing
