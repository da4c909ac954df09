#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "zeropoint/formats/float_format.hpp"

#include "formats/float_constants.hpp"

namespace zeropoint {

/// encode() for spans, prepared once for many: on the thread that calls, without checks.
template <class Code>
class FloatEncoder {
 public:
  FloatEncoder(const FloatFormat& format, const FloatEncoding& how);
  /// As many codes; how many finite numbers lay beyond. x[0] is number how.first + `first`.
  /// `ahead` numbers lie behind them and will be asked for next.
  std::size_t operator()(const float* x, std::size_t count, Code* codes, std::uint64_t first,
                         std::size_t ahead = 0) const;

 private:
  const FloatFormat* format_;
  FloatEncoding how_;
  EncodeConstants constants_;
  std::size_t (*kernel_)(const EncodeConstants&, const float*, std::size_t, Code*) = nullptr;
};

/// decode() for spans, alike.
template <class Code>
class FloatDecoder {
 public:
  explicit FloatDecoder(const FloatFormat& format);
  void operator()(const Code* codes, std::size_t count, float scale, float* x) const;

 private:
  const FloatFormat* format_;
  DecodeConstants constants_;
  void (*kernel_)(const DecodeConstants&, const Code*, std::size_t, float*) = nullptr;
  std::vector<double> numbers_;  ///< of all codes, where there is no kernel and they are few
};

}  // namespace zeropoint
