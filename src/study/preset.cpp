#include "zeropoint/study/preset.hpp"

#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/formats/format.hpp"

namespace zeropoint {
namespace {

StudySpec report() { return {}; }

// Every format there is, by the range that suits it; granularities and transforms of a few; and the
// coverage of narrow integers, from too little to all.
StudySpec limits() {
  StudySpec spec;
  spec.distributions = {"normal", "uniform", "laplace"};
  spec.sizes = {512};  // whole blocks of every format
  for (const auto& row : formats()) {
    std::string scheme = row.name;
    // From 9 bits on the best range is all of it, near enough.
    if (row.kind == FormatKind::integer && row.bits <= 8) scheme += ":mse";
    if (row.name == "nf4") scheme += ":group=64";
    spec.schemes.push_back(std::move(scheme));
  }
  for (const auto* scheme :
       {"int8:sym:channel", "int8:sym:group=32", "int4:sym:channel", "int4:sym:group=32",
        "int4:affine:group=32", "int3:sym:group=32", "e4m3:channel", "e2m1:group=32",
        "hadamard+int4:sym:channel", "int8 x int4:sym:group=32"}) {
    spec.schemes.emplace_back(scheme);
  }
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    for (const char* cover : {"0.75", "0.8", "0.85", "0.9", "0.95", "0.97", "0.99", "0.995",
                              "0.998", "0.999", "0.9995", "0.9999", "1"}) {
      spec.schemes.push_back(fmt::format("int{}-narrow:sym:cover={}", bits, cover));
    }
  }
  return spec;
}

constexpr std::array<StudyPreset, 2> kPresets = {
    {{"report", "the report's experiment: what runs unless anything is said", report},
     {"limits", "every format beside the best that any could do, and the best coverage", limits}}};

}  // namespace

std::span<const StudyPreset> study_presets() { return kPresets; }

StudySpec study_preset(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& preset : kPresets) {
    if (preset.name == name) return preset.make();
    known.push_back(preset.name);
  }
  throw InputError(fmt::format("preset: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

}  // namespace zeropoint
