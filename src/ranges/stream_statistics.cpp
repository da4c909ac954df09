#include "zeropoint/ranges/stream_statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

#include "ranges/byte_stream.hpp"
#include "ranges/scan.hpp"

namespace zeropoint {
namespace {

constexpr std::uint32_t kMagic = 0x315A5353;   // "SSZ1"
constexpr std::uint32_t kOffset = 0x80000000;  // makes order keys unsigned
constexpr std::int32_t kInfinityKey = 0x7F800000;

std::uint32_t bin_of(std::int32_t key, int bits) {
  return (static_cast<std::uint32_t>(key) ^ kOffset) >> (32 - bits);
}

// The least and the greatest key of a bin.
std::int32_t first_key(std::uint32_t bin, int bits) {
  return static_cast<std::int32_t>((bin << (32 - bits)) ^ kOffset);
}
std::int32_t last_key(std::uint32_t bin, int bits) {
  return static_cast<std::int32_t>(((bin << (32 - bits)) | ((1U << (32 - bits)) - 1)) ^ kOffset);
}

// Exponent fields as powers of two: significands are whole numbers of 2^(e − 150), e at least 1.
double weight(std::size_t exponent) {
  return std::ldexp(1.0, std::max(static_cast<int>(exponent), 1) - 150);
}

}  // namespace

void StreamStatistics::check_seen() const {
  if (count_ == 0) {
    throw InputError("observer: expected to have seen at least one value, found none");
  }
}

void StreamStatistics::observe(std::span<const float> values, std::string_view what,
                               NonFinite policy) {
  if (policy == NonFinite::refuse) check_finite(values, what);
  std::uint32_t last_page = ~0U;
  std::uint64_t* counts = nullptr;
  for (float x : values) {
    if (!std::isfinite(x)) {
      if (policy == NonFinite::ignore || std::isnan(x)) continue;
      x = std::copysign(std::numeric_limits<float>::max(), x);
    }
    const std::int32_t key = order_key(x + 0.0F);  // −0 counts as 0
    const std::uint32_t bin = bin_of(key, kBinBits);
    if (bin >> kPageBits != last_page) {
      last_page = bin >> kPageBits;
      auto& page = pages_[last_page];
      if (!page) {
        page = std::make_shared<Page>();
      } else if (page.use_count() > 1) {
        page = std::make_shared<Page>(*page);
      }
      counts = page->data();
    }
    ++counts[bin & (kPageBins - 1)];
    min_key_ = count_ == 0 ? key : std::min(min_key_, key);
    max_key_ = count_ == 0 ? key : std::max(max_key_, key);
    ++count_;
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t exponent = bits >> 23 & 0xFF;
    const std::int64_t significand = (bits & 0x7FFFFF) | (exponent == 0 ? 0 : 0x800000);
    sums_[exponent] += x < 0 ? -significand : significand;
    squares_[exponent].add(static_cast<std::uint64_t>(significand * significand));
  }
}

void StreamStatistics::merge(const StreamStatistics& other) {
  if (other.count_ == 0) return;
  min_key_ = count_ == 0 ? other.min_key_ : std::min(min_key_, other.min_key_);
  max_key_ = count_ == 0 ? other.max_key_ : std::max(max_key_, other.max_key_);
  count_ += other.count_;
  for (std::size_t e = 0; e < kExponents; ++e) {
    sums_[e] += other.sums_[e];
    squares_[e].add(other.squares_[e]);
  }
  for (std::size_t p = 0; p < kPages; ++p) {
    const auto from = other.pages_[p];  // a copy of the pointer: merging with itself is fine
    if (!from) continue;
    auto merged = std::make_shared<Page>(*from);
    if (pages_[p]) {
      for (std::size_t i = 0; i < kPageBins; ++i) (*merged)[i] += (*pages_[p])[i];
    }
    pages_[p] = std::move(merged);
  }
}

Range StreamStatistics::min_max() const {
  check_seen();
  return {value_of(min_key_), value_of(max_key_)};
}

double StreamStatistics::mean() const {
  check_seen();
  double sum = 0;
  for (std::size_t e = 0; e < kExponents; ++e) sum += static_cast<double>(sums_[e]) * weight(e);
  return sum / static_cast<double>(count_);
}

double StreamStatistics::variance() const {
  check_seen();
  double squares = 0;
  for (std::size_t e = 0; e < kExponents; ++e) {
    const double sum = std::ldexp(static_cast<double>(squares_[e].high), 64) +
                       static_cast<double>(squares_[e].low);
    squares += sum * weight(e) * weight(e);
  }
  const double m = mean();
  return std::max(squares / static_cast<double>(count_) - m * m, 0.0);
}

StreamQuantile StreamStatistics::order_statistic(std::uint64_t rank) const {
  std::uint64_t before = 0;
  for (std::uint32_t page = 0; page < kPages; ++page) {
    if (!pages_[page]) continue;
    for (std::uint32_t i = 0; i < kPageBins; ++i) {
      const std::uint64_t here = (*pages_[page])[i];
      if (before + here <= rank) {
        before += here;
        continue;
      }
      const std::uint32_t bin = page << kPageBits | i;
      StreamQuantile found{};
      found.at_least = value_of(std::max(first_key(bin, kBinBits), min_key_));
      found.at_most = value_of(std::min(last_key(bin, kBinBits), max_key_));
      // The outermost are known exactly.
      if (rank == 0) found.at_most = found.at_least;
      if (rank == count_ - 1) found.at_least = found.at_most;
      found.first_rank = before;
      found.last_rank = before + here - 1;
      const double part = (static_cast<double>(rank - before) + 0.5) / static_cast<double>(here);
      found.value =
          static_cast<float>(double{found.at_least} * (1 - part) + double{found.at_most} * part);
      return found;
    }
  }
  return {};  // not reached: the bins hold count_ values
}

StreamQuantile StreamStatistics::quantile(double p) const {
  check_seen();
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
  std::vector<Bin> list;
  for (std::uint32_t page = 0; page < kPages; ++page) {
    if (!pages_[page]) continue;
    for (std::uint32_t i = 0; i < kPageBins; ++i) {
      const std::uint64_t here = (*pages_[page])[i];
      if (here == 0) continue;
      const std::uint32_t bin = page << kPageBits | i;
      const double first = value_of(std::max(first_key(bin, kBinBits), min_key_));
      const double last = value_of(std::min(last_key(bin, kBinBits), max_key_));
      list.push_back({static_cast<float>((first + last) / 2), here});
    }
  }
  return list;
}

std::size_t StreamStatistics::bytes() const {
  std::size_t all = sizeof *this;
  for (const auto& page : pages_) all += page ? sizeof(Page) : 0;
  return all;
}

std::vector<std::uint8_t> StreamStatistics::serialize() const {
  ByteWriter out;
  out.put(kMagic);
  out.put(count_);
  out.put(min_key_);
  out.put(max_key_);
  for (const auto sum : sums_) out.put(sum);
  for (const auto& square : squares_) {
    out.put(square.low);
    out.put(square.high);
  }
  for (std::uint32_t page = 0; page < kPages; ++page) {
    if (!pages_[page]) continue;
    for (std::uint32_t i = 0; i < kPageBins; ++i) {
      if ((*pages_[page])[i] == 0) continue;
      out.put(page << kPageBits | i);
      out.put((*pages_[page])[i]);
    }
  }
  return out.take();
}

StreamStatistics StreamStatistics::deserialize(std::span<const std::uint8_t> bytes) {
  ByteReader in(bytes, "observer");
  if (in.get<std::uint32_t>() != kMagic) {
    throw InputError("observer: expected bytes that serialize() wrote, found others");
  }
  StreamStatistics s;
  s.count_ = in.get<std::uint64_t>();
  s.min_key_ = in.get<std::int32_t>();
  s.max_key_ = in.get<std::int32_t>();
  for (auto& sum : s.sums_) sum = in.get<std::int64_t>();
  for (auto& square : s.squares_) {
    square.low = in.get<std::uint64_t>();
    square.high = in.get<std::uint64_t>();
  }
  std::uint64_t counted = 0;
  std::int64_t last = -1;
  while (!in.at_end()) {
    const auto bin = in.get<std::uint32_t>();
    const auto here = in.get<std::uint64_t>();
    if (bin >> kBinBits != 0 || std::int64_t{bin} <= last || here == 0 ||
        here > s.count_ - counted) {
      throw InputError("observer: expected ascending bins that add up to the count, found others");
    }
    last = bin;
    counted += here;
    auto& page = s.pages_[bin >> kPageBits];
    if (!page) page = std::make_shared<Page>();
    (*page)[bin & (kPageBins - 1)] = here;
  }
  const auto outermost = [&](std::int32_t key) {
    const auto& page = s.pages_[bin_of(key, kBinBits) >> kPageBits];
    return key > ~kInfinityKey && key < kInfinityKey && page &&
           (*page)[bin_of(key, kBinBits) & (kPageBins - 1)] != 0;
  };
  const bool ends_fit =
      s.count_ == 0 || (s.min_key_ <= s.max_key_ && outermost(s.min_key_) && outermost(s.max_key_));
  if (counted != s.count_ || !ends_fit) {
    throw InputError(
        "observer: expected bins that add up to the count and hold both ends, found "
        "others");
  }
  return s;
}

bool StreamStatistics::operator==(const StreamStatistics& other) const {
  return serialize() == other.serialize();
}

}  // namespace zeropoint
