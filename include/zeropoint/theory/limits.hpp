#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/theory/distribution.hpp"

namespace zeropoint {

// What quantizing the entries of a distribution costs at least, and by the best quantizer of each
// kind: mean squared errors, relative to the distribution's variance. Entries are taken as
// independent and as many as one likes.

/// No code of so many bits an entry leaves less: 2^(−2·bits) of a normal distribution, Shannon's
/// lower bound exp(2h)/(2πe)·2^(−2·bits) of others with an entropy h. 0, which says nothing, where
/// there are atoms.
double rate_distortion_bound(const Distribution& distribution, double bits);

/// How far a quantizer is from that bound: in error, and in the bits that the bound needs less.
/// NaN where the bound is 0.
struct Gap {
  double db;
  double bits;
};
Gap gap_to_bound(const Distribution& distribution, double bits, double mse);

/// Squared errors of matrices are relative to the entries' mean square, limits to their variance:
/// the one from the other.
double relative_to_variance(const Distribution& distribution, double squared_error);

/// 10·log10(1/mse).
double sqnr_db(double mse);

/// The relative Frobenius error of A·B that is left at least where two matrices of independent
/// normal entries are given so many bits an entry: √Γ, Γ = 2·4^(−R) − 16^(−R) at R bits from the
/// critical rate on, and below it the tangent through (0, 1). O. Ordentlich and Y. Polyanskiy,
/// "Optimal quantization for matrix multiplication", arXiv 2410.13780.
double product_bound(double bits);
/// Some 0.906 bits.
double critical_rate();
/// How far a product with that relative error is from product_bound(bits): 20·log10 of the ratio,
/// and the bits that the bound needs less. Infinite if the error is 0; bits as many as there are if
/// it is 1 or more.
Gap gap_to_product_bound(double bits, double error);

enum class LimitKind {
  bound,          ///< rate_distortion_bound()
  uniform,        ///< the best 2^R levels with even steps: mirrored at 0 where the distribution is
                  ///< and has no atom there, otherwise anywhere
  integer,        ///< int<R>, at its best scale (and zero point, of a skewed distribution)
  narrow,         ///< int<R>-narrow, symmetric about 0, at its best scale
  lloyd_max,      ///< the best 2^R levels
  entropy_coded,  ///< even steps without end, each read as its mean, coded to R bits on average
  scheme          ///< any scheme
};

/// One quantizer of one distribution. Members that do not belong to its kind are NaN or empty.
struct LimitRow {
  LimitKind kind = LimitKind::bound;
  std::string name;    ///< as the table has it; of a scheme, its short form
  double bits = 0;     ///< of an entry, with the scales that a group of entries shares
  double mse = 0;      ///< relative to the variance
  double product = 0;  ///< of A·B, both by this quantizer: the relative error that is predicted;
                       ///< NaN where entries have a mean or are not independent
  double load = 0;     ///< the largest level, in deviations; NaN where there is no largest
  double scale = 0;    ///< the step, or what a format's numbers are multiplied with

  std::optional<Scheme> scheme;  ///< by which the library quantizes so
  std::int32_t zero_point = 0;
  float tensor_scale = 1;           ///< of block formats that have one
  std::vector<double> levels = {};  ///< where all entries share a scale, ascending
};

/// Each by conditions of its own, in double. Throw InputError unless 1 ≤ bits ≤ 12 (narrow: 2), and
/// if the distribution has no variance.
LimitRow bound_limit(const Distribution& distribution, double bits);
LimitRow uniform_limit(const Distribution& distribution, int bits);
LimitRow integer_limit(const Distribution& distribution, int bits);
LimitRow narrow_limit(const Distribution& distribution, int bits);
LimitRow lloyd_max_limit(const Distribution& distribution, int bits);
/// Nothing if no step leaves so many bits: of values that are too few.
std::optional<LimitRow> entropy_coded_limit(const Distribution& distribution, int bits);

/// A scheme. With one scale for all, at the best scale (and zero point) there is, or, with `unit`,
/// at 1. With groups of N, at the scale that each group's largest and smallest entry give. A block
/// format: by its rules; NVFP4's tensor scale is that of a million entries. Throws InputError for
/// what has no such formula: other ranges, roundings that are not to nearest, groups by their root
/// mean square.
LimitRow scheme_limit(const Distribution& distribution, const Scheme& scheme);

/// The rows of `zeropoint limits`: for each number of bits, all kinds; then the schemes.
std::vector<LimitRow> limits(const Distribution& distribution, std::span<const int> bits,
                             std::span<const std::string> schemes);
/// What `zeropoint limits` shows unless told otherwise.
std::span<const std::string_view> limit_schemes();

/// The same by drawing entries and quantizing them as the library does (for kinds that no scheme
/// names: to the nearest level).
struct LimitCheck {
  double mse;             ///< measured
  double standard_error;  ///< of it
  double z;               ///< (measured − computed) / standard error
};
/// With at least `samples` entries of the counter generator. Nothing for bounds, and where steps
/// are so small that float32 does not hold what they leave. With one scale for all, the standard
/// error is the distribution's; otherwise the sample's own, which is too small where entries matter
/// that are so rare that the sample has hardly any.
std::optional<LimitCheck> check_limit(const Distribution& distribution, const LimitRow& row,
                                      std::size_t samples, std::uint64_t seed);

}  // namespace zeropoint
