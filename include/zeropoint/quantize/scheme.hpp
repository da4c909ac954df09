#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "zeropoint/formats/format.hpp"
#include "zeropoint/quantize/convention.hpp"
#include "zeropoint/quantize/granularity.hpp"
#include "zeropoint/ranges/observer.hpp"
#include "zeropoint/transforms/transform.hpp"

namespace zeropoint {

/// How a tensor is quantized, completely: what `hadamard+int4:sym:group=32:mse@onnxruntime` says.
struct Scheme {
  std::vector<Transform> transforms;  ///< done first, in this order; each kind once at most
  Format format;
  Granularity granularity;
  RangeEstimator range;
  Convention convention;   ///< with mapping, rounding and the sign of the format's grid
  std::uint64_t seed = 0;  ///< of stochastic rounding
  ScaleRule scale_rule = ScaleRule::floor;  ///< of block formats with power-of-two scales
  bool is_static = false;   ///< parameters come from calibration, not from the tensor itself
  bool unit_scale = false;  ///< values are codes of the format as they are: scale 1
  /// Once there are codes, each scale is multiplied by ⟨x, q⟩/⟨q, q⟩, q being what the codes stand
  /// for: of all scales, that with which they have the least squared error.
  bool shrinks = false;

  bool operator==(const Scheme&) const = default;
};

/// Reads (TRANSFORM+)*FORMAT(:WORD)*[@CONVENTION(:WORD)*]. Words stand in any order, each aspect at
/// most once: affine | sym; a granularity; a range estimator; a rounding (stochastic=SEED); static
/// | dynamic; unit; scale-rule=RULE; shrink; any axis of the convention as key=value, of which
/// mapping and rounding are the aspects above by other names. Throws InputError naming the nearest
/// known word, or why a word does not go with the format: none may be said that decides nothing.
Scheme parse_scheme(std::string_view text);

/// The scheme in full: every aspect spelled, parse_scheme reads it back to the same.
std::string to_string(const Scheme& scheme);

/// As short as it can be said: only what departs from the defaults.
std::string short_form(const Scheme& scheme);

/// One word that a scheme may hold, as `zeropoint schemes` lists it.
struct SchemeWord {
  std::string aspect;  ///< "symmetry", "granularity", "range", …
  std::string word;    ///< "group=N"
  std::string title;
};
const std::vector<SchemeWord>& scheme_words();

/// Schemes worth trying first, each with what it is: rows of `zeropoint schemes`.
struct SchemeExample {
  std::string_view scheme;
  std::string_view title;
};
const std::vector<SchemeExample>& scheme_examples();

/// "A scheme x another", for the two operands of a product, or one scheme for both. Transforms that
/// either names are done to both; throws InputError if both name some and they differ.
struct SchemePair {
  Scheme a;
  Scheme b;
};
SchemePair parse_scheme_pair(std::string_view text);
std::string to_string(const SchemePair& pair);
std::string short_form(const SchemePair& pair);

}  // namespace zeropoint
