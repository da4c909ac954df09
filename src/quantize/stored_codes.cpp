#include "quantize/stored_codes.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/formats/packed_codes.hpp"

#include "core/prefetch.hpp"
#include "formats/codebook_coder.hpp"
#include "formats/float_coder.hpp"
#include "formats/packing.hpp"
#include "quantize/integer_coder.hpp"
#include "quantize/scaling.hpp"
#include "quantize/storage.hpp"
#include "quantize/tile_walk.hpp"

namespace zeropoint {
namespace {

// Numbers to a piece: as many bytes as lie between what is encoded and what is then asked for, so
// that the next piece is there when its turn comes (core/prefetch.hpp).
constexpr std::size_t kPiece = kPrefetchBytes / sizeof(float);
constexpr std::size_t kGrain = 1 << 16;  // numbers to a thread's share
constexpr std::size_t kLongRun = 256;    // worth a call of its own
constexpr Interval kAnywhere = {-std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::infinity()};

// Eights of numbers, so that packed codes begin with a byte; whole rows, where they are short.
std::size_t piece_of(std::size_t cols) {
  const std::size_t rows = cols / std::gcd(cols, std::size_t{8}) * 8;
  return rows <= kPiece ? kPiece / rows * rows : kPiece;
}

// Calls body(begin, end) for the pieces of a matrix; each thread makes a `Body` of its own.
template <class MakeBody>
void for_numbers(std::size_t count, std::size_t cols, const MakeBody& make_body) {
  if (count == 0) return;
  const std::size_t piece = piece_of(cols);
  const std::size_t grain = std::max<std::size_t>(kGrain / piece, 1) * piece;
  parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
    auto body = make_body(piece);
    for (std::size_t at = begin; at < end; at += piece) body(at, std::min(at + piece, end));
  });
}

// Scales and zero points of a piece, one for each number.
class EachParams {
 public:
  EachParams(const Tiles& tiles, const TensorParams& params, std::size_t piece, bool reciprocal)
      : tiles_(tiles),
        params_(params),
        reciprocal_(reciprocal),
        scales_(std::make_unique_for_overwrite<float[]>(piece)),
        zeros_(std::make_unique_for_overwrite<float[]>(piece)) {}

  void fill(std::size_t begin, std::size_t end) {
    const std::size_t cols = tiles_.cols;
    for (std::size_t at = begin; at < end;) {
      const std::size_t i = at / cols;
      const std::size_t j = at % cols;
      const std::size_t count = std::min(cols - j, end - at);
      float* const scales = scales_.get() + (at - begin);
      float* const zeros = zeros_.get() + (at - begin);
      if (j == 0 && at >= begin + cols && i % tiles_.tile_rows != 0) {  // as the row above
        std::copy_n(scales - cols, count, scales);
        std::copy_n(zeros - cols, count, zeros);
      } else {
        const std::size_t first = tiles_.tile_cols - j % tiles_.tile_cols;
        spread_params(
            {&params_.tiles[tiles_.of(i, j)], first, tiles_.tile_cols, count, reciprocal_}, scales,
            zeros);
      }
      at += count;
    }
  }
  const float* scales() const { return scales_.get(); }
  const float* zeros() const { return zeros_.get(); }

 private:
  const Tiles& tiles_;
  const TensorParams& params_;
  bool reciprocal_;
  std::unique_ptr<float[]> scales_, zeros_;
};

// Runs of numbers that lie one after the other and share a tile.
template <class Body>
void for_runs(const Tiles& tiles, std::size_t begin, std::size_t end, const Body& body) {
  for (std::size_t at = begin; at < end;) {
    const std::size_t i = at / tiles.cols;
    const std::size_t j = at % tiles.cols;
    const std::size_t stop =
        tiles.tile_cols >= tiles.cols
            ? (i / tiles.tile_rows + 1) * tiles.tile_rows * tiles.cols
            : i * tiles.cols + std::min(tiles.cols, (j / tiles.tile_cols + 1) * tiles.tile_cols);
    body(tiles.of(i, j), at - begin, std::min(stop, end) - at);
    at = std::min(stop, end);
  }
}

