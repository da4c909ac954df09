// onnx_node_test DIR…   runs ONNX's node tests in those folders: one line each, then
// "N passed, N failed". Status 0 if all passed, 1 if any failed, 2 if called wrongly.
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "model/node_directory.hpp"

int main(int argc, char** argv) {
  using namespace zeropoint::testing;
  if (argc < 2 || argv[1][0] == '-') {
    fmt::print(stderr,
               "usage: onnx_node_test DIR...   (folders with model.onnx and test_data_set_*)\n");
    return 2;
  }
  int passed = 0, failed = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string wrong = run_node_directory(argv[i]);
    ++(wrong.empty() ? passed : failed);
    fmt::print("{} {}{}{}\n", wrong.empty() ? "pass" : "FAIL", directory_name(argv[i]),
               wrong.empty() ? "" : ": ", wrong);
  }
  fmt::print("{} passed, {} failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
