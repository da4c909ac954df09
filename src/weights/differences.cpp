#include "weights/differences.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/packed_codes.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kGrain = std::size_t{1} << 16;  // values of a piece; a multiple of kBlock
constexpr std::size_t kBlock = 512;  // looked at for numbers that are not finite, then summed
constexpr std::size_t kLanes = 4;    // sums side by side, whatever a vector holds

bool all_finite(const float* x, std::size_t count) {
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    most = std::max(most, std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffU);
  }
  return most < 0x7f800000U;
}

class Sums {
 public:
  // All of them finite.
  void add(const float* a, const float* b, std::size_t count, std::size_t first) {
    std::array<double, kLanes> most{};
    std::uint32_t differ = 0;
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const double x = a[i + lane], y = b[i + lane], d = x - y;
        error_[lane] += d * d;
        energy_a_[lane] += x * x;
        energy_b_[lane] += y * y;
        product_[lane] += x * y;
        most[lane] = std::max(most[lane], std::abs(d));
      }
    }
    for (std::size_t k = 0; k < i; ++k) differ += a[k] != b[k] ? 1U : 0U;
    all_.values += i;
    all_.differ += differ;
    const double largest = *std::ranges::max_element(most);
    if (largest > all_.largest) {
      for (std::size_t k = 0; k < i; ++k) note(a[k], b[k], first + k);
    }
    for (; i < count; ++i) add_one(a[i], b[i], first + i);
  }
  void add_any(const float* a, const float* b, std::size_t count, std::size_t first) {
    for (std::size_t i = 0; i < count; ++i) add_one(a[i], b[i], first + i);
  }
  Differences total() const {
    Differences all = all_;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      all.error += error_[lane];
      all.energy_a += energy_a_[lane];
      all.energy_b += energy_b_[lane];
      all.product += product_[lane];
    }
    return all;
  }

 private:
  void note(double x, double y, std::size_t at) {
    const double size = std::abs(x - y);
    if (size > all_.largest) {
      all_.largest = size;
      all_.largest_at = at;
    }
  }
  void add_one(float a, float b, std::size_t at) {
    const bool finite_a = std::isfinite(a), finite_b = std::isfinite(b);
    if (finite_a && finite_b) {
      const double x = a, y = b, d = x - y;
      error_[0] += d * d;
      energy_a_[0] += x * x;
      energy_b_[0] += y * y;
      product_[0] += x * y;
      all_.values += 1;
      all_.differ += a != b ? 1 : 0;
      note(x, y, at);
      return;
    }
    all_.non_finite_a += finite_a ? 0 : 1;
    all_.non_finite_b += finite_b ? 0 : 1;
    if (a == b || (std::isnan(a) && std::isnan(b))) return;
    all_.differ += 1;
    if (all_.non_finite_differ++ == 0) all_.non_finite_differ_at = at;
  }

  Differences all_;
  std::array<double, kLanes> error_{}, energy_a_{}, energy_b_{}, product_{};
};

// How codes are told apart: what they are, and of how many bits.
struct CodeKind {
  std::string name;  // of an integer "int" or "uint"
  int bits = 0;
  bool is_integer = false, is_signed = false;
  bool operator==(const CodeKind&) const = default;
};

std::optional<CodeKind> kind_of(const Weight& weight) {
  CodeKind kind;
  if (weight.scheme) {
    const Format& format = weight.scheme->format;
    if (format.kind == FormatKind::block || format.bits > 16) return std::nullopt;
    kind.bits = format.bits;
    kind.is_integer = format.kind == FormatKind::integer;
    kind.is_signed = kind.is_integer && format.grid.is_signed;
    kind.name = format.name;
  } else {
    const TensorType& type = *weight.stored->type;
    if (type.kind != TensorKind::integer) return std::nullopt;
    kind.bits = static_cast<int>(8 * type.bytes / type.block);
    kind.is_integer = true;
    kind.is_signed = type.name.starts_with('I');
  }
  if (kind.is_integer) kind.name = kind.is_signed ? "int" : "uint";
  return kind;
}

struct Steps {
  std::size_t differ = 0;
  std::uint64_t largest = 0;
};

template <class Code>
Steps steps_between(const Code* a, const Code* b, std::size_t count) {
  Steps steps;
  for (std::size_t i = 0; i < count; ++i) {
    const auto hi = static_cast<std::uint64_t>(std::max(a[i], b[i]));
    const auto lo = static_cast<std::uint64_t>(std::min(a[i], b[i]));
    steps.differ += hi != lo ? 1 : 0;
    steps.largest = std::max(steps.largest, hi - lo);  // modulo 2^64 it is right of any sign
  }
  return steps;
}

