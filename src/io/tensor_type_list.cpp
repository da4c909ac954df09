#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/block_format.hpp"
#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/formats/packed_codes.hpp"
#include "zeropoint/io/tensor_type.hpp"

#include "io/k_blocks.hpp"

namespace zeropoint {
namespace {

// Bytes of a file may lie anywhere, numbers may not: they pass through here, some at a time.
constexpr std::size_t kPiece = 4096;

template <class T>
void decode_plain(const std::uint8_t* bytes, std::size_t count, float* x) {
  if constexpr (std::is_same_v<T, float>) {
    if (count != 0) std::memcpy(x, bytes, count * sizeof(float));
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
    x[i] = static_cast<float>(value);
  }
}

template <auto& name, class Code>
void decode_float(const std::uint8_t* bytes, std::size_t count, float* x) {
  static const FloatFormat& format = float_format(name);
  std::array<Code, kPiece> codes;
  for (std::size_t done = 0; done < count; done += kPiece) {
    const std::size_t now = std::min(kPiece, count - done);
    std::memcpy(codes.data(), bytes + done * sizeof(Code), now * sizeof(Code));
    decode(format, std::span<const Code>(codes.data(), now), {x + done, now});
  }
}

// Codes without gaps, the first in the lowest bits.
template <auto& name>
void decode_packed_float(const std::uint8_t* bytes, std::size_t count, float* x) {
  static const FloatFormat& format = float_format(name);
  std::array<std::uint8_t, kPiece> codes;
  const int bits = format.bits();
  for (std::size_t done = 0; done < count; done += kPiece) {
    const std::size_t now = std::min(kPiece, count - done);
    const std::span some(codes.data(), now);
    unpack({bytes + done * static_cast<std::size_t>(bits) / 8, packed_bytes(now, bits)}, bits,
           some);
    decode(format, std::span<const std::uint8_t>(some), {x + done, now});
  }
}

template <int bits, bool is_signed>
void decode_packed_integer(const std::uint8_t* bytes, std::size_t count, float* x) {
  constexpr std::size_t a_byte = 8 / bits;
  constexpr int mask = (1 << bits) - 1, sign = is_signed ? 1 << (bits - 1) : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int code = bytes[i / a_byte] >> (i % a_byte * bits) & mask;
    x[i] = static_cast<float>((code ^ sign) - sign);
  }
}

template <auto& name>
void decode_format_blocks(const std::uint8_t* blocks, std::size_t count, float* x) {
  static const BlockFormat& format = block_format(name);
  const auto decode_whole = [](const std::uint8_t* from, std::size_t values, float* to) {
    if (!format.fast_decode(from, values, 1, to)) format.decode(from, values, 1, to);
  };
  // Some at a time: a scale that is not finite leaves only its piece to the definition.
  const std::size_t whole = count - count % format.block;
  for (std::size_t done = 0; done < whole; done += kPiece) {
    decode_whole(blocks + done / format.block * format.bytes, std::min(kPiece, whole - done),
                 x + done);
  }
  if (whole == count) return;
  std::array<float, 32> last;
  decode_whole(blocks + whole / format.block * format.bytes, format.block, last.data());
  std::copy_n(last.data(), count - whole, x + whole);
}

constexpr char kFp16[] = "fp16", kBf16[] = "bf16", kE4m3[] = "e4m3", kE5m2[] = "e5m2",
               kE4m3fnuz[] = "e4m3fnuz", kE5m2fnuz[] = "e5m2fnuz", kE8m0[] = "e8m0",
               kE2m1[] = "e2m1", kE2m3[] = "e2m3", kE3m2[] = "e3m2", kQ8_0[] = "q8_0",
               kQ4_0[] = "q4_0", kQ4_1[] = "q4_1", kQ5_0[] = "q5_0", kQ5_1[] = "q5_1";

constexpr auto F = TensorKind::floating, I = TensorKind::integer, B = TensorKind::blocks;

constexpr TensorType kTypes[] = {
    {"F32", F, 1, 4, decode_plain<float>},
    {"F64", F, 1, 8, decode_plain<double>},
    {"F16", F, 1, 2, decode_float<kFp16, std::uint16_t>},
    {"BF16", F, 1, 2, decode_float<kBf16, std::uint16_t>},
    {"F8_E4M3", F, 1, 1, decode_float<kE4m3, std::uint8_t>},
    {"F8_E5M2", F, 1, 1, decode_float<kE5m2, std::uint8_t>},
    {"F8_E4M3FNUZ", F, 1, 1, decode_float<kE4m3fnuz, std::uint8_t>},
    {"F8_E5M2FNUZ", F, 1, 1, decode_float<kE5m2fnuz, std::uint8_t>},
    {"F8_E8M0", F, 1, 1, decode_float<kE8m0, std::uint8_t>},
    {"F6_E2M3", F, 4, 3, decode_packed_float<kE2m3>},
    {"F6_E3M2", F, 4, 3, decode_packed_float<kE3m2>},
    {"F4", F, 2, 1, decode_packed_float<kE2m1>},
    {"I64", I, 1, 8, decode_plain<std::int64_t>},
    {"I32", I, 1, 4, decode_plain<std::int32_t>},
    {"I16", I, 1, 2, decode_plain<std::int16_t>},
    {"I8", I, 1, 1, decode_plain<std::int8_t>},
    {"I4", I, 2, 1, decode_packed_integer<4, true>},
    {"I2", I, 4, 1, decode_packed_integer<2, true>},
    {"U64", I, 1, 8, decode_plain<std::uint64_t>},
    {"U32", I, 1, 4, decode_plain<std::uint32_t>},
    {"U16", I, 1, 2, decode_plain<std::uint16_t>},
    {"U8", I, 1, 1, decode_plain<std::uint8_t>},
    {"U4", I, 2, 1, decode_packed_integer<4, false>},
    {"U2", I, 4, 1, decode_packed_integer<2, false>},
    {"BOOL", I, 1, 1, decode_plain<std::uint8_t>},
    {"Q8_0", B, 32, 34, decode_format_blocks<kQ8_0>},
    {"Q4_0", B, 32, 18, decode_format_blocks<kQ4_0>},
    {"Q4_1", B, 32, 20, decode_format_blocks<kQ4_1>},
    {"Q5_0", B, 32, 22, decode_format_blocks<kQ5_0>},
    {"Q5_1", B, 32, 24, decode_format_blocks<kQ5_1>},
    {"Q8_1", B, 32, 36, decode_q8_1},
    {"Q2_K", B, 256, 84, decode_q2_k},
    {"Q3_K", B, 256, 110, decode_q3_k},
    {"Q4_K", B, 256, 144, decode_q4_k},
    {"Q5_K", B, 256, 176, decode_q5_k},
    {"Q6_K", B, 256, 210, decode_q6_k},
    {"Q8_K", B, 256, 292, decode_q8_k},
    {"MXFP4", B, 32, 17, decode_mxfp4},
};

}  // namespace

std::span<const TensorType> tensor_types() { return kTypes; }

const TensorType* find_tensor_type(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &TensorType::name);
  return found == std::end(kTypes) ? nullptr : found;
}

const TensorType& tensor_type(std::string_view name) {
  if (const TensorType* found = find_tensor_type(name)) return *found;
  std::vector<std::string_view> known;
  for (const auto& type : kTypes) known.push_back(type.name);
  throw InputError(fmt::format("tensor type: expected one of {}, found '{}' (did you mean {}?)",
                               join_words(known), printable(name), nearest_word(name, known)));
}

}  // namespace zeropoint
