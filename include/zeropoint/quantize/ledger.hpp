#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "zeropoint/core/matrix.hpp"
#include "zeropoint/quantize/qtensor.hpp"
#include "zeropoint/ranges/range.hpp"

namespace zeropoint {

/// Where the squared error of a quantized tensor comes from, in sums over its elements. The
/// quantizer is built up in three steps, from the one that its format would have with real
/// parameters to the one it has; a part is what a step changes, and may be negative where chance or
/// a coarser grid serves better. So the parts add up to the error, and no cross terms are left.
struct TensorLedger {
  double clipping = 0;      ///< of elements beyond the grid's ends, parameters being real numbers;
                            ///< codebooks whose ends are means of all beyond them clip nothing
  double rounding = 0;      ///< of all others
  double zero_point = 0;    ///< what making the zero point an integer adds
  double stored_scale = 0;  ///< what the scale as it is stored adds, and float32's own rounding;
                            ///< shrink makes it less than 0
  double error = 0;         ///< ‖x − q‖², measured by itself
  double energy = 0;        ///< ‖x‖²

  double sum() const { return clipping + rounding + zero_point + stored_scale; }
};

/// `x` is what `q` was made of. Integers: real parameters follow from each tile's range, which is
/// found again by the scheme's estimator unless `range` gives it for the whole; where parameters
/// were not found in x (static, unit scale, stochastic rounding), they are taken as they are, and
/// the last two parts are what float32 leaves. Blocks: those of the same numbers with a scale that
/// can be stored exactly. A scale in float32 of a float format or a codebook is as good as real.
/// Of a scheme with transforms, all is of the transformed tensor, energy and error too: a rotation
/// leaves both as they are. Throws InputError if the shapes differ.
TensorLedger tensor_ledger(MatrixView<const float> x, const QTensor& q,
                           std::optional<Range> range = std::nullopt);

/// The errors that make up the error of a product, in the order in which they arise.
enum class ProductPart {
  a,           ///< ΔA·B
  b,           ///< A·ΔB
  both,        ///< ΔA·ΔB
  arithmetic,  ///< what sums and float32 lose, in both products
  output       ///< quantizing the product
};
constexpr std::size_t kProductParts = 5;
constexpr std::array<std::string_view, kProductParts> kProductPartNames = {"A", "B", "A with B",
                                                                           "arithmetic", "output"};

/// Where the squared error of a product comes from: it is the sum of five matrices, whose inner
/// products are all here. Squared norms on the diagonal, cross terms beside it, each of which
/// counts twice.
struct ProductLedger {
  std::array<std::array<double, kProductParts>, kProductParts> inner{};
  double error = 0;   ///< ‖Y − result‖², measured by itself
  double energy = 0;  ///< ‖Y‖²

  double part(ProductPart which) const {
    const auto i = static_cast<std::size_t>(which);
    return inner[i][i];
  }
  /// All cross terms together.
  double cross() const;
  double sum() const;
};

/// Y = A·B in float32, `product` what came of their quantized forms, `output` what became of that,
/// if it was quantized again. Takes three products of this size. Throws InputError if the shapes do
/// not fit.
ProductLedger product_ledger(const Matrix<float>& a, const Matrix<float>& b, const Matrix<float>& y,
                             const QTensor& qa, const QTensor& qb, const Matrix<float>& product,
                             const Matrix<float>* output = nullptr);

}  // namespace zeropoint
