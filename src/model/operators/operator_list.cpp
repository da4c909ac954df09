#include "model/operators/families.hpp"

namespace zeropoint::model {
namespace {

// name, function, the first operator set whose rules it knows, inputs, attributes. Rules that
// changed later are the function's to tell apart, by Arguments::opset(). Source: ONNX's
// docs/Changelog.md up to operator set 26.
const std::vector<std::string_view> kConvAttributes = {"auto_pad",     "dilations", "group",
                                                       "kernel_shape", "pads",      "strides"};
const std::vector<Operator> kOperators = {
    {"Add", run_add, 7, 2, 2, {}},
    {"Cast", run_cast, 1, 1, 1, {"to", "saturate", "round_mode"}},
    {"CastLike", run_cast_like, 15, 2, 2, {"saturate", "round_mode"}},
    {"Clip", run_clip, 1, 1, 3, {"min", "max"}},
    {"Constant",
     run_constant,
     1,
     0,
     0,
     {"value", "value_float", "value_floats", "value_int", "value_ints"}},
    {"ConvInteger", run_conv_integer, 10, 2, 4, kConvAttributes},
    {"DequantizeLinear", run_dequantize_linear, 10, 2, 3, {"axis", "block_size", "output_dtype"}},
    {"Div", run_div, 7, 2, 2, {}},
    {"DynamicQuantizeLinear", run_dynamic_quantize_linear, 11, 1, 1, {}},
    {"Identity", run_identity, 1, 1, 1, {}},
    {"MatMulInteger", run_matmul_integer, 10, 2, 4, {}},
    {"Max", run_max, 8, 1, 1 << 20, {}},
    {"Min", run_min, 8, 1, 1 << 20, {}},
    {"Mul", run_mul, 7, 2, 2, {}},
    {"QLinearConv", run_qlinear_conv, 10, 8, 9, kConvAttributes},
    {"QLinearMatMul", run_qlinear_matmul, 10, 8, 8, {}},
    {"QuantizeLinear",
     run_quantize_linear,
     10,
     2,
     3,
     {"axis", "block_size", "output_dtype", "precision", "saturate"}},
    {"ReduceMax", run_reduce_max, 1, 1, 2, {"axes", "keepdims", "noop_with_empty_axes"}},
    {"ReduceMin", run_reduce_min, 1, 1, 2, {"axes", "keepdims", "noop_with_empty_axes"}},
    {"Reshape", run_reshape, 5, 2, 2, {"allowzero"}},
    {"Round", run_round, 11, 1, 1, {}},
    {"Sub", run_sub, 7, 2, 2, {}},
};

}  // namespace

std::span<const Operator> operators() { return kOperators; }

const Operator* find_operator(std::string_view name) {
  for (const Operator& row : kOperators) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace zeropoint::model
