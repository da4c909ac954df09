#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/io/tensor_file.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {

/// One tensor of a model as its user thinks of it: plain numbers, or codes with what they mean.
struct Weight {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t count = 1;                 ///< values
  const StoredTensor* stored = nullptr;  ///< the numbers, or the codes
  std::uint64_t bytes = 0;               ///< in the file, with scales, zero points and levels
  /// Whether it is made of codes: by zeropoint's own scheme, by an ONNX DequantizeLinear or in
  /// ggml's blocks.
  bool is_quantized = false;
  std::optional<Scheme> scheme;  ///< where zeropoint quantized it
  /// "F32", "Q4_K", or the scheme as short as it can be said, "I8 dequantized" of ONNX.
  std::string type;
  std::size_t dequantization = 0;  ///< of ONNX: which; its own matter

  /// Numbers that a scheme could be tried on: of a floating type, or quantized.
  bool is_numbers() const {
    return is_quantized || (stored != nullptr && stored->type->kind == TensorKind::floating);
  }
};

/// float32 values of a tensor: a mapped file's own, where they lie so, or decoded ones.
class WeightValues {
 public:
  WeightValues(TensorBytes bytes, std::span<const float> view)
      : bytes_(std::move(bytes)), values_(view) {}
  explicit WeightValues(Matrix<float> owned)
      : owned_(std::move(owned)), values_(std::as_const(owned_).values()) {}
  std::span<const float> values() const { return values_; }

 private:
  std::optional<TensorBytes> bytes_;
  Matrix<float> owned_;
  std::span<const float> values_;
};

/// What may be wrong with how a quantized tensor is stored.
struct WeightLint {
  std::size_t dead_scales = 0;          ///< 0, below the smallest normal number, or not finite
  std::size_t zero_blocks = 0;          ///< tiles or blocks whose codes all stand for 0
  std::size_t outside_zero_points = 0;  ///< beyond what the codes can be
  std::size_t tiles = 0;
};

/// A file of tensors read as weights.
class WeightFile {
 public:
  explicit WeightFile(std::unique_ptr<TensorFile> file);
  const TensorFile& file() const { return *file_; }
  const std::vector<Weight>& weights() const { return weights_; }
  const Weight* find(std::string_view name) const;
  /// All values, row-major, dequantized where they are codes; numbers that float32 cannot hold are
  /// rounded to it. On all threads.
  WeightValues load(const Weight& weight) const;
  /// Of a quantized tensor; a plain one has nothing to be found.
  WeightLint lint(const Weight& weight) const;

 private:
  void add_own(std::string_view text);
  void add_onnx();
  void add_plain();
  void dequantize_onnx(const Weight& weight, std::span<float> out) const;

  std::unique_ptr<TensorFile> file_;
  std::vector<Weight> weights_;
  std::vector<DequantizedTensor> dequantizations_;
};

/// Opens any container. Throws InputError as open_tensor_file does, and if codes and what they mean
/// do not fit together.
WeightFile open_weights(const std::string& path);

/// "1.2 GB", "345 kB", "12 bytes".
std::string size_text(double bytes);

}  // namespace zeropoint
