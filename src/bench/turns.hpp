#pragma once
#include <functional>
#include <limits>
#include <vector>

#include "zeropoint/bench/bench.hpp"

namespace zeropoint {

/// One that is timed: alone it says little on a machine whose clock drifts.
struct Runner {
  std::function<void()> call;
  bool foreign_threads = false;  ///< it leaves threads of its own behind, that spin for a while
};

/// Seconds of a call, one a turn; NaN in turns that a slow runner sat out.
using Samples = std::vector<double>;

struct TurnLimits {
  double seconds = 1;  ///< for all turns, about
  std::size_t least = 5, most = 200;
};

/// Times the runners A B C A B C …: each turn, each is called untimed if it is short (so that it
/// finds the caches as its own calls leave them), then as often as fills a batch that the clock can
/// tell.
std::vector<Samples> take_turns(const std::vector<Runner>& runners, const TurnLimits& limits);

/// This thread's time on a processor.
double thread_seconds();

Spread spread(Samples samples);

/// The median over the turns of a's share, each against b in the same turn: b / a for seconds.
double median_ratio(const Samples& a, const Samples& b);

}  // namespace zeropoint
