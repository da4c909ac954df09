#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"

#include "support/quantized_files.hpp"

namespace zeropoint::testing {

/// A container in memory that says whatever it is told to, as only a careless reader would.
class MemoryFile : public TensorFile {
 public:
  MemoryFile(std::vector<RawTensor> tensors, std::vector<DequantizedTensor> dequantizations)
      : TensorFile("memory", "onnx"),
        raw_(std::move(tensors)),
        dequantizations_(std::move(dequantizations)) {
    for (std::size_t i = 0; i < raw_.size(); ++i) {
      add(raw_[i].name, raw_[i].shape, tensor_type(raw_[i].type)).place = i;
    }
    check_names();
  }
  std::vector<DequantizedTensor> dequantizations() const override { return dequantizations_; }
  TensorBytes load(const StoredTensor& tensor) const override {
    return TensorBytes(raw_[tensor.place].bytes);
  }

 private:
  std::vector<RawTensor> raw_;
  std::vector<DequantizedTensor> dequantizations_;
};

}  // namespace zeropoint::testing