bool has_long_runs(const Tiles& tiles) {
  const bool whole_rows = tiles.tile_cols >= tiles.cols;
  return tiles.tile_cols * (whole_rows ? tiles.tile_rows : 1) >= kLongRun;
}

// Numbers by the scale of their tile; made for a thread.
class Scaling {
 public:
  enum class Way { divide, multiply_by_reciprocal, multiply };
  Scaling(const Tiles& tiles, const TensorParams& params, std::size_t piece, Way way)
      : tiles_(tiles), params_(params), way_(way) {
    const bool by_runs = params.tiles.size() == 1 || has_long_runs(tiles);
    if (!by_runs) each_.emplace(tiles, params, piece, way == Way::multiply_by_reciprocal);
  }
  // How many lie outside of `within` afterwards.
  std::size_t operator()(std::size_t begin, std::size_t end, const float* x, Interval within,
                         float* out) {
    if (each_) {
      each_->fill(begin, end);
      return (way_ == Way::divide ? divide_each : multiply_each)(x, end - begin, each_->scales(),
                                                                 within, out);
    }
    std::size_t outside = 0;
    const auto run = [&](std::size_t tile, std::size_t at, std::size_t count) {
      const float scale = params_.tiles[tile].scale;
      Interval of_run = within;
      if (within.ahead != 0) of_run.ahead += end - begin - at - count;
      outside += way_ == Way::divide
                     ? divide_all(x + at, count, scale, of_run, out + at)
                     : multiply_all(x + at, count, way_ == Way::multiply ? scale : 1 / scale,
                                    of_run, out + at);
    };
    if (params_.tiles.size() == 1) {
      run(0, 0, end - begin);
    } else {
      for_runs(tiles_, begin, end, run);
    }
    return outside;
  }

 private:
  const Tiles& tiles_;
  const TensorParams& params_;
  Way way_;
  std::optional<EachParams> each_;
};

// A format's codes of one type, piece after piece; made for a thread.
template <class Code>
class IntegerPieces {
 public:
  IntegerPieces(const Scheme& scheme, const Tiles& tiles, const TensorParams& params,
                std::size_t piece)
      : scheme_(scheme), tiles_(tiles), params_(params), coder_(integer_coder<Code>()) {
    const bool one = params.tiles.size() == 1;
    by_runs_ = !one && (has_long_runs(tiles) || scheme.convention.rounding != Rounding::half_even);
    if (one || !by_runs_) step_ = step_of(0);
    if (!one && !by_runs_) {
      each_.emplace(tiles, params, piece, scheme.convention.operation == Operation::multiply);
    }
  }
  // `ahead` numbers lie behind them and will be asked for next.
  std::size_t encode(std::size_t begin, std::size_t end, const float* x, std::size_t ahead,
                     Code* codes) {
    step_.ahead = ahead;
    if (each_) {
      each_->fill(begin, end);
      return coder_.quantize_each(x, end - begin, each_->scales(), each_->zeros(), step_, codes);
    }
    if (!by_runs_) return coder_.quantize(x, end - begin, step_, codes);
    std::size_t clipped = 0;
    for_runs(tiles_, begin, end, [&](std::size_t tile, std::size_t at, std::size_t count) {
      Step step = step_of(tile);
      step.ahead = ahead + (end - begin - at - count);
      clipped += coder_.quantize(x + at, count, step, codes + at);
    });
    return clipped;
  }

 private:
  Step step_of(std::size_t tile) const {
    return make_step(params_.tiles[tile], scheme_.format.grid, scheme_.convention);
  }

  const Scheme& scheme_;
  const Tiles& tiles_;
  const TensorParams& params_;
  IntegerCoder<Code> coder_;
  bool by_runs_ = false;
  Step step_{};
  std::optional<EachParams> each_;
};

