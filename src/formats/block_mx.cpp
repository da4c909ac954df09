// OCP Microscaling: 32 elements and a power of two; NVFP4: 16 elements and an e4m3 scale. A block
// is its scale's byte, then its elements, packed least significant bits first.
#include <algorithm>
#include <bit>
#include <cmath>

#include "zeropoint/formats/float_format.hpp"
#include "zeropoint/formats/packed_codes.hpp"

#include "formats/block_rows.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kMost = 32;  // values of a block
constexpr int kScaleBias = 127;

// What an element is: a float format, or (null) an int8 in units of 1/64.
struct Element {
  const FloatFormat* format;
  int power;  // of two, of the largest element
  int fraction_bits;
  double largest;
};

Element element(const char* name) {
  const FloatFormat& format = float_format(name);
  const double most = largest(format);
  return {&format, std::ilogb(most), format.fraction_bits, most};
}
constexpr Element kInt8 = {nullptr, 0, 6, 127.0 / 64};

float largest_magnitude(const float* x, std::size_t count) {
  std::uint32_t most = 0;  // magnitudes are in the order of their bits
  for (std::size_t j = 0; j < count; ++j) {
    most = std::max(most, std::bit_cast<std::uint32_t>(x[j]) & 0x7FFFFFFF);
  }
  return std::bit_cast<float>(most);
}

// The power of two that a block is divided by, kept within E8M0's.
int shared_power(float most, const Element& element, ScaleRule rule) {
  if (most == 0) return -kScaleBias;
  int power = std::ilogb(most);
  switch (rule) {
    case ScaleRule::floor:
      break;
    case ScaleRule::ceil:
      if (std::ldexp(1.0, power) < double{most}) ++power;
      break;
    case ScaleRule::even: {
      // Half of the element's last fraction bit carries into the next power of two, or does not.
      const double half = std::ldexp(0.5, power - element.fraction_bits);
      power = std::ilogb(double{most} + half);
      break;
    }
    case ScaleRule::rceil: {
      const double ratio = double{most} / element.largest;
      power = std::ilogb(ratio);
      if (std::ldexp(1.0, power) < ratio) ++power;
      return std::clamp(power, -kScaleBias, kScaleBias);
    }
  }
  return std::clamp(power - element.power, -kScaleBias, kScaleBias);
}

// The division is float32's: exact by a power of two, but for results so small that they become 0.
void encode_elements(const Element& element, const float* x, std::size_t count, float scale,
                     Rounding rounding, std::uint8_t* codes) {
  if (element.format != nullptr) {
    for (std::size_t j = 0; j < count; ++j) {
      codes[j] = static_cast<std::uint8_t>(
          encode(*element.format, x[j] / scale, Overflow::saturate, rounding));
    }
    return;
  }
  for (std::size_t j = 0; j < count; ++j) {
    const double steps = round_to_integer(64 * (double{x[j]} / scale), rounding);
    codes[j] = static_cast<std::uint8_t>(static_cast<int>(std::clamp(steps, -127.0, 127.0)));
  }
}

template <const Element& (*kElement)(), int kBits>
void encode_mx(const float* x, std::size_t count, const BlockOptions& options, float,
               std::uint8_t* out) {
  const Element& element = kElement();
  const std::size_t bytes = packed_bytes(kMost, kBits);
  std::uint8_t codes[kMost];
  for (; count > 0; count -= kMost, x += kMost, out += 1 + bytes) {
    const int power = shared_power(largest_magnitude(x, kMost), element, options.scale_rule);
    out[0] = static_cast<std::uint8_t>(power + kScaleBias);
    encode_elements(element, x, kMost, std::ldexp(1.0F, power), options.rounding, codes);
    pack(std::span<const std::uint8_t>(codes), kBits, {out + 1, bytes});
  }
}

// Numbers of all codes, as floats.
struct Numbers {
  float of[256];
  explicit Numbers(const Element& element, int bits) {
    for (std::uint32_t code = 0; code >> bits == 0; ++code) {
      of[code] = element.format != nullptr
                     ? static_cast<float>(decode(*element.format, code).value)
                     : static_cast<float>(static_cast<std::int8_t>(code)) / 64;
    }
  }
};

template <const Element& (*kElement)(), int kBits>
void decode_mx(const std::uint8_t* in, std::size_t count, float, float* x) {
  static const Numbers numbers(kElement(), kBits);
  static const FloatFormat& e8m0 = float_format("e8m0");
  const std::size_t bytes = packed_bytes(kMost, kBits);
  std::uint8_t codes[kMost];
  for (; count > 0; count -= kMost, x += kMost, in += 1 + bytes) {
    const auto scale = static_cast<float>(decode(e8m0, in[0]).value);
    unpack({in + 1, bytes}, kBits, std::span<std::uint8_t>(codes));
    for (std::size_t j = 0; j < kMost; ++j) x[j] = numbers.of[codes[j]] * scale;
  }
}

