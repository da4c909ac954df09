#pragma once
#include <vector>

#include "model/operators/operator.hpp"

// The functions behind the rows of operator_list.cpp, by the file that each is in.
namespace zeropoint::model {

using Outputs = std::vector<Value>;

// cast.cpp
Outputs run_cast(const Arguments& arguments);
Outputs run_cast_like(const Arguments& arguments);

// quantize_linear.cpp, dequantize_linear.cpp, dynamic_quantize_linear.cpp
Outputs run_quantize_linear(const Arguments& arguments);
Outputs run_dequantize_linear(const Arguments& arguments);
Outputs run_dynamic_quantize_linear(const Arguments& arguments);

// matmul_integer.cpp
Outputs run_matmul_integer(const Arguments& arguments);
Outputs run_qlinear_matmul(const Arguments& arguments);

// conv_integer.cpp
Outputs run_conv_integer(const Arguments& arguments);
Outputs run_qlinear_conv(const Arguments& arguments);

// elementwise.cpp
Outputs run_add(const Arguments& arguments);
Outputs run_sub(const Arguments& arguments);
Outputs run_mul(const Arguments& arguments);
Outputs run_div(const Arguments& arguments);
Outputs run_min(const Arguments& arguments);
Outputs run_max(const Arguments& arguments);
Outputs run_clip(const Arguments& arguments);
Outputs run_round(const Arguments& arguments);

// reduce.cpp
Outputs run_reduce_min(const Arguments& arguments);
Outputs run_reduce_max(const Arguments& arguments);

// shape.cpp
Outputs run_constant(const Arguments& arguments);
Outputs run_identity(const Arguments& arguments);
Outputs run_reshape(const Arguments& arguments);

}  // namespace zeropoint::model
