// Models for the comparison with ONNX and ONNX Runtime.
//   peer_onnx raise IN OUT OPSET           the same initializers, at least that operator set
//   peer_onnx quantize IN OUT TYPE GROUP   each float32 initializer of two or more axes as codes of
//                                          TYPE (I8, U4, …); a scale for the "tensor", each index
//                                          of the "axis" 0, or so many values along axis 1
//   peer_onnx alone IN OUT TYPE GROUP      the same in a model of its own, whose outputs they are
//   peer_onnx beside IN OUT                the same initializers, in a file beside the model
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "zeropoint/io/tensor_file.hpp"

#include "io/onnx_writer.hpp"

namespace {

using namespace zeropoint;

struct Output {
  TensorFilePlan plan;
  std::vector<std::vector<std::uint8_t>> bytes;

  void add(const std::string& name, std::vector<std::size_t> shape, const TensorType& type,
           std::vector<std::uint8_t> values) {
    plan.tensors.push_back({name, std::move(shape), &type});
    bytes.push_back(std::move(values));
  }
  void write(const std::string& path, const OnnxWriting& options) const {
    const auto writer = write_onnx(path, plan, options);
    for (const auto& one : bytes) writer->write(one);
    writer->finish();
  }
};

std::vector<std::uint8_t> pack(const std::vector<int>& codes, int bits) {
  std::vector<std::uint8_t> bytes((codes.size() * static_cast<std::size_t>(bits) + 7) / 8);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t at = i * static_cast<std::size_t>(bits);
    const unsigned code = static_cast<unsigned>(codes[i]) & ((1U << bits) - 1);
    bytes[at / 8] |= static_cast<std::uint8_t>(code << at % 8);
  }
  return bytes;
}

// Codes from lo to hi, 0 among the numbers they stand for.
void quantize(Output& out, const StoredTensor& tensor, const std::vector<float>& x,
              const std::string& type_name, const std::string& group) {
  const TensorType& type = tensor_type(type_name);
  const int bits = static_cast<int>(type.bits());
  const bool is_signed = type_name[0] == 'I';
  const int lo = is_signed ? -(1 << (bits - 1)) : 0, hi = lo + (1 << bits) - 1;
  DequantizedTensor row{
      tensor.name, tensor.name + "_codes", tensor.name + "_scale", tensor.name + "_zero", 0, 0,
      false};
  std::vector<std::size_t> scales;
  std::size_t inner = 1;
  for (std::size_t i = 2; i < tensor.shape.size(); ++i) inner *= tensor.shape[i];
  const std::size_t cols = tensor.shape[1], rows = tensor.shape[0];
  std::size_t per_row = 1;
  if (group == "axis") {
    row.per_channel = true;
    scales = {rows};
  } else if (group != "tensor") {
    row.axis = 1;
    row.block = std::stoul(group);
    per_row = (cols + row.block - 1) / row.block;
    scales = tensor.shape;
    scales[1] = per_row;
  }
  std::size_t groups = 1;
  for (const std::size_t size : scales) groups *= size;
  const auto group_of = [&](std::size_t i) {
    const std::size_t r = i / (cols * inner), c = i / inner % cols;
    if (row.per_channel) return r;
    return row.block == 0 ? std::size_t{0} : (r * per_row + c / row.block) * inner + i % inner;
  };
  std::vector<float> least(groups), most(groups), scale(groups);
  for (std::size_t i = 0; i < x.size(); ++i) {
    least[group_of(i)] = std::min(least[group_of(i)], x[i]);
    most[group_of(i)] = std::max(most[group_of(i)], x[i]);
  }
  std::vector<int> zero(groups), codes(x.size());
  for (std::size_t g = 0; g < groups; ++g) {
    const float range = most[g] - least[g];
    scale[g] = range > 0 ? range / static_cast<float>(hi - lo) : 1;
    zero[g] = std::clamp(lo - static_cast<int>(std::lround(least[g] / scale[g])), lo, hi);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t g = group_of(i);
    codes[i] = std::clamp(static_cast<int>(std::lround(x[i] / scale[g])) + zero[g], lo, hi);
  }
  std::vector<std::uint8_t> scale_bytes(4 * groups);
  std::memcpy(scale_bytes.data(), scale.data(), scale_bytes.size());
  out.add(row.codes, tensor.shape, type, pack(codes, bits));
  out.add(row.scale, scales, tensor_type("F32"), std::move(scale_bytes));
  out.add(row.zero_point, scales, type, pack(zero, bits));
  out.plan.dequantizations.push_back(std::move(row));
}

int run(const std::vector<std::string>& words) {
  const bool quantizes = words.size() == 5 && (words[0] == "quantize" || words[0] == "alone");
  const bool raises = words.size() == 4 && words[0] == "raise";
  const bool beside = words.size() == 3 && words[0] == "beside";
  if (!quantizes && !raises && !beside) {
    std::fprintf(stderr, "peer_onnx: expected a command, see its source\n");
    return 2;
  }
  const auto file = open_tensor_file(words[1]);
  Output out;
  if (words[0] != "alone") out.plan.source = file.get();
  for (const auto& tensor : file->tensors()) {
    const TensorBytes bytes = file->load(tensor);
    if (quantizes && tensor.type->name == "F32" && tensor.shape.size() >= 2) {
      std::vector<float> x(tensor.count);
      tensor.type->decode(bytes.bytes().data(), tensor.count, x.data());
      quantize(out, tensor, x, words[3], words[4]);
    } else {
      out.add(tensor.name, tensor.shape, *tensor.type,
              {bytes.bytes().begin(), bytes.bytes().end()});
    }
  }
  OnnxWriting options;
  if (raises) options.opset = std::stoi(words[3]);
  if (beside) options.most_inline = 0;
  out.write(words[2], options);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
