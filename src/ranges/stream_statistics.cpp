#include "zeropoint/ranges/stream_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "ranges/byte_stream.hpp"
#include "ranges/extremes.hpp"

namespace zeropoint {
namespace {

constexpr std::uint32_t kMagic = 0x325A5353;  // "SSZ2"

}  // namespace

void StreamStatistics::check_seen() const {
  if (count_ == 0) {
    throw InputError("observer: expected to have seen at least one value, found none");
  }
}

void StreamStatistics::check_keeps(StreamParts part, std::string_view asked_for) const {
  check_seen();
  if (!keeps(part)) {
    throw InputError(fmt::format(
        "observer: expected to have kept what {} needs, found that it was told not to", asked_for));
  }
}

void StreamStatistics::observe(std::span<const float> values, std::string_view what,
                               NonFinite policy) {
  if (values.empty()) return;
  const Extremes found = find_extremes(values);
  if (found.finite) return observe_finite(values, {found.min, found.max});
  if (policy == NonFinite::refuse) check_finite(values, what);
  observe_rest(values, policy);
}

void StreamStatistics::observe_finite(std::span<const float> values, Range extremes) {
  if (count_ != 0) {
    extremes.min = std::min(extremes.min, extremes_.min);
    extremes.max = std::max(extremes.max, extremes_.max);
  }
  extremes_ = extremes;
  if (keeps(StreamParts::moments)) moments_.add(values);
  if (keeps(StreamParts::bins)) bins_.add(values);
  count_ += values.size();
}

// What is finite among them, or made so; copied out, some at a time.
void StreamStatistics::observe_rest(std::span<const float> values, NonFinite policy) {
  constexpr std::size_t kAtOnce = 1 << 16;
  std::vector<float> finite;
  finite.reserve(std::min(values.size(), kAtOnce));
  for (std::size_t from = 0; from < values.size(); from += kAtOnce) {
    finite.clear();
    for (const float x : values.subspan(from, std::min(kAtOnce, values.size() - from))) {
      if (std::isfinite(x)) {
        finite.push_back(x);
      } else if (policy == NonFinite::saturate && !std::isnan(x)) {
        finite.push_back(std::copysign(std::numeric_limits<float>::max(), x));
      }
    }
    observe(finite);
  }
}

void StreamStatistics::merge(const StreamStatistics& other) {
  if (parts_ != other.parts_) {
    throw InputError("observer: expected another that keeps the same, found one that does not");
  }
  if (other.count_ == 0) return;
  extremes_ = count_ == 0 ? other.extremes_
                          : Range{std::min(extremes_.min, other.extremes_.min),
                                  std::max(extremes_.max, other.extremes_.max)};
  count_ += other.count_;
  moments_.merge(other.moments_);
  bins_.merge(other.bins_);
}

Range StreamStatistics::min_max() const {
  check_seen();
  return extremes_;
}

const ExactMoments& StreamStatistics::moments() const {
  check_keeps(StreamParts::moments, "a mean or variance");
  return moments_;
}

StreamStatistics::Bin StreamStatistics::bin_within(std::uint32_t bin, std::uint64_t count) const {
  return {std::max(BinCounts::first_of(bin), extremes_.min),
          std::min(BinCounts::last_of(bin), extremes_.max), count};
}

StreamQuantile StreamStatistics::order_statistic(std::uint64_t rank) const {
  StreamQuantile found{};
  std::uint64_t before = 0;
  bins_.for_each([&](std::uint32_t bin, std::uint64_t here) {
    if (before + here <= rank) {
      before += here;
      return true;
    }
    const Bin within = bin_within(bin, here);
    found = {0, within.at_least, within.at_most, before, before + here - 1};
    // The outermost are known exactly.
    if (rank == 0) found.at_most = found.at_least;
    if (rank == count_ - 1) found.at_least = found.at_most;
    if (rank == 0 || rank == count_ - 1) found.first_rank = found.last_rank = rank;
    const double part = (static_cast<double>(rank - before) + 0.5) / static_cast<double>(here);
    found.value =
        static_cast<float>(double{found.at_least} * (1 - part) + double{found.at_most} * part);
    return false;
  });
  return found;
}

StreamQuantile StreamStatistics::quantile(double p) const {
  check_keeps(StreamParts::bins, "a quantile");
  if (!(p >= 0 && p <= 1)) {
    throw InputError(fmt::format("quantile: expected a probability from 0 to 1, found {}", p));
  }
  const double rank = p * static_cast<double>(count_ - 1);
  const auto below = std::min(static_cast<std::uint64_t>(rank), count_ - 1);
  StreamQuantile found = order_statistic(below);
  const double part = rank - static_cast<double>(below);
  if (!(part > 0) || below == count_ - 1) return found;
  const StreamQuantile above = order_statistic(below + 1);
  found.value = static_cast<float>(double{found.value} * (1 - part) + double{above.value} * part);
  found.at_most = above.at_most;
  found.last_rank = above.last_rank;
  return found;
}

std::vector<StreamStatistics::Bin> StreamStatistics::bins() const {
  check_keeps(StreamParts::bins, "bins");
  const double narrow = std::max(-double{extremes_.min}, double{extremes_.max}) * 0x1p-24;
  std::vector<Bin> list;
  bins_.for_each([&](std::uint32_t bin, std::uint64_t here) {
    const Bin next = bin_within(bin, here);
    if (!list.empty() && (list.back().at_least < 0) == (next.at_least < 0) &&
        double{next.at_most} - list.back().at_least <= narrow) {
      list.back().at_most = next.at_most;
      list.back().count += here;
    } else {
      list.push_back(next);
    }
    return true;
  });
  return list;
}

std::vector<std::uint8_t> StreamStatistics::serialize() const {
  ByteWriter out;
  out.put(kMagic);
  out.put(static_cast<std::uint8_t>(parts_));
  out.put(count_);
  out.put(std::bit_cast<std::uint32_t>(extremes_.min));
  out.put(std::bit_cast<std::uint32_t>(extremes_.max));
  if (keeps(StreamParts::moments)) {
    for (const auto word : moments_.sum()) out.put(word);
    for (const auto word : moments_.squares()) out.put(word);
  }
  std::uint32_t next = 0;
  bins_.for_each([&](std::uint32_t bin, std::uint64_t here) {
    out.put_short(bin - next);
    out.put_short(here);
    next = bin + 1;
    return true;
  });
  return out.take_with_checksum();
}

StreamStatistics StreamStatistics::deserialize(std::span<const std::uint8_t> bytes) {
  ByteReader in = ByteReader::checked(bytes, "observer");
  const auto refuse_unless = [](bool right) {
    if (!right) throw InputError("observer: expected bytes that serialize() wrote, found others");
  };
  refuse_unless(in.get<std::uint32_t>() == kMagic);
  const auto parts = in.get<std::uint8_t>();
  refuse_unless(parts <= static_cast<std::uint8_t>(StreamParts::all));
  StreamStatistics s(static_cast<StreamParts>(parts));
  s.count_ = in.get<std::uint64_t>();
  s.extremes_.min = std::bit_cast<float>(in.get<std::uint32_t>());
  s.extremes_.max = std::bit_cast<float>(in.get<std::uint32_t>());
  refuse_unless(std::isfinite(s.extremes_.min) && std::isfinite(s.extremes_.max) &&
                s.extremes_.min <= s.extremes_.max);
  if (s.keeps(StreamParts::moments)) {
    ExactMoments::Sum sum;
    ExactMoments::Squares squares;
    for (auto& word : sum) word = in.get<std::uint32_t>();
    for (auto& word : squares) word = in.get<std::uint32_t>();
    s.moments_ = ExactMoments::from(s.count_, sum, squares);
  }
  std::uint64_t counted = 0;
  std::uint32_t next = 0;
  while (!in.at_end()) {
    const std::uint64_t skipped = in.get_short();
    const std::uint64_t here = in.get_short();
    // Within the ends, and no more than there are.
    const std::uint32_t last = BinCounts::bin_of(s.extremes_.max);
    refuse_unless(s.keeps(StreamParts::bins) && next <= last && skipped <= last - next &&
                  here != 0 && here <= s.count_ - counted);
    const auto bin = static_cast<std::uint32_t>(next + skipped);
    refuse_unless(bin >= BinCounts::bin_of(s.extremes_.min));
    next = bin + 1;
    counted += here;
    s.bins_.add(bin, here);
  }
  if (s.keeps(StreamParts::bins) && s.count_ != 0) {
    refuse_unless(counted == s.count_ && s.bins_[BinCounts::bin_of(s.extremes_.min)] != 0 &&
                  s.bins_[BinCounts::bin_of(s.extremes_.max)] != 0);
  }
  return s;
}

}  // namespace zeropoint
