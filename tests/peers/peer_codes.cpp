// What the comparisons with other tools read and write: raw numbers on standard input, raw codes or
// numbers on standard output.
//   peer_codes encode FORMAT [saturate]   float32 in, 16-bit codes out
//   peer_codes decode FORMAT              16-bit codes in, float32 out
//   peer_codes blocks FORMAT COLS RULE ROUNDING   float32 in, blocks out; a tensor scale's 4 bytes
//                                         come first
//   peer_codes unblocks FORMAT COLS       the same bytes in, float32 out
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iterator>
#include <string>
#include <vector>

#include "zeropoint/zeropoint.hpp"

namespace {

template <class T>
std::vector<T> read_all() {
  std::vector<T> values;
  std::vector<T> piece(1 << 16);
  for (std::size_t got = 0; (got = std::fread(piece.data(), sizeof(T), piece.size(), stdin)) > 0;) {
    values.insert(values.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
  }
  return values;
}

template <class T>
void write_all(const std::vector<T>& values) {
  std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

int run(const std::vector<std::string>& words) {
  using namespace zeropoint;
  if (words.size() >= 2 && words[0] == "encode") {
    const auto x = read_all<float>();
    std::vector<std::uint16_t> codes(x.size());
    const bool saturates = words.size() > 2 && words[2] == "saturate";
    encode<std::uint16_t>(float_format(words[1]), x, codes,
                          {.overflow = saturates ? Overflow::saturate : Overflow::special});
    write_all(codes);
    return 0;
  }
  if (words.size() == 2 && words[0] == "decode") {
    const auto codes = read_all<std::uint16_t>();
    std::vector<float> x(codes.size());
    decode<std::uint16_t>(float_format(words[1]), codes, x);
    write_all(x);
    return 0;
  }
  if (words.size() == 5 && words[0] == "blocks") {
    auto x = read_all<float>();
    const auto& format = block_format(words[1]);
    const std::size_t cols = std::stoul(words[2]);
    const MatrixView<const float> view{x.data(), x.size() / cols, cols,
                                       static_cast<std::ptrdiff_t>(cols), 1};
    const float scale = tensor_scale(format, view);
    std::vector<std::uint8_t> blocks(block_bytes(format, view.rows, cols));
    const BlockOptions options{parse_scale_rule(words[3]),
                               words[4] == "half-away" ? Rounding::half_away : Rounding::half_even};
    encode_blocks(format, options, view, scale, blocks);
    std::fwrite(&scale, sizeof scale, 1, stdout);
    write_all(blocks);
    return 0;
  }
  if (words.size() == 3 && words[0] == "unblocks") {
    const auto bytes = read_all<std::uint8_t>();
    const auto& format = block_format(words[1]);
    const std::size_t cols = std::stoul(words[2]);
    float scale = 1;
    std::memcpy(&scale, bytes.data(), sizeof scale);
    const std::size_t rows = (bytes.size() - sizeof scale) / block_bytes(format, 1, cols);
    std::vector<float> x(rows * cols);
    decode_blocks(format, std::span(bytes).subspan(sizeof scale), scale,
                  {x.data(), rows, cols, static_cast<std::ptrdiff_t>(cols), 1});
    write_all(x);
    return 0;
  }
  std::fprintf(stderr, "peer_codes: expected a command, see its source\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer_codes: %s\n", error.what());
    return 1;
  }
}
