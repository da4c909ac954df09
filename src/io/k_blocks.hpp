#pragma once
#include <cstddef>
#include <cstdint>

namespace zeropoint {

// ggml's blocks that are read only: `count` values out of whole blocks, the last one perhaps in
// part. Source: the block structs and dequantize_row functions that ggml's file format is.
void decode_q8_1(const std::uint8_t* blocks, std::size_t count, float* x);
void decode_q2_k(const std::uint8_t* blocks, std::size_t count, float* x);
void decode_q3_k(const std::uint8_t* blocks, std::size_t count, float* x);
void decode_q4_k(const std::uint8_t* blocks, std::size_t count, float* x);
void decode_q5_k(const std::uint8_t* blocks, std::size_t count, float* x);
void decode_q6_k(const std::uint8_t* blocks, std::size_t count, float* x);
void decode_q8_k(const std::uint8_t* blocks, std::size_t count, float* x);
/// OCP's elements and scales in ggml's order: value j low in byte j, value j + 16 high.
void decode_mxfp4(const std::uint8_t* blocks, std::size_t count, float* x);

}  // namespace zeropoint
