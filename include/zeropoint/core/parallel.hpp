#pragma once
#include <cstddef>
#include <functional>
#include <limits>

namespace zeropoint {

/// Sets how many threads every later call of this library may use; 0 means one a core.
/// No result depends on it, to the last bit.
void set_threads(int count);

/// The number of threads in use.
int threads();

/// Calls body(index, size) on up to `team` threads at once, each with its index; the calling thread
/// is one of them. Without OpenMP's leave for more, `size` is less than asked for. body must not
/// throw.
void run_team(int team, const std::function<void(int index, int size)>& body);

/// Within run_team: waits until every thread of the team is here.
void team_barrier();

/// Calls body(begin, end) for consecutive pieces of [0, count), each `grain` long but the last,
/// on up to `threads()` threads. Which pieces exist depends on `count` and `grain` alone, so that a
/// result folded piece by piece is the same at any thread count. Of several exceptions, that
/// of the first piece is rethrown.
/// `work`, if given, is the whole in elementary operations: little of it stays on this thread, as
/// waking another takes longer.
void parallel_for(std::size_t count, std::size_t grain,
                  const std::function<void(std::size_t begin, std::size_t end)>& body,
                  double work = std::numeric_limits<double>::infinity());

}  // namespace zeropoint
