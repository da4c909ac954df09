#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace zeropoint {

/// How many floats begin with which 22 bits: sign, exponent and 13 of the fraction, so that a bin
/// is at most 2⁻¹³ of its values wide. Bins are numbered in the order of their values; −0 counts as
/// +0. Counts of 32 bits, and the carries of those that overflow: up to kFew bins as a list (8 to
/// 16 bytes a bin), more in pages of 16 KiB that exist where values fall: 16.1 MiB where they fall
/// everywhere, some 1 MiB for normal data.
class BinCounts {
 public:
  static constexpr int kBits = 22;
  static constexpr int kPageBits = 12;
  static constexpr std::uint32_t kBins = 1U << kBits;
  static constexpr std::size_t kFew = 1024;

  /// All finite; not checked. By up to 16 threads if there are many values; their own pages take
  /// up to 32 MiB meanwhile, all together.
  void add(std::span<const float> values);
  /// `count` values of one bin.
  void add(std::uint32_t bin, std::uint64_t count);
  void merge(const BinCounts& other);

  std::uint64_t operator[](std::uint32_t bin) const;
  /// Calls visit(bin, count) for bins that hold something, in ascending order, until it returns
  /// false.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const auto& [bin, count] : few_) {
      if (!visit(bin, carries_.empty() ? count : (*this)[bin])) return;
    }
    for (std::uint32_t page = 0; page < pages_.size(); ++page) {
      for (std::uint32_t i = 0; i < pages_[page].size(); ++i) {
        const std::uint32_t bin = page << kPageBits | i;
        if (pages_[page][i] == 0 && carries_.empty()) continue;
        const std::uint64_t count = (*this)[bin];
        if (count != 0 && !visit(bin, count)) return;
      }
    }
  }
  /// Of memory, beyond this object itself.
  std::size_t bytes() const;

  /// The smallest and the largest float of a bin, and the bin of a float.
  static float first_of(std::uint32_t bin);
  static float last_of(std::uint32_t bin);
  static std::uint32_t bin_of(float x);

  bool operator==(const BinCounts&) const = default;

 private:
  static constexpr std::uint32_t kPageBins = 1U << kPageBits;
  static constexpr std::uint32_t kPages = kBins / kPageBins;
  using Page = std::vector<std::uint32_t>;

  struct Counted {
    std::uint32_t bin, count;
    bool operator==(const Counted&) const = default;
  };

  void add_few(std::span<const float> values);
  void merge_few(std::span<const Counted> others);
  void add_to_pages(std::span<const float> values);
  void spread();
  void gather();
  template <class Spill>
  void count(std::span<const float> values, std::size_t most_pages, const Spill& spill);

  std::vector<Counted> few_;  ///< in ascending order; empty if pages are not
  std::vector<Page> pages_;   ///< empty until more than kFew bins hold something
  std::map<std::uint32_t, std::uint32_t> carries_;  ///< by bin, in units of 2^32
};

}  // namespace zeropoint
