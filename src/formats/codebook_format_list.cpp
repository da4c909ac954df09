#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/codebook_format.hpp"

namespace zeropoint {
namespace {

constexpr int kMostBits = 8;

struct List {
  std::deque<std::string> texts;  // names and titles, which do not move
  std::vector<CodebookFormat> formats;

  List() {
    formats.push_back({"nf4", nf4().title, 4, LevelUnit::magnitude});
    for (int bits = 1; bits <= kMostBits; ++bits) {
      formats.push_back(
          {keep(fmt::format("lloyd{}", bits)),
           keep(fmt::format("the {} levels of least error for the tensor", 1 << bits)), bits,
           LevelUnit::none});
    }
    for (const auto& density : densities()) {
      for (int bits = 1; bits <= kMostBits; ++bits) {
        formats.push_back({keep(fmt::format("lloyd{}-{}", bits, density.name)),
                           keep(fmt::format("the {} levels of least error for a {} density",
                                            1 << bits, density.title)),
                           bits, LevelUnit::rms, density.name});
      }
    }
  }
  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

const List& list() {
  static const List one;
  return one;
}

}  // namespace

std::span<const CodebookFormat> codebook_formats() { return list().formats; }

const CodebookFormat& codebook_format(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& format : codebook_formats()) {
    if (format.name == name) return format;
    known.push_back(format.name);
  }
  throw InputError(fmt::format("format: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

std::vector<float> levels_of(const CodebookFormat& format) {
  if (format.is_fitted()) return {};
  if (format.unit == LevelUnit::magnitude) return nf4().levels;
  // Found once: 256 of a normal density take half a millisecond.
  static std::mutex mutex;
  static std::map<std::pair<std::string, int>, std::vector<float>> found;
  const std::lock_guard lock(mutex);
  std::vector<float>& levels = found[{std::string(format.density), format.bits}];
  if (levels.empty()) levels = lloyd_max(density(format.density), format.bits).levels;
  return levels;
}

}  // namespace zeropoint
