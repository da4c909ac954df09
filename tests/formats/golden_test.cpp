// Codes that the Python package ml_dtypes 0.6.0 gives, written down by tests/peers/formats.py
// --golden.
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "zeropoint/formats/float_format.hpp"

#include "support/targets.hpp"

namespace zeropoint {
namespace {

struct Golden {
  const char* format;
  const char* codes;
};

constexpr Golden kGolden[] = {
    {"bf16",
     "3f084308b794be7039704318c054b9603838bba43f9c4520ba34c2403f2cc698c36041acbd3cb88c3e443ac0"
     "398c41a03bb8be0cba3843983fd0bfb8c5403d604208c6b443f8b94c4650c70cc380be1cc62cc6983c28434c"
     "bd283cdc47003d04"},
    {"e5m2",
     "385881b40c59c38b039d3d6992d239f5db4daa8432160c4d1eb0925d3ebeea2b50f6608a72f8dcb1f1f5215a"
     "a9277828"},
    {"e4m3",
     "307080a70072c58000833a7f80e433fff65b94802401005a03a1807a3dbcff1660ff7f807ffff8a2ffff0575"
     "920e7f10"},
    {"e5m2fnuz",
     "3c5c82b8105dc78f06a1416d96d63df9df51ae88361a105122b4966142c2ee2f54fa648e76fce0b5f5f9255e"
     "ad2b7c2c"},
    {"e4m3fnuz",
     "387800af007acd000085428081ec3b80fe639c002c02006206a9818045c4801e68808000808080aa80800a7d"
     "9a168018"},
    {"e4m3ieee",
     "307080a70072c58000833a7880e433f8f65b94802401005a03a180783dbcf81660f8788078f8f8a2f8f80575"
     "920e7810"},
    {"e3m4",
     "2170808f0070ca800080347080f026f0f07083800c000070008980703ab7f00470f0708070f0f08af0f00170"
     "83027002"},
    {"e3m2",
     "081f2024001f332000200d1f203f093f3f1d21200300001d0022201f0e2e3f011f3f1f201f3f3f223f3f001f"
     "21001f01"},
    {"e2m3",
     "041f2022001f352000200a1f203f053f3f1f20200200001f0021201f0d2c3f001f3f1f201f3f3f213f3f001f"
     "20001f00"},
    {"e2m1",
     "0107080800070d0800080207080f010f0f0708080000000700080807030b0f00070f0708070f0f080f0f0007"
     "08000700"},
    {"e8m0",
     "7e86ffff7386ffff70ff7f8affff7effff83ffff7d76738377ffff8780ffff7b84ff88ff8dffffffffff7887"
     "ff7a8e7a"},
};

// 48 numbers from 2^-16 to 2^16 with 5 bits of fraction, so that many are ties of narrow formats.
std::vector<float> numbers() {
  std::vector<float> x;
  std::uint32_t state = 1;
  for (int i = 0; i < 48; ++i) {
    state = state * 1664525U + 1013904223U;
    x.push_back(std::bit_cast<float>((state & 0x80000000U) | (111 + (state >> 26 & 31)) << 23 |
                                     (state & 0x7C0000U)));
  }
  return x;
}

template <class Code>
std::string hexadecimal(const FloatFormat& format, const std::vector<float>& x) {
  std::vector<Code> codes(x.size());
  encode<Code>(format, x, codes);
  std::string text;
  for (const Code code : codes) text += fmt::format("{:0{}x}", code, 2 * sizeof(Code));
  return text;
}

TEST(GoldenCodes, OfMlDtypes) {
  const std::vector<float> x = numbers();
  testing::on_every_target([&] {
    for (const Golden& golden : kGolden) {
      const FloatFormat& format = float_format(golden.format);
      EXPECT_EQ(format.bits() <= 8 ? hexadecimal<std::uint8_t>(format, x)
                                   : hexadecimal<std::uint16_t>(format, x),
                golden.codes)
          << golden.format;
    }
  });
}

}  // namespace
}  // namespace zeropoint
