// Which scheme a model's tensors survive: all of them together, by each scheme.
#include <cmath>
#include <cstdio>

#include "zeropoint/zeropoint.hpp"

int main(int argc, char** argv) try {
  if (argc != 2) return std::puts("analyze_file FILE"), 0;
  const auto analysis = zeropoint::analyze(zeropoint::open_weights(argv[1]), {});
  for (std::size_t i = 0; i < analysis.schemes.size(); ++i) {
    const auto& total = analysis.totals[i];
    std::printf("%-18s %s, %.1f dB, %.1f dB above the bound\n", analysis.schemes[i].c_str(),
                zeropoint::size_text(static_cast<double>(total.bytes)).c_str(),
                -20 * std::log10(total.error), total.gap_db);
  }
} catch (const zeropoint::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