template <class Code>
class IntegerDecoder {
 public:
  IntegerDecoder(const Tiles& tiles, const TensorParams& params, std::size_t piece)
      : tiles_(tiles), params_(params), coder_(integer_coder<Code>()) {
    const bool by_runs = params.tiles.size() == 1 || has_long_runs(tiles);
    if (!by_runs) each_.emplace(tiles, params, piece, false);
  }
  void operator()(std::size_t begin, std::size_t end, const Code* codes, float* x) {
    if (each_) {
      each_->fill(begin, end);
      return coder_.dequantize_each(codes, end - begin, each_->scales(), each_->zeros(), x);
    }
    const auto run = [&](std::size_t tile, std::size_t at, std::size_t count) {
      const QuantParams& of_tile = params_.tiles[tile];
      coder_.dequantize(codes + at, count, of_tile.scale, of_tile.zero_point, x + at);
    };
    if (params_.tiles.size() == 1) return run(0, 0, end - begin);
    for_runs(tiles_, begin, end, run);
  }

 private:
  const Tiles& tiles_;
  const TensorParams& params_;
  IntegerCoder<Code> coder_;
  std::optional<EachParams> each_;
};

template <class Code>
class FloatPieces {
 public:
  FloatPieces(const Scheme& scheme, const Tiles& tiles, const TensorParams& params,
              std::size_t piece)
      : encoder_(*scheme.format.floating,
                 {.overflow = Overflow::saturate,
                  .rounding = scheme.convention.rounding,
                  .scale = params.tiles.size() == 1 ? params.tiles[0].scale : 1,
                  .multiplies = scheme.convention.operation == Operation::multiply}) {
    if (params.tiles.size() == 1) return;
    const bool multiplies = scheme.convention.operation == Operation::multiply;
    scaling_.emplace(tiles, params, piece,
                     multiplies ? Scaling::Way::multiply_by_reciprocal : Scaling::Way::divide);
    scaled_ = std::make_unique_for_overwrite<float[]>(piece);
  }
  std::size_t encode(std::size_t begin, std::size_t end, const float* x, std::size_t ahead,
                     Code* codes) {
    if (!scaling_) return encoder_(x, end - begin, codes, begin, ahead);
    Interval within = kAnywhere;
    within.ahead = ahead;
    (*scaling_)(begin, end, x, within, scaled_.get());
    return encoder_(scaled_.get(), end - begin, codes, begin);
  }

 private:
  FloatEncoder<Code> encoder_;
  std::optional<Scaling> scaling_;
  std::unique_ptr<float[]> scaled_;
};

class CodebookPieces {
 public:
  // The encoder has the scale, if there is but one.
  CodebookPieces(const CodebookEncoder& encoder, const Tiles& tiles, const TensorParams& params,
                 CodebookPass pass, std::size_t piece)
      : encoder_(encoder), tiles_(tiles), params_(params), pass_(pass) {
    by_runs_ = params.tiles.size() != 1 && has_long_runs(tiles);
    if (params.tiles.size() == 1 || by_runs_) return;
    scaling_.emplace(tiles, params, piece, Scaling::Way::divide);
    scaled_ = std::make_unique_for_overwrite<float[]>(piece);
  }
  std::size_t encode(std::size_t begin, std::size_t end, const float* x, std::size_t ahead,
                     std::uint8_t* codes) {
    CodebookPass pass = pass_;
    if (scaling_) {
      if (pass.checks && !all_finite(x, end - begin)) finite_ = false;
      Interval within = kAnywhere;
      within.ahead = ahead;
      (*scaling_)(begin, end, x, within, scaled_.get());
      pass.checks = false;
      return encoder_(scaled_.get(), end - begin, pass, codes).outside;
    }
    std::size_t outside = 0;
    const auto run = [&](std::size_t at, std::size_t count) {
      pass.ahead = ahead + (end - begin - at - count);
      const CodebookCounts counts = encoder_(x + at, count, pass, codes + at);
      outside += counts.outside;
      if (!counts.finite) finite_ = false;
    };
    if (!by_runs_) {
      run(0, end - begin);
      return outside;
    }
    for_runs(tiles_, begin, end, [&](std::size_t tile, std::size_t at, std::size_t count) {
      pass.scale = params_.tiles[tile].scale;
      run(at, count);
    });
    return outside;
  }
  // Of all so far, if that is checked.
  bool is_finite() const { return finite_; }

