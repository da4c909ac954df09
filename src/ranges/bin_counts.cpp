#include "zeropoint/ranges/bin_counts.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>

#include "zeropoint/core/parallel.hpp"

#include "ranges/scan.hpp"

namespace zeropoint {
namespace {

constexpr std::uint32_t kOffset = 0x80000000;  // makes order keys unsigned
constexpr int kShift = 32 - BinCounts::kBits;
constexpr std::size_t kPiece = 1 << 19;  // below it, adding up pages costs more than it saves
constexpr std::size_t kLargestPiece = 1U << 31;  // so that pieces bring few carries
constexpr std::size_t kOpenPages = 2048;         // of all threads: 32 MiB
constexpr std::size_t kMostThreads = 16;         // so that each has more pages than most data needs
constexpr std::size_t kSpilled = 4096;
constexpr std::size_t kSmallBatch = 1 << 12;  // above it, pages are faster than sorting

}  // namespace

std::uint32_t BinCounts::bin_of(float x) {
  // Adding 0 makes +0 of −0.
  return (static_cast<std::uint32_t>(order_key(x + 0.0F)) ^ kOffset) >> kShift;
}

float BinCounts::first_of(std::uint32_t bin) {
  return value_of(static_cast<std::int32_t>((bin << kShift) ^ kOffset));
}

float BinCounts::last_of(std::uint32_t bin) {
  return value_of(static_cast<std::int32_t>(((bin << kShift) | ((1U << kShift) - 1)) ^ kOffset));
}

std::uint64_t BinCounts::operator[](std::uint32_t bin) const {
  std::uint32_t low = 0;
  if (pages_.empty()) {
    const auto found = std::ranges::lower_bound(few_, bin, {}, &Counted::bin);
    if (found == few_.end() || found->bin != bin) return 0;
    low = found->count;
  } else if (!pages_[bin >> kPageBits].empty()) {
    low = pages_[bin >> kPageBits][bin % kPageBins];
  }
  const auto carry = carries_.find(bin);
  return low + (carry == carries_.end() ? 0 : std::uint64_t{carry->second} << 32);
}

void BinCounts::add(std::uint32_t bin, std::uint64_t count) {
  if (count == 0) return;
  if (pages_.empty()) {
    const auto at = std::ranges::lower_bound(few_, bin, {}, &Counted::bin);
    const bool is_new = at == few_.end() || at->bin != bin;
    if (!is_new || few_.size() < kFew) {
      Counted& here = is_new ? *few_.insert(at, {bin, 0}) : *at;
      const std::uint64_t sum = here.count + count;
      here.count = static_cast<std::uint32_t>(sum);
      if (sum >> 32 != 0) carries_[bin] += static_cast<std::uint32_t>(sum >> 32);
      return;
    }
    spread();
  }
  auto& page = pages_[bin >> kPageBits];
  if (page.empty()) page.resize(kPageBins);
  const std::uint64_t sum = page[bin % kPageBins] + count;  // count is far below 2^64 − 2^32
  page[bin % kPageBins] = static_cast<std::uint32_t>(sum);
  if (sum >> 32 != 0) carries_[bin] += static_cast<std::uint32_t>(sum >> 32);
}

// Once there are too many for a list: never back, but where a batch was counted in pages for speed.
void BinCounts::spread() {
  if (!pages_.empty()) return;
  pages_.resize(kPages);
  for (const auto& [bin, count] : few_) {
    auto& page = pages_[bin >> kPageBits];
    if (page.empty()) page.resize(kPageBins);
    page[bin % kPageBins] = count;
  }
  few_ = {};
}

// A list again, if it is short enough: what is kept depends on the values alone.
void BinCounts::gather() {
  std::vector<Counted> list;
  bool is_short = true;
  for_each([&](std::uint32_t bin, std::uint64_t count) {
    is_short = list.size() < kFew;
    if (is_short) list.push_back({bin, static_cast<std::uint32_t>(count)});
    return is_short;
  });
  if (!is_short) return;
  list.shrink_to_fit();
  few_ = std::move(list);
  pages_ = {};
}

void BinCounts::add_few(std::span<const float> values) {
  std::vector<std::uint32_t> bins(values.size());
  std::ranges::transform(values, bins.begin(), bin_of);
  std::ranges::sort(bins);
  std::vector<Counted> mine;
  for (const auto bin : bins) {
    if (mine.empty() || mine.back().bin != bin) mine.push_back({bin, 0});
    ++mine.back().count;
  }
  merge_few(mine);
}

// Of another, in ascending order.
void BinCounts::merge_few(std::span<const Counted> others) {
  std::vector<Counted> both;
  both.reserve(few_.size() + others.size());
  auto here = few_.begin();
  for (const auto& [bin, count] : others) {
    while (here != few_.end() && here->bin < bin) both.push_back(*here++);
    std::uint64_t sum = count;
    if (here != few_.end() && here->bin == bin) sum += (here++)->count;
    if (sum >> 32 != 0) ++carries_[bin];
    both.push_back({bin, static_cast<std::uint32_t>(sum)});
  }
  both.insert(both.end(), here, few_.end());
  few_ = std::move(both);
  if (few_.size() > kFew) return spread();
  few_.shrink_to_fit();
}

// Values whose page is one too many are handed to `spill`.
template <class Spill>
void BinCounts::count(std::span<const float> values, std::size_t most_pages, const Spill& spill) {
  if (values.empty()) return;
  if (pages_.empty()) pages_.resize(kPages);
  std::array<std::uint32_t*, kPages> counts;
  std::size_t open = 0;
  for (std::size_t p = 0; p < kPages; ++p) {
    counts[p] = pages_[p].empty() ? nullptr : pages_[p].data();
    open += counts[p] == nullptr ? 0 : 1;
  }
  for (const float x : values) {
    const std::uint32_t bin = bin_of(x);
    std::uint32_t* here = counts[bin >> kPageBits];
    if (here == nullptr) [[unlikely]] {
      if (open == most_pages) {
        spill(bin);
        continue;
      }
      ++open;
      pages_[bin >> kPageBits].resize(kPageBins);
      counts[bin >> kPageBits] = here = pages_[bin >> kPageBits].data();
    }
    if (++here[bin % kPageBins] == 0) [[unlikely]]
      ++carries_[bin];
  }
}

void BinCounts::add(std::span<const float> values) {
  if (values.empty()) return;
  if (!pages_.empty()) return add_to_pages(values);
  if (values.size() <= kSmallBatch) return add_few(values);
  spread();
  add_to_pages(values);
  gather();
}

void BinCounts::add_to_pages(std::span<const float> values) {
  const std::size_t team = std::min<std::size_t>(threads(), kMostThreads);
  if (team == 1 || values.size() < 2 * kPiece) return count(values, kPages, [](std::uint32_t) {});
  const std::size_t most_pages = kOpenPages / team;
  const std::size_t grain = std::clamp((values.size() - 1) / team + 1, kPiece, kLargestPiece);
  std::mutex mutex;
  parallel_for(values.size(), grain, [&](std::size_t begin, std::size_t end) {
    BinCounts mine;
    std::vector<std::uint32_t> spilled;
    const auto hand_over = [&] {
      const std::lock_guard lock(mutex);
      for (const auto bin : spilled) add(bin, 1);
      spilled.clear();
    };
    mine.count(values.subspan(begin, end - begin), most_pages, [&](std::uint32_t bin) {
      spilled.push_back(bin);
      if (spilled.size() == kSpilled) hand_over();
    });
    hand_over();
    const std::lock_guard lock(mutex);
    merge(mine);
  });
}

void BinCounts::merge(const BinCounts& other) {
  if (other.pages_.empty() && pages_.empty()) {
    const auto others_carries = other.carries_;
    const std::vector<Counted> others = other.few_;
    merge_few(others);
    for (const auto& [bin, carry] : others_carries) carries_[bin] += carry;
    return;
  }
  if (other.pages_.empty()) {
    for (const auto& counted : other.few_) add(counted.bin, other[counted.bin]);
    return;
  }
  spread();
  const auto others_carries = other.carries_;  // a copy: merging with itself is fine
  for (std::uint32_t p = 0; p < kPages; ++p) {
    const auto& from = other.pages_[p];
    if (from.empty()) continue;
    auto& to = pages_[p];
    if (to.empty()) {
      to = from;
      continue;
    }
    for (std::uint32_t i = 0; i < kPageBins; ++i) {
      const std::uint64_t sum = std::uint64_t{to[i]} + from[i];
      to[i] = static_cast<std::uint32_t>(sum);
      if (sum >> 32 != 0) ++carries_[p << kPageBits | i];
    }
  }
  for (const auto& [bin, carry] : others_carries) carries_[bin] += carry;
}

std::size_t BinCounts::bytes() const {
  std::size_t all =
      few_.capacity() * sizeof(Counted) + pages_.size() * sizeof(Page) + carries_.size() * 64;
  for (const auto& page : pages_) all += page.size() * sizeof(std::uint32_t);
  return all;
}

}  // namespace zeropoint
