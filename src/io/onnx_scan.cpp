#include "io/onnx_scan.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"

namespace zeropoint {
namespace {

constexpr int kDeepest = 64;            // messages within messages
constexpr std::size_t kMostRank = 255;  // more axes than any runtime takes; keeps errors in a line

// Part of a message of the schema, merged into it.
template <class Message>
void merge(Message& message, std::span<const std::uint8_t> bytes, const std::string& path,
           std::size_t first) {
  if (bytes.empty()) return;
  google::protobuf::io::CodedInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kDeepest);
  if (!message.MergePartialFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    refuse_file(path, fmt::format("an ONNX model, nested at most {} deep", kDeepest),
                fmt::format("damage at or after byte {}", first));
  }
}

std::pair<std::string, std::string> read_entry(std::span<const std::uint8_t> bytes,
                                               const std::string& path, std::size_t first) {
  WireFields entry(bytes, path, first);
  std::pair<std::string, std::string> result;
  while (entry.next()) {
    if (entry.wire() != 2) continue;
    if (entry.field() == 1) result.first = entry.text();
    if (entry.field() == 2) result.second = entry.text();
  }
  return result;
}

OnnxInitializer read_initializer(std::span<const std::uint8_t> bytes, const std::string& path,
                                 std::size_t first) {
  namespace f = onnx_field;
  OnnxInitializer result;
  result.begin = first;
  result.size = bytes.size();
  WireFields fields(bytes, path, first);
  const auto expect = [&](std::uint32_t wire) {
    if (fields.wire() != wire) fields.damaged();
  };
  while (fields.next()) {
    switch (fields.field()) {
      case f::kDims:
        fields.numbers(
            0, [&](std::uint64_t size) { result.dims.push_back(static_cast<std::int64_t>(size)); });
        break;
      case f::kDataType:
        expect(0);
        result.data_type = static_cast<std::int32_t>(fields.number());
        break;
      case f::kSegment:
        result.has_segment = true;
        break;
      case f::kFloats:
      case f::kInt32s:
      case f::kInt64s:
      case f::kDoubles:
      case f::kUint64s:
        fields.numbers(f::wire_of(fields.field()),
                       [&](std::uint64_t) { ++result.typed[fields.field()]; });
        break;
      case f::kStrings:
        break;
      case f::kName:
        expect(2);
        result.name = fields.text();
        break;
      case f::kRaw:
        expect(2);
        result.has_raw = true;
        result.raw = fields.place();
        result.raw_size = fields.payload().size();
        break;
      case f::kExternal:
        expect(2);
        result.external.push_back(read_entry(fields.payload(), path, fields.place()));
        break;
      case f::kLocation:
        expect(0);
        result.is_external = fields.number() == 1;
        break;
      default:
        result.rest.append(reinterpret_cast<const char*>(bytes.data()) + fields.begin(),
                           fields.end() - fields.begin());
    }
  }
  if (result.dims.size() > kMostRank) {
    refuse_file(path, fmt::format("at most {} axes of '{}'", kMostRank, printable(result.name)),
                fmt::format("{}", result.dims.size()));
  }
  return result;
}

void scan_graph(std::span<const std::uint8_t> bytes, const std::string& path, std::size_t first,
                OnnxScan& scan) {
  onnx::GraphProto& graph = *scan.skeleton.mutable_graph();
  WireFields fields(bytes, path, first);
  std::size_t done = 0;
  while (fields.next()) {
    if (fields.field() != onnx_field::kInitializer) continue;
    if (fields.wire() != 2) fields.damaged();
    merge(graph, bytes.subspan(done, fields.begin() - done), path, first + done);
    done = fields.end();
    scan.initializers.push_back(read_initializer(fields.payload(), path, fields.place()));
  }
  merge(graph, bytes.subspan(done), path, first + done);
}

}  // namespace

void WireFields::damaged() const {
  refuse_file(path_, "an ONNX model", fmt::format("damage at byte {}", first_ + begin_));
}

bool WireFields::varint(std::uint64_t& value) {
  const std::size_t some = std::min<std::size_t>(bytes_.size() - at_, 10);
  google::protobuf::io::CodedInputStream stream(bytes_.data() + at_, static_cast<int>(some));
  const bool whole = stream.ReadVarint64(&value);
  at_ += static_cast<std::size_t>(stream.CurrentPosition());
  return whole;
}

bool WireFields::fixed(std::size_t size, std::uint64_t& value) {
  if (bytes_.size() - at_ < size) return false;
  value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | bytes_[at_ + i];
  at_ += size;
  return true;
}

bool WireFields::next() {
  begin_ = at_;
  payload_ = {};
  if (at_ == bytes_.size()) return false;
  std::uint64_t tag = 0;
  if (!varint(tag) || tag > std::numeric_limits<std::uint32_t>::max() || tag >> 3 == 0) damaged();
  tag_ = static_cast<std::uint32_t>(tag);
  bool whole = false;
  switch (wire()) {
    case 0:
      whole = varint(number_);
      break;
    case 1:
      whole = fixed(8, number_);
      break;
    case 2:
      whole = varint(number_) && number_ <= bytes_.size() - at_;
      if (whole) {
        payload_ = bytes_.subspan(at_, static_cast<std::size_t>(number_));
        at_ += payload_.size();
      }
      break;
    case 5:
      whole = fixed(4, number_);
      break;
    default:  // groups, which ONNX has none of
      break;
  }
  if (!whole) damaged();
  return true;
}

void WireFields::numbers(std::uint32_t wire_of_one,
                         const std::function<void(std::uint64_t)>& each) const {
  if (wire() == wire_of_one) {
    each(number_);
    return;
  }
  if (wire() != 2) damaged();
  WireFields packed(payload_, path_, place());
  while (packed.at_ < payload_.size()) {
    std::uint64_t value = 0;
    const bool whole =
        wire_of_one == 0 ? packed.varint(value) : packed.fixed(wire_of_one == 1 ? 8 : 4, value);
    if (!whole) damaged();
    each(value);
  }
}

OnnxScan scan_onnx(std::span<const std::uint8_t> bytes, const std::string& path) {
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  if (bytes.size() > kMost) {
    refuse_file(path, fmt::format("an ONNX model of at most {}", byte_count(kMost)),
                byte_count(bytes.size()));
  }
  const google::protobuf::LogSilencer silence;  // this library does not print
  OnnxScan scan;
  WireFields fields(bytes, path, 0);
  while (fields.next()) {
    if (fields.field() == onnx_field::kGraph) {
      if (fields.wire() != 2) fields.damaged();
      scan_graph(fields.payload(), path, fields.place(), scan);
    } else {
      merge(scan.skeleton, bytes.subspan(fields.begin(), fields.end() - fields.begin()), path,
            fields.begin());
    }
  }
  if (!scan.skeleton.has_graph()) refuse_file(path, "an ONNX model with a graph", "none");
  std::set<std::string_view> names;
  for (const auto& initializer : scan.initializers) {
    if (!names.insert(initializer.name).second) {
      refuse_file(path, "each initializer's name once",
                  fmt::format("'{}' twice", printable(initializer.name)));
    }
  }
  return scan;
}

}  // namespace zeropoint
