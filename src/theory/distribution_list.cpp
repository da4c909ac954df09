#include <array>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"

#include "theory/distribution_rows.hpp"

namespace zeropoint {

std::span<const Distribution> distributions() {
  static const std::array kList = {kUniform, kNormal};
  return kList;
}

const Distribution& distribution(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& candidate : distributions()) {
    if (candidate.name == name) return candidate;
    known.push_back(candidate.name);
  }
  throw InputError(fmt::format("distribution: expected one of {}; found '{}' (did you mean {}?)",
                               join_words(known), name, nearest_word(name, known)));
}

OperandPair draw_operands(const Distribution& distribution, Generator generator, std::uint64_t seed,
                          std::size_t m, std::size_t k, std::size_t n) {
  OperandPair pair{Matrix<float>(m, k), Matrix<float>(k, n)};
  if (generator == Generator::report) {
    if (seed > 0xFFFFFFFFU) {
      throw InputError(
          fmt::format("seed: expected at most 4294967295 for the report's generator, "
                      "found {} (the counter generator takes any)",
                      seed));
    }
    ReportStream stream(static_cast<std::uint32_t>(seed));
    distribution.fill_report(stream, pair.a.values());
    distribution.fill_report(stream, pair.b.values());
    return pair;
  }
  constexpr std::size_t kGrain = 1 << 16;  // a multiple of 4
  for (std::uint32_t which = 0; which < 2; ++which) {
    const CounterStream stream(seed, which);
    const auto out = which == 0 ? pair.a.values() : pair.b.values();
    parallel_for(out.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      distribution.fill_counter(stream, begin, out.subspan(begin, end - begin));
    });
  }
  return pair;
}

}  // namespace zeropoint
