// The five tensors that two files of a model differ in most.
#include <cstdio>

#include "zeropoint/zeropoint.hpp"

using namespace zeropoint;

int main(int argc, char** argv) try {
  if (argc != 3) return std::puts("compare_files A B"), 0;
  const WeightFile a = open_weights(argv[1]), b = open_weights(argv[2]);
  const FileComparison comparison = compare_files(a, b);
  for (const WeightDifference* row : comparison.worst(5)) {
    std::printf("%s: %.2f dB\n", row->pair.a->name.c_str(), row->sqnr_db().value_or(0));
  }
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
