#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"

#include "io/mapped_file.hpp"
#include "io/onnx_scan.hpp"

namespace zeropoint {

/// A data type of ONNX's that is a TensorType.
struct OnnxType {
  std::int32_t number;    ///< of TensorProto.DataType
  std::string_view name;  ///< of the TensorType
  std::uint32_t field;    ///< of TensorProto, which holds its numbers where raw_data does not
  std::size_t bytes;      ///< that one number there stands for
  int opset;              ///< the first whose operators take it
  int dequantize;         ///< the first whose DequantizeLinear takes it as codes; 0: none
  int scale;              ///< as scale
};
/// Null if there is none.
const OnnxType* onnx_type(std::int32_t number);
const OnnxType* onnx_type(const TensorType& type);

/// As Container::wrong_tensor says.
std::string wrong_onnx_tensor(const TensorFilePlan::Tensor& tensor);

/// "each scale of 'x' …, found …" if these shapes make no DequantizeLinear; empty if they do.
std::string wrong_dequantization(const DequantizedTensor& row, const StoredTensor* codes,
                                 const StoredTensor* scale, const StoredTensor* zero_point);

class OnnxFile : public TensorFile {
 public:
  explicit OnnxFile(const std::string& path);

  TensorBytes load(const StoredTensor& tensor) const override;
  std::vector<DequantizedTensor> dequantizations() const override;
  std::vector<std::string> files() const override;

  const onnx::ModelProto& skeleton() const { return scan_.skeleton; }
  /// Of them, tensors() are those of a type that is known, by their `place`.
  const std::vector<OnnxInitializer>& initializers() const { return scan_.initializers; }
  /// An initializer's TensorProto.
  std::span<const std::uint8_t> proto(const OnnxInitializer& initializer) const {
    return file_.bytes().subspan(initializer.begin, initializer.size);
  }

 private:
  void add_initializer(std::size_t index);
  void place_external(const OnnxInitializer& initializer, StoredTensor& tensor);
  std::size_t external_file(const std::string& location, const std::string& shown);

  MappedFile file_;
  OnnxScan scan_;
  std::vector<std::unique_ptr<MappedFile>> externals_;  // StoredTensor::part counts them from 1
  std::vector<std::uint64_t> offsets_;                  // in the external file, by initializer
};

}  // namespace zeropoint
