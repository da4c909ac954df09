#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include "zeropoint/core/rounding.hpp"
#include "zeropoint/quantize/scheme.hpp"
#include "zeropoint/theory/distribution.hpp"

#include "theory/partial_moments.hpp"

namespace zeropoint {

/// Means over entries x and their errors e = q − x, in the order of Feature.
using Features = std::array<double, 5>;
enum Feature : std::size_t { kX, kE, kXX, kXE, kEE };

/// A quantizer of the reals, piece by piece: a number for all of a piece (a cell), one of two at
/// random with mean x (stochastic rounding), or steps so fine that the error is even over one.
class StepFunction {
 public:
  /// One number for each level, ascending. With directed rounding, cells begin where it says;
  /// otherwise halfway between levels.
  static StepFunction of_levels(const std::vector<double>& levels, Rounding rounding);
  /// Level i from edges[i] on; edges[0] is −∞.
  static StepFunction of_cells(const std::vector<double>& edges, const std::vector<double>& values);

  void add_cell(double from, double value) { pieces_.push_back({from, value, value, 0}); }
  void add_dither(double from, double low, double high) { pieces_.push_back({from, low, high, 0}); }
  void add_fine(double from, double step, double shift) {
    pieces_.push_back({from, shift, shift, step});
  }
  /// Every number is off by a factor 1 + δ, the same for all of a tile: E[δ] = 0, E[δ²] = `square`.
  void set_factor(double square) { factor_ = square; }
  double factor() const { return factor_; }

  /// Features' sums over the distribution between `from` and `to`, and its mass there.
  struct Sums {
    Features features{};
    double mass = 0;
  };
  Sums integrate(const PartialMoments& moments, double from, double to) const;

  /// Features of a single x.
  Features at(double x) const;

  /// Calls f(weight, e) for the errors that x may have.
  template <class F>
  void for_each_error(double x, const F& f) const {
    const Piece& piece = pieces_[index(x)];
    if (piece.fine > 0) {
      // Gauss's four points, over one step.
      constexpr std::array kNode = {0.8611363115940526, 0.3399810435848563};
      constexpr std::array kWeight = {0.3478548451374539 / 2, 0.6521451548625461 / 2};
      for (std::size_t i = 0; i < 2; ++i) {
        f(kWeight[i], piece.low + kNode[i] * piece.fine / 2);
        f(kWeight[i], piece.low - kNode[i] * piece.fine / 2);
      }
    } else if (piece.high > piece.low) {
      const double part = (x - piece.low) / (piece.high - piece.low);
      f(part, piece.high - x);
      f(1 - part, piece.low - x);
    } else {
      f(1.0, piece.low - x);
    }
  }

 private:
  struct Piece {
    double from;
    double low, high;  // the numbers; of fine steps, the error's mean
    double fine;       // their step
  };
  std::size_t index(double x) const;

  std::vector<Piece> pieces_;
  double factor_ = 0;
};

/// What a scheme does to a tile whose range was found to be [min, max]; of block formats, to a
/// block with these extremes, in a tensor whose largest magnitude is `most` or beyond.
StepFunction step_function(const Scheme& scheme, Range range, double most = 0);

/// Why step_function() knows nothing of the scheme; empty if it does.
std::string no_step_function(const Scheme& scheme);

/// Block formats whose blocks have a scale and a minimum.
bool is_affine_block(const Scheme& scheme);

/// For power-of-two scales: a magnitude that changes the power, as all its multiples by powers of
/// two do; else 0.
double power_boundary(const Scheme& scheme);
/// And the largest number of an element.
double largest_element(const Scheme& scheme);

}  // namespace zeropoint
