#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "formats/codebook_limits.hpp"

namespace zeropoint {

/// What is asked of an encoder for a run of numbers.
struct CodebookPass {
  float scale = 1;        ///< what they are divided by, besides the encoder's
  std::size_t ahead = 0;  ///< numbers that lie behind them and will be asked for next
  bool counts = false;    ///< how many lie beyond the ends
  bool checks = false;    ///< whether they are finite
};

/// encode() by a codebook's levels, prepared once for many: on the thread that calls, without
/// checks of its own.
class CodebookEncoder {
 public:
  /// Of x[i] / scale.
  CodebookEncoder(const std::vector<float>& levels, float scale);
  CodebookCounts operator()(const float* x, std::size_t count, const CodebookPass& pass,
                            std::uint8_t* codes) const;

 private:
  std::unique_ptr<Limits> limits_;
  float divisor_ = 1, lo_, hi_;
  CodebookCounts (*kernel_)(const float*, std::size_t, const Limits&, const CodebookScaling&,
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
