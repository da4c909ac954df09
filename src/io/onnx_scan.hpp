#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <onnx/onnx_pb.h>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zeropoint {

/// The fields of one message, one after another, where they lie; nothing is copied.
class WireFields {
 public:
  /// `path` and `first` (where the message begins in that file) are for errors.
  WireFields(std::span<const std::uint8_t> bytes, std::string_view path, std::size_t first)
      : bytes_(bytes), path_(path), first_(first) {}

  /// False at the end. Throws InputError if no field of the protocol is there.
  bool next();
  std::uint32_t field() const { return tag_ >> 3; }
  std::uint32_t wire() const { return tag_ & 7; }
  /// Of wire types 0, 1 and 5.
  std::uint64_t number() const { return number_; }
  /// Of wire type 2.
  std::span<const std::uint8_t> payload() const { return payload_; }
  std::string text() const {
    return {reinterpret_cast<const char*>(payload_.data()), payload_.size()};
  }
  /// The whole field in the message.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return at_; }
  /// Of the payload in the file.
  std::size_t place() const { return first_ + at_ - payload_.size(); }
  /// Each number of a repeated field, packed or not: at most 64 bits as they are.
  void numbers(std::uint32_t wire_of_one, const std::function<void(std::uint64_t)>& each) const;
  [[noreturn]] void damaged() const;

 private:
  bool varint(std::uint64_t& value);
  bool fixed(std::size_t size, std::uint64_t& value);

  std::span<const std::uint8_t> bytes_, payload_;
  std::string_view path_;
  std::size_t first_ = 0, begin_ = 0, at_ = 0;
  std::uint32_t tag_ = 0;
  std::uint64_t number_ = 0;
};

// What zeropoint reads of ModelProto, GraphProto and TensorProto, by the numbers of onnx.proto.
namespace onnx_field {
constexpr std::uint32_t kGraph = 7, kInitializer = 5;
constexpr std::uint32_t kDims = 1, kDataType = 2, kSegment = 3, kFloats = 4, kInt32s = 5,
                        kStrings = 6, kInt64s = 7, kName = 8, kRaw = 9, kDoubles = 10,
                        kUint64s = 11, kExternal = 13, kLocation = 14;
/// The wire type of one number of a field of numbers.
constexpr std::uint32_t wire_of(std::uint32_t field) {
  return field == kFloats ? 5 : field == kDoubles ? 1 : 0;
}
}  // namespace onnx_field

/// An initializer of the main graph, its numbers left where they are.
struct OnnxInitializer {
  std::string name;
  std::vector<std::int64_t> dims;
  std::int32_t data_type = 0;
  std::size_t begin = 0, size = 0;  ///< of its TensorProto in the file
  bool has_raw = false, has_segment = false, is_external = false;
  std::size_t raw = 0, raw_size = 0;  ///< of raw_data in the file
  std::size_t typed[12] = {};         ///< numbers by field
  std::vector<std::pair<std::string, std::string>> external;
  std::string rest;  ///< fields that say nothing of the numbers: doc_string, …
};

struct OnnxScan {
  std::vector<OnnxInitializer> initializers;
  onnx::ModelProto skeleton;  ///< all but the main graph's initializers
};

/// Throws InputError in one line if the bytes are no model with a graph.
OnnxScan scan_onnx(std::span<const std::uint8_t> bytes, const std::string& path);

}  // namespace zeropoint
