#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint {

/// Codes that stand for any numbers: code i is levels[i].
struct Codebook {
  std::string name;
  std::string title;
  std::vector<float> levels;  ///< 1 to 256, finite, each above the one before

  /// The bits of a code, at least 1.
  int bits() const;
};

/// NormalFloat with 4 bits: 16 levels from −1 to 1, 0 among them, at quantiles of the normal
/// distribution, to be scaled by a block's largest magnitude. Source: Dettmers, Pagnoni, Holtzman,
/// Zettlemoyer, "QLoRA", arXiv 2305.14314, appendix E.
const Codebook& nf4();

/// A density that is even, with mean 0 and standard deviation 1, through what its upper half is
/// beyond x ≥ 0.
struct Density {
  std::string_view name;
  std::string_view title;
  double (*density)(double x);
  double (*tail)(double x);       ///< P(X > x)
  double (*tail_mean)(double x);  ///< E[X; X > x], the partial first moment
  double spread;  ///< the density's cube root is a density of this shape, so many times as wide
};

/// normal, laplace and uniform.
std::span<const Density> densities();

/// Throws InputError with the nearest known name.
const Density& density(std::string_view name);

/// The quantizer with the least mean squared error for a density, 1 to 8 bits: each level is the
/// mean of its cell, and cells meet halfway between levels (Lloyd 1957; Max, IRE Trans. Inf. Theory
/// IT-6, 1960). Solved by Newton's method in double. Named "lloyd4-normal".
Codebook lloyd_max(const Density& density, int bits);

/// What that quantizer needs to know of any density.
struct DensityFunctions {
  std::function<double(double x)> density;
  std::function<double(double x)> tail;       ///< P(X > x)
  std::function<double(double x)> tail_mean;  ///< E[X; X > x]
  double from;  ///< where the lowest cell begins: 0, of the upper half of an even density; −∞
};

/// What a step moves: levels, or their logarithms, for levels that are all positive and differ by
/// orders of magnitude.
enum class LevelSteps { even, proportional };

/// Its levels, from those given on, which ascend: where Newton's method leads, each step shortened
/// until levels ascend.
std::vector<double> lloyd_max_levels(const DensityFunctions& density, std::vector<double> levels,
                                     LevelSteps steps = LevelSteps::even);

/// The same for data: a local optimum, where each level is the mean of the numbers nearest to it,
/// or what 300 rounds from a compander's levels lead to. Where there are no more distinct numbers
/// than codes, these are the levels; otherwise there are at most 2^bits. Takes 8 bytes a number
/// while it works. The same at any number of threads. Named "lloyd4". Throws InputError unless
/// 1 ≤ bits ≤ 8 and there are numbers, all finite.
Codebook fit_lloyd_max(std::span<const float> x, int bits);

/// codes[i] is the level nearest to x[i], the lower of two that are as near; beyond the ends, the
/// end. A NaN is as 0 would be. By vector code. Throws InputError if the sizes differ or the levels
/// are not as they must be.
void encode(const Codebook& codebook, std::span<const float> x, std::span<std::uint8_t> codes);

/// x[i] = levels[codes[i]]; a code past the end is the last level.
void decode(const Codebook& codebook, std::span<const std::uint8_t> codes, std::span<float> x);

}  // namespace zeropoint