 private:
  const CodebookEncoder& encoder_;
  const Tiles& tiles_;
  const TensorParams& params_;
  CodebookPass pass_;
  bool by_runs_ = false, finite_ = true;
  std::optional<Scaling> scaling_;
  std::unique_ptr<float[]> scaled_;
};

// Numbers of a piece, one after the other: where they lie, or in a copy.
class Piece {
 public:
  Piece(const MatrixView<const float>& x, std::size_t piece)
      : x_(x),
        is_contiguous_(is_contiguous(x)),
        copy_(std::make_unique_for_overwrite<float[]>(is_contiguous_ ? 0 : piece)) {}
  const float* at(std::size_t begin, std::size_t end) {
    if (is_contiguous_) return x_.data + begin;
    for (std::size_t k = begin; k < end; ++k) copy_[k - begin] = x_(k / x_.cols, k % x_.cols);
    return copy_.get();
  }
  // How many numbers behind these lie in memory.
  std::size_t ahead(std::size_t end) const { return is_contiguous_ ? x_.rows * x_.cols - end : 0; }

 private:
  const MatrixView<const float>& x_;
  bool is_contiguous_;
  std::unique_ptr<float[]> copy_;
};

// `make_coder(piece)` makes what encodes pieces into codes of this type.
template <class Code, class MakeCoder>
void encode_all(MatrixView<const float> x, bool checks, int bits, const MakeCoder& make_coder,
                Code* plain, std::uint8_t* packed, StoredCodes& result) {
  std::atomic<std::size_t> clipped{0};
  std::atomic<bool> finite{true};
  for_numbers(x.rows * x.cols, x.cols, [&](std::size_t piece) {
    return [&, coder = make_coder(piece), from = Piece(x, piece),
            codes = std::make_unique_for_overwrite<Code[]>(packed == nullptr ? 0 : piece)](
               std::size_t begin, std::size_t end) mutable {
      const float* const numbers = from.at(begin, end);
      constexpr bool kChecksItself = requires { coder.is_finite(); };
      if constexpr (!kChecksItself) {
        if (checks && !all_finite(numbers, end - begin)) finite = false;
      }
      if (!finite) return;
      Code* const to = packed == nullptr ? plain + begin : codes.get();
      clipped += coder.encode(begin, end, numbers, from.ahead(end), to);
      if constexpr (kChecksItself) {
        if (!coder.is_finite()) finite = false;
      }
      if (packed == nullptr) return;
      if constexpr (std::is_signed_v<Code>) {
        pack_run(reinterpret_cast<const std::make_unsigned_t<Code>*>(to), end - begin, bits,
                 packed + begin / 8 * static_cast<std::size_t>(bits));
      } else {
        pack_run(to, end - begin, bits, packed + begin / 8 * static_cast<std::size_t>(bits));
      }
    };
  });
  result.clipped = clipped;
  result.finite = finite;
}

// Calls body with a null pointer to the type of a format's codes.
template <class Body>
void with_code_type(const Format& format, const Body& body) {
  const bool is_signed = format.kind == FormatKind::integer && format.grid.is_signed;
  if (format.bits <= 8) {
    if (is_signed) return body(static_cast<std::int8_t*>(nullptr));
    return body(static_cast<std::uint8_t*>(nullptr));
  }
  if (format.bits > 16) return body(static_cast<std::uint32_t*>(nullptr));
  if (is_signed) return body(static_cast<std::int16_t*>(nullptr));
  body(static_cast<std::uint16_t*>(nullptr));
}

// Refuses what are no levels, as encode() does, or are not as many as the format has.
void check_levels(const Format& format, const std::vector<float>& levels) {
  const std::size_t most = std::size_t{1} << format.bits;
  const bool is_fitted = format.codebook->is_fitted();  // few values have few
  const std::size_t named = is_fitted ? 0 : levels_of(*format.codebook).size();
  if (is_fitted ? levels.size() > most : levels.size() != named) {
    throw InputError(fmt::format("{}: expected {}{} levels, found {}", format.name,
                                 is_fitted ? "at most " : "", is_fitted ? most : named,
                                 levels.size()));
  }
  encode(Codebook{"levels", "", levels}, std::span<const float>(), std::span<std::uint8_t>());
}

