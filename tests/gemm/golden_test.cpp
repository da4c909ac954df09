// Results that must be the same on every machine, kernel and number of threads: hashes of the bytes
// of outputs, written down here.
#include <cstdint>
#include <span>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "zeropoint/core/random.hpp"
#include "zeropoint/gemm/qgemm.hpp"
#include "zeropoint/gemm/reference.hpp"

#include "support/kernels.hpp"
#include "support/threads.hpp"

namespace zeropoint {
namespace {

using testing::on_every_kernel;
using testing::WithThreads;

// FNV-1a.
class Hash {
 public:
  void add(std::uint64_t word, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      hash_ = (hash_ ^ (word >> (8 * i) & 0xFF)) * 0x100000001B3;
    }
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xCBF29CE484222325;
};

// Elements from the low byte on, whatever the machine's order.
template <class T>
std::uint64_t hash_of(std::span<const T> values) {
  Hash hash;
  for (const T value : values) {
    if constexpr (std::is_same_v<T, float>) {
      hash.add(std::bit_cast<std::uint32_t>(value), 4);
    } else {
      hash.add(static_cast<std::uint64_t>(value), sizeof(T));
    }
  }
  return hash.value();
}

struct Golden {
  std::size_t m, k, n;
  std::uint64_t seed;
  std::int32_t zero_a, zero_b;
  std::uint64_t int32, float32, int8;  ///< hashes
};

// clang-format off
constexpr Golden kGolden[] = {
    {1, 1, 1, 1, 0, 0,
     0x0D2E9EB55D0BF7E8, 0x8AF2E0C86748D555, 0xAF64774C8602F3ED},
    {7, 13, 19, 2, 131, 0,
     0x0663B9F0D85C1572, 0xCC79A207B85344DE, 0x875ECB30051F9263},
    {64, 64, 64, 3, 128, -3,
     0x108B49BB497C3F78, 0x03C63995D6397373, 0x61B13442AD7EF39A},
    {33, 257, 65, 4, 0, 17,
     0xBDB2D0C2073AE049, 0x123A2267344DD591, 0x92E1654B4AF0BDC2},
    {10, 10, 10, 5, 255, -128,
     0x6E2ACFA092E723A8, 0x8E8CE6E3B79F69BF, 0x23B32AC2C7314487},
    {301, 127, 131, 6, 120, 5,
     0xF9C6C58B886B13F2, 0x27ADD28E747C1F4F, 0x3A094748EE607594},
    {6, 1030, 700, 7, 99, -1,
     0x314BE5CDCA2F30C3, 0xA058A51DE81035A1, 0xC0F103F34010E7F0},
    {3, 40'000, 40, 8, 128, 0,
     0x867188BC053D761D, 0x68B1DE2CF5CB7E88, 0x689CE649517210CA},
};
// clang-format on

struct Made {
  Matrix<std::uint8_t> a;
  Matrix<std::int8_t> b;
  std::vector<float> scales, bias;

  explicit Made(const Golden& golden)
      : a(golden.m, golden.k), b(golden.k, golden.n), scales(golden.n), bias(golden.n) {
    fill(a.values(), golden.seed, 0);
    fill(b.values(), golden.seed, 1);
    const CounterStream stream(golden.seed, 2);
    for (std::size_t j = 0; j < golden.n; ++j) {
      const auto words = stream.words(j);
      scales[j] = static_cast<float>((words[0] >> 8) + 1) * 0x1p-34F;
      bias[j] = (static_cast<float>(words[1] >> 8) - 0x1p23F) * 0x1p-20F;
    }
  }

 private:
  template <class Code>
  static void fill(std::span<Code> codes, std::uint64_t seed, std::uint32_t number) {
    const CounterStream stream(seed, number);
    for (std::size_t e = 0; e < codes.size(); ++e) {
      codes[e] = static_cast<Code>(stream.words(e / 16)[e / 4 % 4] >> (8 * (e % 4)) & 0xFF);
    }
  }
};

TEST(QgemmGolden, IsTheSameOnEveryMachineKernelAndNumberOfThreads) {
  for (const Golden& golden : kGolden) {
    SCOPED_TRACE(fmt::format("{}x{}x{}, seed {}", golden.m, golden.k, golden.n, golden.seed));
    const Made made(golden);
    const std::size_t m = golden.m;
    const std::size_t n = golden.n;
    Matrix<std::int32_t> sums(m, n);
    Matrix<float> reals(m, n);
    Matrix<std::int8_t> codes(m, n);
    const auto expect_golden = [&] {
      const auto of_sums = hash_of<std::int32_t>(sums.values());
      const auto of_reals = hash_of<float>(reals.values());
      const auto of_codes = hash_of<std::int8_t>(codes.values());
      EXPECT_TRUE(of_sums == golden.int32 && of_reals == golden.float32 && of_codes == golden.int8)
          << fmt::format("found 0x{:016X}, 0x{:016X}, 0x{:016X}", of_sums, of_reals, of_codes);
    };
    constexpr float kScaleA = 0.03125F;
    Requantization code = requantization("onnxruntime");
    code.multiplier = 0x1.8p-11;
    code.zero_point = -7;

    // By definition: what the hashes are of.
    Matrix<std::int64_t> expected(m, n);
    triple_loop_product<std::uint8_t, std::int8_t>(made.a.view(), made.b.view(), golden.zero_a,
                                                   golden.zero_b, expected.view());
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        sums(i, j) = static_cast<std::int32_t>(expected(i, j));
        reals(i, j) = kScaleA * made.scales[j] * static_cast<float>(expected(i, j)) + made.bias[j];
        codes(i, j) = static_cast<std::int8_t>(requantize(expected(i, j), code));
      }
    }
    expect_golden();

    const Operand a(made.a.view(), golden.zero_a);
    const Operand b(made.b.view(), golden.zero_b);
    on_every_kernel([&](const Kernel&) {
      const PackedMatrix packed(b);
      for (const int threads : {1, 2, 3, 7}) {
        const WithThreads with(threads);
        for (const RightOperand& right : {RightOperand(b), RightOperand(packed)}) {
          SCOPED_TRACE(
              fmt::format("{} threads, {}", threads, right.packed == nullptr ? "plain" : "packed"));
          qgemm(a, right, sums.view());
          qgemm(a, right, {.a = kScaleA, .b = made.scales, .bias = made.bias}, reals.view());
          qgemm(a, right, code, codes.view());
          expect_golden();
        }
      }
    });
  }
}

}  // namespace
}  // namespace zeropoint
