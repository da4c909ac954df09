#include "zeropoint/theory/limits.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "zeropoint/formats/codebook.hpp"
#include "zeropoint/quantize/quantize.hpp"

#include "theory/distribution_of_values.hpp"
#include "theory/limits_rows.hpp"

namespace zeropoint {
namespace {

// As the library takes a scheme: its own quantizer, at the row's scale where there is one for all.
class SchemeQuantizer {
 public:
  explicit SchemeQuantizer(const LimitRow& row) : row_(row) {
    const Scheme& scheme = *row.scheme;
    is_given_ = !std::isnan(row.scale) && !scheme.unit_scale;
    if (is_given_) params_.tiles = {{static_cast<float>(row.scale), row.zero_point}};
    params_.tensor_scale = row.tensor_scale;
    if (scheme.format.codebook != nullptr) params_.levels = levels_of(*scheme.format.codebook);
  }
  Matrix<float> operator()(const Matrix<float>& x) const {
    const Scheme& scheme = *row_.scheme;
    const bool has_tensor_scale =
        scheme.format.kind == FormatKind::block && scheme.format.block->has_tensor_scale;
    if (is_given_ || has_tensor_scale) {
      return quantize(x.view(), scheme, params_).dequantized();
    }
    return quantize(x.view(), scheme).dequantized();
  }

 private:
  const LimitRow& row_;
  TensorParams params_;
  bool is_given_ = false;
};

// To the nearest level, by the library's codebooks where they hold as many.
Matrix<float> by_levels(const LimitRow& row, const Matrix<float>& x) {
  Matrix<float> q(x.rows(), x.cols());
  constexpr std::size_t kMostLevels = 256;
  if (row.levels.size() <= kMostLevels) {
    Codebook codebook{"levels", "", {}};
    for (const double level : row.levels) codebook.levels.push_back(static_cast<float>(level));
    Matrix<std::uint8_t> codes(x.rows(), x.cols());
    encode(codebook, x.values(), codes.values());
    decode(codebook, std::as_const(codes).values(), q.values());
    return q;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = x.values()[i];
    const auto above = std::ranges::lower_bound(row.levels, v);
    const auto next = above == row.levels.end() ? above - 1 : above;
    const auto before = above == row.levels.begin() ? above : above - 1;
    q.values()[i] = static_cast<float>(v - *before <= *next - v ? *before : *next);
  }
  return q;
}

// Cells as rounding has them, read as the means that theory says.
Matrix<float> by_cells(const Distribution& d, const EntropyCoded& how, const Matrix<float>& x) {
  Matrix<float> q(x.rows(), x.cols());
  std::map<double, float> means;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double cell = std::nearbyint((x.values()[i] - how.offset) / how.step);
    const auto [known, is_new] = means.try_emplace(cell, 0.0F);
    if (is_new) {
      const double from = how.offset + (cell - 0.5) * how.step;
      const Mass m = mass(d, from, from + how.step);
      known->second = static_cast<float>(m.p > 0 ? m.mean / m.p : x.values()[i]);
    }
    q.values()[i] = known->second;
  }
  return q;
}

// Entries whose errors hang together: a group.
std::size_t group_of(const LimitRow& row) {
  if (!row.scheme) return 1;
  if (row.scheme->format.kind == FormatKind::block) return row.scheme->format.block->block;
  const auto& granularity = row.scheme->granularity;
  switch (granularity.kind) {
    case GranularityKind::group:
      return granularity.cols;
    case GranularityKind::block:
      return granularity.rows * granularity.cols;
    case GranularityKind::tensor:
    case GranularityKind::channel:
    case GranularityKind::layer:
    case GranularityKind::model:
      break;
  }
  return 1;
}

}  // namespace

