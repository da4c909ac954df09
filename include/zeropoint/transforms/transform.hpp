#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace zeropoint {

/// What is done to both operands of a product along the index that it sums over, so that the
/// product stays as it is.
enum class TransformKind {
  hadamard,  ///< rotates both: (A·R)·(Rᵀ·B)
  smooth     ///< (A·S⁻¹)·(S·B), S diagonal, found in both operands
};

struct Transform {
  TransformKind kind = TransformKind::hadamard;
  std::optional<std::uint64_t> seed;  ///< of hadamard's random signs; without it, there are none
  double alpha = 0.5;                 ///< of smooth
  bool operator==(const Transform&) const = default;
};

/// One row of the list in transform.cpp.
struct TransformWord {
  TransformKind kind;
  std::string_view word;      ///< "hadamard"
  std::string_view argument;  ///< "SEED"; may always be left out
  std::string_view title;
};
std::span<const TransformWord> transform_words();

/// "hadamard", "hadamard=7", "smooth", "smooth=0.6". Throws InputError naming the nearest.
Transform parse_transform(std::string_view word);
std::string to_string(const Transform& transform);
/// Without an argument that is the default.
std::string short_form(const Transform& transform);

}  // namespace zeropoint
