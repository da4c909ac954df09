#pragma once
#include <cstddef>
#include <span>
#include <string_view>

namespace zeropoint {

/// What one instruction set can do at most: loops without memory, and one with nothing but loads.
/// In assembly, one file each: only so is it sure which instructions run, how many chains of them
/// are independent, and that no other file is compiled for that instruction set.
struct PeakLoops {
  std::string_view instruction_set;  ///< as a kernel's name ends
  std::string_view dot, fma;         ///< the instructions
  double dot_ops, fma_ops;           ///< additions and multiplications in a round
  void (*run_dot)(std::size_t rounds) noexcept;
  void (*run_fma)(std::size_t rounds) noexcept;
  /// Loads every byte once, in order; `bytes` is a multiple of kReadStep.
  void (*read)(const std::byte* data, std::size_t bytes) noexcept;
};

constexpr std::size_t kReadStep = 1024;

extern const PeakLoops peak_avx512vnni;
extern const PeakLoops peak_avxvnni;
extern const PeakLoops peak_avx2;
extern const PeakLoops peak_neondot;
extern const PeakLoops peak_neon;
extern const PeakLoops peak_portable;

/// Those of this architecture.
std::span<const PeakLoops* const> peak_list() noexcept;

/// Those of the kernel's instruction set. Throws WorkError if there are none.
const PeakLoops& peak_loops(std::string_view kernel);

}  // namespace zeropoint
