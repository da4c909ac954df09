// Quantizes a model's file: int4 in groups for what has at least two axes, the output layer in
// int8.
#include <cstdio>

#include "zeropoint/zeropoint.hpp"

using namespace zeropoint;

int main(int argc, char** argv) try {
  if (argc != 3) return std::puts("quantize_file FILE OUT.safetensors"), 0;
  const WeightFile file = open_weights(argv[1]);
  QuantizeOptions options;
  options.scheme = "int4:sym:group=32";
  options.overrides = {{"head", "int8:sym:channel"}};
  options.fallback = "keep";
  QuantizePlan plan = plan_quantization(file, options);
  write_quantized(file, plan, argv[2]);
  std::printf("%zu of %zu tensors, %s instead of %s\n", plan.quantized(), plan.weights.size(),
              size_text(static_cast<double>(plan.bytes_after)).c_str(),
              size_text(static_cast<double>(plan.bytes_before)).c_str());
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
