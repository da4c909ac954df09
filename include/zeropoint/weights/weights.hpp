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

/// What may be wrong with the numbers of a tensor, or with how they are stored.
struct WeightLint {
  std::size_t tiles = 0;  ///< or blocks: what has a scale of its own; 0 of a plain tensor
  /// Scales of 0, below the smallest normal number, or not finite. Of blocks, whose scales are
  /// narrow: those of 0 where codes stand for something, and those that make a value not finite.
  std::size_t dead_scales = 0;
  std::size_t zero_blocks = 0;          ///< tiles or blocks whose codes all stand for 0
  std::size_t outside_zero_points = 0;  ///< beyond what the codes can be
  std::size_t non_finite = 0;           ///< NaNs and infinities of a plain tensor
  /// Whether there is something that a quantizer should not have left.
  bool is_clean() const { return dead_scales + outside_zero_points + non_finite == 0; }
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
  /// On all threads. Throws InputError as load() does, but not because of a scale.
  WeightLint lint(const Weight& weight) const;
  /// Its tensors in the file: the codes or the numbers, then what they mean.
  std::vector<const StoredTensor*> parts(const Weight& weight) const;
  /// How ONNX dequantizes it; null if it does not.
  const DequantizedTensor* dequantization(const Weight& weight) const;

 private:
  void add_own(std::string_view text);
  void add_onnx();
  void add_plain();
  void index_names();
  void dequantize_onnx(const Weight& weight, std::span<float> out) const;
  WeightLint lint_own(const Weight& weight) const;
  WeightLint lint_onnx(const Weight& weight) const;

  std::unique_ptr<TensorFile> file_;
  std::vector<Weight> weights_;  // in the order of the file
  std::vector<std::size_t> by_name_;
  std::vector<DequantizedTensor> dequantizations_;
};

/// Opens any container. Throws InputError as open_tensor_file does, and if codes and what they mean
/// do not fit together.
WeightFile open_weights(const std::string& path);

/// "1.2 GB", "345 kB", "12 bytes".
std::string size_text(double bytes);

}  // namespace zeropoint