// Refuses scales that are none, and levels: before threads begin. Integers have their own checks.
void check_given(const Format& format, const TensorParams& params, bool encodes) {
  if (format.kind == FormatKind::integer) return;
  const bool is_codebook = format.kind == FormatKind::codebook;
  // Of levels in the root mean square, 0 says that all is 0.
  const bool may_be_zero = is_codebook && format.codebook->unit == LevelUnit::rms;
  for (std::size_t tile = 0; tile < params.tiles.size(); ++tile) {
    const float scale = params.tiles[tile].scale;
    // Floats may be multiplied by its reciprocal; codes may be read by what shrink left.
    const bool is_any = is_codebook || !encodes;
    const bool is_positive = (is_any ? std::isfinite(scale) : std::isnormal(scale)) && scale > 0;
    if (is_positive || (may_be_zero && scale == 0)) continue;
    throw InputError(fmt::format("{}: expected a scale from {} to 3.4e38, found {} for tile {}",
                                 format.name,
                                 may_be_zero ? "0"
                                 : is_any    ? "1.4e-45"
                                             : "1.18e-38",
                                 scale, tile));
  }
  if (is_codebook) check_levels(format, params.levels);
}

bool is_packed(int bits) { return bits < 8 || bits > 16; }

}  // namespace

StoredCodes encode_stored(MatrixView<const float> x, const Scheme& scheme, const Tiles& tiles,
                          const TensorParams& params, bool checks) {
  const Format& format = scheme.format;
  check_given(format, params, true);
  StoredCodes result;
  std::uint8_t* packed = nullptr;
  if (is_packed(format.bits)) {
    Matrix<std::uint8_t> bytes(1, packed_bytes(x.rows * x.cols, format.bits));
    packed = bytes.data();
    result.codes = std::move(bytes);
  } else {
    result.codes = codes_for(format, x.rows, x.cols);
  }
  if (format.kind == FormatKind::integer) {
    // Refused before threads begin: the first whose scale is none, or has no reciprocal.
    for (const QuantParams& of_tile : params.tiles) {
      const bool is_usual = std::isnormal(of_tile.scale) && of_tile.scale > 0 &&
                            of_tile.scale < 1 / std::numeric_limits<float>::min() &&
                            std::abs(of_tile.zero_point) <= 1 << 24;
      if (!is_usual) make_step(of_tile, format.grid, scheme.convention);
    }
  }
  with_code_type(format, [&]<class Code>(Code*) {
    Code* plain = nullptr;
    if constexpr (sizeof(Code) <= 2) {
      if (packed == nullptr) plain = std::get<Matrix<Code>>(result.codes).data();
    }
    const auto run = [&](const auto& make_coder) {
      encode_all<Code>(x, checks, format.bits, make_coder, plain, packed, result);
    };
    if (format.kind == FormatKind::integer) {
      if constexpr (sizeof(Code) <= 2) {
        run([&](std::size_t piece) { return IntegerPieces<Code>(scheme, tiles, params, piece); });
      }
    } else if (format.kind == FormatKind::floating) {
      if constexpr (std::is_unsigned_v<Code>) {
        run([&](std::size_t piece) { return FloatPieces<Code>(scheme, tiles, params, piece); });
      }
    } else if constexpr (std::is_same_v<Code, std::uint8_t>) {
      const CodebookEncoder encoder(params.levels,
                                    params.tiles.size() == 1 ? params.tiles[0].scale : 1);
      // The ends of others are the means of all that lies beyond.
      const CodebookPass pass{.counts = format.codebook->unit == LevelUnit::magnitude,
                              .checks = checks};
      run([&](std::size_t piece) { return CodebookPieces(encoder, tiles, params, pass, piece); });
      if (!pass.counts) result.clipped = 0;
    }
  });
  return result;
}