constexpr std::size_t kNvBlock = 16;

void encode_nvfp4(const float* x, std::size_t count, const BlockOptions&, float tensor_scale,
                  std::uint8_t* out) {
  static const Element e2m1 = element("e2m1");
  static const FloatFormat& e4m3 = float_format("e4m3");
  std::uint8_t codes[kNvBlock];
  for (; count > 0; count -= kNvBlock, x += kNvBlock, out += 1 + kNvBlock / 2) {
    const float most = largest_magnitude(x, kNvBlock);
    const float wanted = most / static_cast<float>(e2m1.largest) / tensor_scale;
    out[0] = static_cast<std::uint8_t>(encode(e4m3, wanted, Overflow::saturate));
    const float scale = static_cast<float>(decode(e4m3, out[0]).value) * tensor_scale;
    if (scale > 0) {
      encode_elements(e2m1, x, kNvBlock, scale, Rounding::half_even, codes);
    } else {
      std::fill(codes, codes + kNvBlock, std::uint8_t{0});
    }
    pack(std::span<const std::uint8_t>(codes), 4, {out + 1, kNvBlock / 2});
  }
}

void decode_nvfp4(const std::uint8_t* in, std::size_t count, float tensor_scale, float* x) {
  static const Numbers numbers(element("e2m1"), 4);
  static const FloatFormat& e4m3 = float_format("e4m3");
  std::uint8_t codes[kNvBlock];
  for (; count > 0; count -= kNvBlock, x += kNvBlock, in += 1 + kNvBlock / 2) {
    const float scale = static_cast<float>(decode(e4m3, in[0]).value) * tensor_scale;
    unpack({in + 1, kNvBlock / 2}, 4, std::span<std::uint8_t>(codes));
    for (std::size_t j = 0; j < kNvBlock; ++j) x[j] = numbers.of[codes[j]] * scale;
  }
}

#define ZEROPOINT_ELEMENT(function, name)          \
  const Element& function() {                      \
    static const Element element_ = element(name); \
    return element_;                               \
  }
ZEROPOINT_ELEMENT(e4m3, "e4m3")
ZEROPOINT_ELEMENT(e5m2, "e5m2")
ZEROPOINT_ELEMENT(e3m2, "e3m2")
ZEROPOINT_ELEMENT(e2m3, "e2m3")
ZEROPOINT_ELEMENT(e2m1, "e2m1")
#undef ZEROPOINT_ELEMENT
const Element& int8() { return kInt8; }

}  // namespace

// MX: e8m0's NaN. NVFP4: e4m3's.
#define ZEROPOINT_ROW(constant, name, vectors, title, bits, element, reach) \
  constinit const BlockFormat constant = {name,                             \
                                          title,                            \
                                          kMost,                            \
                                          1 + kMost * bits / 8,             \
                                          bits,                             \
                                          true,                             \
                                          false,                            \
                                          1,                                \
                                          0xFF,                             \
                                          encode_mx<element, bits>,         \
                                          decode_mx<element, bits>,         \
                                          fast_encode_##vectors,            \
                                          fast_decode_##vectors,            \
                                          reach};
ZEROPOINT_ROW(kMxfp8, "mxfp8", mxfp8, "OCP MX: 32 e4m3, a power of two", 8, e4m3, 448)
ZEROPOINT_ROW(kMxfp8E5m2, "mxfp8-e5m2", mxfp8_e5m2, "OCP MX: 32 e5m2, a power of two", 8, e5m2,
              57344)
ZEROPOINT_ROW(kMxfp6, "mxfp6", mxfp6, "OCP MX: 32 e3m2, a power of two", 6, e3m2, 28)
ZEROPOINT_ROW(kMxfp6E2m3, "mxfp6-e2m3", mxfp6_e2m3, "OCP MX: 32 e2m3, a power of two", 6, e2m3,
              7.5F)
ZEROPOINT_ROW(kMxfp4, "mxfp4", mxfp4, "OCP MX: 32 e2m1, a power of two", 4, e2m1, 6)
ZEROPOINT_ROW(kMxint8, "mxint8", mxint8, "OCP MX: 32 int8, a power of two", 8, int8, 127.0F / 64)
#undef ZEROPOINT_ROW
constinit const BlockFormat kNvfp4 = {"nvfp4",
                                      "NVIDIA: 16 e2m1, a scale in e4m3 and one a tensor",
                                      kNvBlock,
                                      1 + kNvBlock / 2,
                                      4,
                                      false,
                                      true,
                                      1,
                                      0x7F,
                                      encode_nvfp4,
                                      decode_nvfp4,
                                      fast_encode_nvfp4,
                                      fast_decode_nvfp4,
                                      6};

}  // namespace zeropoint
