// peer_formats encode|saturate|decode FORMAT   float32s on standard input to codes on standard
// output, or the other way. Codes of up to 8 bits are bytes, others 16-bit words; all in the
// machine's byte order. What formats.py compares with other packages.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "zeropoint/formats/float_codes.hpp"

namespace {

using namespace zeropoint;

template <class T>
std::vector<T> read_all() {
  std::vector<T> values;
  std::vector<T> buffer(1 << 16);
  while (const std::size_t got = std::fread(buffer.data(), sizeof(T), buffer.size(), stdin)) {
    values.insert(values.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got));
  }
  return values;
}

template <class T>
void write_all(const std::vector<T>& values) {
  if (std::fwrite(values.data(), sizeof(T), values.size(), stdout) != values.size()) {
    throw std::runtime_error("cannot write");
  }
}

template <class Code>
void run(const std::string& what, const FloatFormat& format) {
  if (what == "decode") {
    const std::vector<Code> codes = read_all<Code>();
    std::vector<float> x(codes.size());
    decode(format, codes, x);
    return write_all(x);
  }
  const std::vector<float> x = read_all<float>();
  std::vector<Code> codes(x.size());
  encode(format, x, codes, what == "saturate" ? Overflow::saturate : Overflow::special);
  write_all(codes);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string what = argc == 3 ? argv[1] : "";
    if (what != "encode" && what != "saturate" && what != "decode") {
      throw std::runtime_error("expected encode, saturate or decode, and a format");
    }
    const FloatFormat& format = float_format(argv[2]);
    if (format.bits() <= 8) {
      run<std::uint8_t>(what, format);
    } else {
      run<std::uint16_t>(what, format);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer_formats: %s\n", error.what());
    return 2;
  }
  return 0;
}