void decode_stored(const Format& format, const Tiles& tiles, const TensorParams& params,
                   std::span<const std::uint8_t> bytes, Matrix<float>& x) {
  check_given(format, params, false);
  const bool one = params.tiles.size() == 1;
  // `make_decoder(piece)(begin, end, codes, to)`.
  const auto decode_all = [&]<class Code>(Code*, const auto& make_decoder) {
    const bool packed = is_packed(format.bits);
    for_numbers(x.size(), x.cols(), [&](std::size_t piece) {
      return [&, packed, decoder = make_decoder(piece),
              codes = std::make_unique_for_overwrite<Code[]>(packed ? piece : 0)](
                 std::size_t begin, std::size_t end) mutable {
        const Code* from = codes.get();
        if (packed) {
          using Unsigned = std::make_unsigned_t<Code>;
          unpack_run(bytes.data() + begin / 8 * static_cast<std::size_t>(format.bits), end - begin,
                     format.bits, reinterpret_cast<Unsigned*>(codes.get()));
          if constexpr (std::is_same_v<Code, std::int8_t>) {
            extend_sign(codes.get(), end - begin, format.bits);
          }
        } else {
          from = reinterpret_cast<const Code*>(bytes.data()) + begin;
        }
        decoder(begin, end, from, x.data() + begin);
      };
    });
  };
  // Whether a tile's scale may take numbers beyond float32.
  const auto may_leave_float32 = [&](double most) {
    const auto leaves = [&](const QuantParams& of_tile) {
      return most * std::max(of_tile.scale, 1.0F) > std::numeric_limits<float>::max();
    };
    return !one && std::ranges::any_of(params.tiles, leaves);
  };
  // What float formats and codebooks are scaled by, if not by one number.
  const auto make_scaling = [&](std::size_t piece) {
    std::optional<Scaling> scaling;
    if (!one) scaling.emplace(tiles, params, piece, Scaling::Way::multiply);
    return scaling;
  };
  with_code_type(format, [&]<class Code>(Code* type) {
    if (format.kind == FormatKind::integer) {
      if constexpr (sizeof(Code) <= 2) {
        for (const QuantParams& of_tile : params.tiles) check_params(of_tile);
        decode_all(type,
                   [&](std::size_t piece) { return IntegerDecoder<Code>(tiles, params, piece); });
      }
    } else if (format.kind == FormatKind::floating) {
      if constexpr (std::is_unsigned_v<Code>) {
        const FloatDecoder<Code> decode(*format.floating);
        const bool may_leave = may_leave_float32(largest(*format.floating));
        decode_all(type, [&](std::size_t piece) {
          return [&, scaling = make_scaling(piece)](std::size_t begin, std::size_t end,
                                                    const Code* codes, float* to) mutable {
            if (may_leave) {  // a tile at a time, which is kept within it
              for_runs(tiles, begin, end, [&](std::size_t tile, std::size_t at, std::size_t count) {
                decode(codes + at, count, params.tiles[tile].scale, to + at);
              });
              return;
            }
            decode(codes, end - begin, one ? params.tiles[0].scale : 1, to);
            if (scaling) (*scaling)(begin, end, to, kAnywhere, to);
          };
        });
      }
    } else if constexpr (std::is_same_v<Code, std::uint8_t>) {
      const CodebookDecoder decode(params.levels, one ? params.tiles[0].scale : 1);
      const bool may_leave =
          may_leave_float32(std::max(-double{params.levels.front()}, double{params.levels.back()}));
      decode_all(type, [&](std::size_t piece) {
        return [&, scaling = make_scaling(piece)](std::size_t begin, std::size_t end,
                                                  const Code* codes, float* to) mutable {
          decode(codes, end - begin, to);
          if (scaling) (*scaling)(begin, end, to, kAnywhere, to);
          constexpr float kLargest = std::numeric_limits<float>::max();
          for (std::size_t i = 0; may_leave && i < end - begin; ++i) {
            to[i] = std::clamp(to[i], -kLargest, kLargest);
          }
        };
      });
    }
  });
}

}  // namespace zeropoint