// Codes of whole bytes may lie anywhere in a file.
template <class Code>
Steps steps_of_bytes(const std::uint8_t* a, const std::uint8_t* b, std::size_t begin,
                     std::size_t count) {
  constexpr std::size_t kPiece = 2048;
  std::array<Code, kPiece> x, y;
  Steps all;
  for (std::size_t done = 0; done < count; done += kPiece) {
    const std::size_t now = std::min(kPiece, count - done);
    std::memcpy(x.data(), a + (begin + done) * sizeof(Code), now * sizeof(Code));
    std::memcpy(y.data(), b + (begin + done) * sizeof(Code), now * sizeof(Code));
    const Steps steps = steps_between(x.data(), y.data(), now);
    all.differ += steps.differ;
    all.largest = std::max(all.largest, steps.largest);
  }
  return all;
}

// `begin` is a multiple of 8.
Steps steps_of_packed(const std::uint8_t* a, const std::uint8_t* b, std::size_t begin,
                      std::size_t count, const CodeKind& kind) {
  constexpr std::size_t kPiece = 4096;
  std::array<std::uint8_t, kPiece> x, y;
  std::array<std::int8_t, kPiece> signed_x, signed_y;
  const auto bits = static_cast<std::size_t>(kind.bits);
  const int shift = 8 - kind.bits;
  Steps all;
  for (std::size_t done = 0; done < count; done += kPiece) {
    const std::size_t now = std::min(kPiece, count - done);
    const std::size_t from = (begin + done) / 8 * bits, size = packed_bytes(now, kind.bits);
    unpack({a + from, size}, kind.bits, std::span(x.data(), now));
    unpack({b + from, size}, kind.bits, std::span(y.data(), now));
    Steps steps;
    if (kind.is_signed) {
      for (std::size_t i = 0; i < now; ++i) {
        signed_x[i] = static_cast<std::int8_t>(static_cast<std::int8_t>(x[i] << shift) >> shift);
        signed_y[i] = static_cast<std::int8_t>(static_cast<std::int8_t>(y[i] << shift) >> shift);
      }
      steps = steps_between(signed_x.data(), signed_y.data(), now);
    } else {
      steps = steps_between(x.data(), y.data(), now);
    }
    all.differ += steps.differ;
    all.largest = std::max(all.largest, steps.largest);
  }
  return all;
}

Steps steps_of(const std::uint8_t* a, const std::uint8_t* b, std::size_t begin, std::size_t count,
               const CodeKind& kind) {
  if (kind.bits < 8) return steps_of_packed(a, b, begin, count, kind);
  const auto of = [&]<class Signed, class Unsigned>(Signed, Unsigned) {
    return kind.is_signed ? steps_of_bytes<Signed>(a, b, begin, count)
                          : steps_of_bytes<Unsigned>(a, b, begin, count);
  };
  if (kind.bits == 8) return of(std::int8_t{}, std::uint8_t{});
  if (kind.bits <= 16) return of(std::int16_t{}, std::uint16_t{});
  if (kind.bits == 32) return of(std::int32_t{}, std::uint32_t{});
  return of(std::int64_t{}, std::uint64_t{});
}

}  // namespace

void Differences::add(const Differences& next) {
  values += next.values;
  error += next.error;
  energy_a += next.energy_a;
  energy_b += next.energy_b;
  product += next.product;
  differ += next.differ;
  if (next.largest > largest) {
    largest = next.largest;
    largest_at = next.largest_at;
  }
  non_finite_a += next.non_finite_a;
  non_finite_b += next.non_finite_b;
  non_finite_differ += next.non_finite_differ;
  non_finite_differ_at = std::min(non_finite_differ_at, next.non_finite_differ_at);
}

Differences differences(std::span<const float> a, std::span<const float> b) {
  std::vector<Differences> pieces((a.size() + kGrain - 1) / kGrain);
  parallel_for(a.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    Sums sums;
    for (std::size_t at = begin; at < end; at += kBlock) {
      const std::size_t count = std::min(kBlock, end - at);
      const float *const x = a.data() + at, *const y = b.data() + at;
      if (all_finite(x, count) && all_finite(y, count)) {
        sums.add(x, y, count, at);
      } else {
        sums.add_any(x, y, count, at);
      }
    }
    pieces[begin / kGrain] = sums.total();
  });
  Differences all;
  for (const auto& piece : pieces) all.add(piece);
  return all;
}

std::optional<CodeDifferences> code_differences(const WeightFile& file_a, const Weight& a,
                                                const WeightFile& file_b, const Weight& b) {
  const auto kind = kind_of(a);
  if (!kind || kind_of(b) != kind || a.shape != b.shape) return std::nullopt;
  const auto bytes_a = file_a.file().load(*a.stored), bytes_b = file_b.file().load(*b.stored);
  std::vector<Steps> pieces((a.count + kGrain - 1) / kGrain);
  parallel_for(a.count, kGrain, [&](std::size_t begin, std::size_t end) {
    pieces[begin / kGrain] =
        steps_of(bytes_a.bytes().data(), bytes_b.bytes().data(), begin, end - begin, *kind);
  });
  Steps all;
  for (const auto& piece : pieces) {
    all.differ += piece.differ;
    all.largest = std::max(all.largest, piece.largest);
  }
  CodeDifferences result{all.differ, std::nullopt};
  if (kind->is_integer) result.largest_step = all.largest;
  return result;
}

}  // namespace zeropoint
