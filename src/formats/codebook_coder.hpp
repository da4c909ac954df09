#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "formats/codebook_limits.hpp"

namespace zeropoint {

/// encode() by a codebook's levels, prepared once for many: on the thread that calls, without
/// checks.
class CodebookEncoder {
 public:
  explicit CodebookEncoder(const std::vector<float>& levels);
  /// Of x[i] / scale; how many of them lie beyond the ends. `ahead` numbers lie behind them and
  /// will be asked for next.
  std::size_t operator()(const float* x, std::size_t count, float scale, std::size_t ahead,
                         std::uint8_t* codes) const;

 private:
  std::unique_ptr<Limits> limits_;
  float lo_, hi_;
  std::size_t (*kernel_)(const float*, std::size_t, const Limits&, const CodebookScaling&,
                         std::uint8_t*);
};

/// decode(), alike, to `scale` times the levels.
class CodebookDecoder {
 public:
  CodebookDecoder(const std::vector<float>& levels, float scale);
  void operator()(const std::uint8_t* codes, std::size_t count, float* x) const;

 private:
  alignas(64) float levels_[kMostLevels];
  std::size_t size_;
  void (*kernel_)(const std::uint8_t*, std::size_t, const float*, std::size_t, float*);
};

}  // namespace zeropoint