std::span<const std::string_view> limit_schemes() {
  static constexpr std::array<std::string_view, 14> kList = {
      "e2m1",         "e2m3",  "e3m2",  "e4m3",  "e5m2",  "int4:sym:group=32",
      "nf4:group=64", "mxfp4", "mxfp6", "mxfp8", "nvfp4", "q4_0",
      "q4_1",         "q8_0"};
  return kList;
}

std::vector<LimitRow> limits(const Distribution& d, std::span<const int> bits,
                             std::span<const std::string> schemes) {
  std::vector<LimitRow> rows;
  for (const int each : bits) {
    LimitRow uniform = uniform_limit(d, each);
    if (rate_distortion_bound(d, each) > 0) rows.push_back(bound_limit(d, each));
    rows.push_back(std::move(uniform));
    rows.push_back(integer_limit(d, each));
    if (each > 1) rows.push_back(narrow_limit(d, each));
    // Levels fitted to values are a codebook's.
    constexpr int kMostFitted = 8;
    const bool is_fitted = dynamic_cast<const DistributionOfValues*>(&d) != nullptr;
    if (!is_fitted || each <= kMostFitted) rows.push_back(lloyd_max_limit(d, each));
    if (auto row = entropy_coded_limit(d, each)) rows.push_back(std::move(*row));
  }
  for (const auto& scheme : schemes) rows.push_back(scheme_limit(d, parse_scheme(scheme)));
  return rows;
}

std::optional<LimitCheck> check_limit(const Distribution& d, const LimitRow& row,
                                      std::size_t samples, std::uint64_t seed) {
  constexpr double kFloats = 1e-12;  // what float32 leaves of a variance of 1, and as much again
  if (row.kind == LimitKind::bound || row.mse < kFloats) return std::nullopt;
  const std::size_t group = group_of(row);
  // A piece is a matrix whose every row is one group, so that groups of any shape are whole.
  const std::size_t groups = std::max<std::size_t>(1, (std::size_t{1} << 18) / group / 4) * 4;
  const bool is_rectangle = row.scheme && row.scheme->granularity.kind == GranularityKind::block;
  const std::size_t cols = is_rectangle ? row.scheme->granularity.cols : group;
  const CounterStream stream(seed, 0x11317);
  EntropyCoded how{};
  if (row.kind == LimitKind::entropy_coded) how = entropy_coded(d, row.bits);
  std::optional<SchemeQuantizer> by_scheme;
  const bool is_fitted = row.scheme && row.scheme->format.codebook != nullptr &&
                         row.scheme->format.codebook->is_fitted();
  if (row.scheme && !is_fitted) by_scheme.emplace(row);

  double sum = 0, squares = 0, count = 0;
  const double variance = whole(d).variance;
  for (std::size_t first = 0; first < samples; first += groups * group) {
    Matrix<float> x(groups * group / cols, cols);
    d.fill_counter(stream, first, x.values());
    const Matrix<float> q = by_scheme                              ? (*by_scheme)(x)
                            : row.kind == LimitKind::entropy_coded ? by_cells(d, how, x)
                                                                   : by_levels(row, x);
    for (std::size_t i = 0; i < x.size(); i += group) {
      double error = 0;
      for (std::size_t j = i; j < i + group; ++j) {
        const double off = double{x.values()[j]} - q.values()[j];
        error += off * off;
      }
      error /= static_cast<double>(group) * variance;
      sum += error;
      squares += error * error;
      count += 1;
    }
  }
  LimitCheck check{sum / count, 0, 0};
  check.standard_error = std::sqrt(std::max(0.0, squares / count - check.mse * check.mse) / count);
  if (!row.levels.empty()) {
    const double square = fourth_moment(d, row.levels) / (variance * variance);
    check.standard_error = std::sqrt(std::max(0.0, square - row.mse * row.mse) / count);
  }
  const double off = check.mse - row.mse;
  // Where nothing varies, float32's rounding is what is left.
  check.z = check.standard_error > 0 ? off / check.standard_error : 0;
  return check;
}

}  // namespace zeropoint
