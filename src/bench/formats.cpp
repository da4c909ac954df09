#include "bench/formats.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/quantize/elementwise.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "bench/draw.hpp"
#include "bench/load.hpp"

namespace zeropoint {
namespace {

constexpr double kScalar = 0.50;  // of a copy
constexpr double kBlock = 0.25;

// Schemes that find their parameters on the way, one for each way to do so.
constexpr const char* kSchemes[] = {
    "int8",         "int8:sym:channel", "int8:affine:group=32", "int4:sym:group=32",
    "e4m3:channel", "nf4:group=64",     "int4:sym:group=32:mse"};

// Matrices are allocated anew by each call. Pages that the system must first clear would take
// longer than the work itself: they are kept, as where tensor after tensor is quantized.
class KeptMemory {
 public:
  KeptMemory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
  }
  ~KeptMemory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_MAX, 65536);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
    malloc_trim(0);
#endif
  }
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;
};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The first of the levels that are nearest.
float nearest_level(const std::vector<float>& levels, float x) {
  return *std::ranges::min_element(levels, {},
                                   [&](float level) { return std::abs(double{x} - level); });
}

// What becomes of a number, by the definition of one.
float definition(const Scheme& scheme, const TensorParams& params, QuantParams of_tile, float x) {
  const bool multiplies = scheme.convention.operation == Operation::multiply;
  const float scaled = multiplies ? x * (1 / of_tile.scale) : x / of_tile.scale;
  switch (scheme.format.kind) {
    case FormatKind::integer:
      return dequantize(quantize_one(x, of_tile, scheme.format.grid, scheme.convention), of_tile);
    case FormatKind::floating: {
      const FloatFormat& format = *scheme.format.floating;
      const auto code = encode(format, scaled, Overflow::saturate, scheme.convention.rounding);
      return static_cast<float>(decode(format, code).value) * of_tile.scale;
    }
    case FormatKind::codebook:
      return nearest_level(params.levels, x / of_tile.scale) * of_tile.scale;
    case FormatKind::block:
      break;
  }
  return x;
}

void check(MatrixView<const float> x, const QTensor& tensor) {
  const Scheme& scheme = tensor.scheme();
  const TensorParams& params = tensor.parameters();
  const Matrix<float> back = tensor.dequantized();
  const auto expect = [&](std::size_t i, std::size_t j, float expected) {
    if (expected == back(i, j)) return;
    throw WorkError(fmt::format("bench: {}, number ({}, {}): expected {}, found {}",
                                short_form(scheme), i, j, expected, back(i, j)));
  };
  constexpr std::size_t kEvery = 997;
  if (scheme.format.kind != FormatKind::block) {
    for (std::size_t at = 0; at < x.rows * x.cols; at += kEvery) {
      const std::size_t i = at / x.cols, j = at % x.cols;
      const std::size_t tile = params.tiles.size() == 1 ? 0 : tensor.tiles().of(i, j);
      expect(i, j, definition(scheme, params, params.tiles[tile], x(i, j)));
    }
    return;
  }
  const BlockFormat& format = *scheme.format.block;
  std::vector<std::uint8_t> bytes(format.bytes);
  std::vector<float> values(format.block);
  const std::size_t in_a_row = x.cols / format.block;
  for (std::size_t block = 0; block < x.rows * in_a_row; block += kEvery) {
    const std::size_t i = block / in_a_row, j = block % in_a_row * format.block;
    format.encode(&x(i, j), format.block, {scheme.scale_rule, scheme.convention.rounding},
                  params.tensor_scale, bytes.data());
    format.decode(bytes.data(), format.block, params.tensor_scale, values.data());
    for (std::size_t k = 0; k < format.block; ++k) expect(i, j + k, values[k]);
  }
}

struct Numbers {
  std::vector<float> values;
  std::size_t cols;
  // So many of them at least, in whole rows.
  MatrixView<const float> first(std::size_t count) const {
    const std::size_t rows = std::max<std::size_t>(1, count / cols);
    return {values.data(), rows, cols, static_cast<std::ptrdiff_t>(cols), 1};
  }
};

