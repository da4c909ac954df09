#include "zeropoint/core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include <omp.h>

namespace zeropoint {
namespace {

std::atomic<int> requested_threads{0};

// About 300 microseconds of plain work; waking threads takes some ten, and much longer on a
// machine that is busy.
constexpr double kWorthATeam = 1e6;

}  // namespace

void set_threads(int count) { requested_threads = std::max(count, 0); }

int threads() {
  const int count = requested_threads;
  return count > 0 ? count : omp_get_num_procs();
}

void run_team(int team, const std::function<void(int, int)>& body) {
#pragma omp parallel num_threads(team)
  body(omp_get_thread_num(), omp_get_num_threads());
}

void team_barrier() {
#pragma omp barrier
}

void parallel_for(std::size_t count, std::size_t grain,
                  const std::function<void(std::size_t, std::size_t)>& body, double work) {
  if (count == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t pieces = count / grain + (count % grain != 0 ? 1 : 0);
  const auto one_piece = [&](std::size_t piece) {
    const std::size_t begin = piece * grain;
    body(begin, begin + std::min(grain, count - begin));
  };
  const int team =
      work < kWorthATeam ? 1 : static_cast<int>(std::min<std::size_t>(pieces, threads()));
  if (team <= 1) {
    for (std::size_t piece = 0; piece < pieces; ++piece) one_piece(piece);
    return;
  }
  // No exception may leave a parallel region; the first is carried out by hand.
  // It is that of the first piece, whichever thread failed first.
  std::exception_ptr failure;
  std::mutex failure_mutex;
  std::atomic<std::size_t> failed{pieces};
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    if (piece > failed) continue;
    try {
      one_piece(piece);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (piece < failed) {
        failure = std::current_exception();
        failed = piece;
      }
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace zeropoint
