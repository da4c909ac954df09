#include <array>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/codebook.hpp"

namespace zeropoint {
namespace {

// Quantiles of the normal distribution, scaled to [-1, 1], 0 among them: Dettmers et al., "QLoRA",
// arXiv 2305.14314, appendix E; as bitsandbytes holds them.
std::vector<float> nf4() {
  return {-1.0F,
          -0.6961928009986877F,
          -0.5250730514526367F,
          -0.39491748809814453F,
          -0.28444138169288635F,
          -0.18477343022823334F,
          -0.09105003625154495F,
          0.0F,
          0.07958029955625534F,
          0.16093020141124725F,
          0.24611230194568634F,
          0.33791524171829224F,
          0.44070982933044434F,
          0.5626170039176941F,
          0.7229568362236023F,
          1.0F};
}

constexpr std::array kFormats = {
    CodebookFormat{"nf4", "16 quantiles of the normal distribution", 4, LevelUnit::magnitude, nf4},
    CodebookFormat{"lloyd2", "the 4 best levels for the tensor", 2, LevelUnit::none, nullptr},
    CodebookFormat{"lloyd3", "the 8 best levels for the tensor", 3, LevelUnit::none, nullptr},
    CodebookFormat{"lloyd4", "the 16 best levels for the tensor", 4, LevelUnit::none, nullptr},
    CodebookFormat{"lloyd5", "the 32 best levels for the tensor", 5, LevelUnit::none, nullptr},
    CodebookFormat{"lloyd6", "the 64 best levels for the tensor", 6, LevelUnit::none, nullptr},
    CodebookFormat{"lloyd8", "the 256 best levels for the tensor", 8, LevelUnit::none, nullptr},
};

}  // namespace

std::span<const CodebookFormat> codebook_formats() { return kFormats; }

const CodebookFormat& codebook_format(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& format : kFormats) {
    if (format.name == name) return format;
    known.push_back(format.name);
  }
  throw InputError(fmt::format("format: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

}  // namespace zeropoint