void measure(const std::string& text, bool given, const Numbers& numbers,
             const MemoryRunner& copied, int threads, double seconds, bool quick,
             std::vector<BenchFormat>& rows) {
  const Scheme scheme = parse_scheme(text);
  const bool is_block = scheme.format.kind == FormatKind::block;
  MatrixView<const float> x = numbers.first(numbers.values.size());
  // What takes longer than this for all numbers gets fewer: bytes that lie in caches do not matter
  // there. Found out with a small part of them, and if that takes no time, a larger one.
  constexpr double kLong = 0.1;
  std::optional<QTensor> tensor;
  const auto take_part = [&](double part) {
    const auto few =
        numbers.first(static_cast<std::size_t>(part * static_cast<double>(numbers.values.size())));
    const TensorParams of_few = find_params(few, scheme);
    const double took = seconds_of([&] {
      tensor = given ? quantize(few, scheme, of_few) : quantize(few, scheme);
      static_cast<void>(tensor->dequantized());
    });
    check(few, *tensor);
    return took / part;  // of all
  };
  constexpr double kSmall = 1.0 / 1024, kLarge = 1.0 / 64;
  double all = take_part(kSmall);
  if (all < 10 * kLong) all = take_part(kLarge);
  if (all > kLong) {
    x = numbers.first(
        static_cast<std::size_t>(kLong / all * static_cast<double>(numbers.values.size())));
  }
  const TensorParams params = given ? find_params(x, scheme) : TensorParams{};
  const auto run = [&] { return given ? quantize(x, scheme, params) : quantize(x, scheme); };
  tensor = run();
  check(x, *tensor);

  BenchFormat row;
  row.scheme = text;
  row.given = given;
  row.count = x.rows * x.cols;
  row.bits = 8 * static_cast<double>(tensor->bytes().size()) / static_cast<double>(row.count);
  row.threads = threads;
  // What is coded together may take its time (docs/limits.md says what for).
  const bool is_joint = is_block && scheme.format.block->is_joint;
  if (!quick && given && !is_joint) row.target = is_block ? kBlock : kScalar;
  const double bytes =
      4 * static_cast<double>(row.count) + static_cast<double>(tensor->bytes().size());
  const auto samples =
      take_turns({{[&] { static_cast<void>(run()); }},
                  {[&] { static_cast<void>(tensor->dequantized()); }},
                  copied.runner},
                 {.seconds = seconds, .least = quick ? std::size_t{1} : std::size_t{5}});
  row.quantize_seconds = spread(samples[0]);
  row.dequantize_seconds = spread(samples[1]);
  row.quantize_bytes = bytes / row.quantize_seconds.median;
  row.dequantize_bytes = bytes / row.dequantize_seconds.median;
  row.quantize_share = median_ratio(samples[0], samples[2]) * bytes / copied.bytes;
  row.dequantize_share = median_ratio(samples[1], samples[2]) * bytes / copied.bytes;
  rows.push_back(std::move(row));
}

}  // namespace

void measure_formats(int threads, double seconds, bool quick, std::vector<BenchFormat>& rows) {
  const KeptMemory kept;
  const Numbers numbers{draw_for_bench(quick ? std::size_t{1} << 17 : 10'000'000),
                        quick ? std::size_t{256} : std::size_t{640}};
  const MemoryRunner copied = copying(5 * numbers.values.size(), threads);
  const double each = seconds / static_cast<double>(formats().size() + std::size(kSchemes));
  const auto one = [&](const std::string& scheme, bool given) {
    measure(scheme, given, numbers, copied, threads, each, quick, rows);
  };
  for (const FormatRow& format : formats()) one(format.name, true);
  for (const char* scheme : kSchemes) one(scheme, false);
}

}  // namespace zeropoint
