#include "io/npy_header.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"

namespace zeropoint {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy itself refuses headers above 10,000 characters unless told to trust the file.
constexpr std::uint64_t kMaxHeader = 1 << 16;
constexpr bool kBigEndianHost = std::endian::native == std::endian::big;
constexpr std::size_t kMostAxes = 64;  // of NumPy 2; before, 32

// Those that matrices are read from come first.
constexpr std::array kTypes = {
    NpyType{"f2", "float16", 2, NpyKind::float16, "F16"},
    NpyType{"f4", "float32", 4, NpyKind::float32, "F32"},
    NpyType{"f8", "float64", 8, NpyKind::float64, "F64"},
    NpyType{"i1", "int8", 1, NpyKind::int8, "I8"},
    NpyType{"u1", "uint8", 1, NpyKind::uint8, "U8"},
    NpyType{"i2", "int16", 2, NpyKind::int16, "I16"},
    NpyType{"u2", "uint16", 2, NpyKind::uint16, "U16"},
    NpyType{"i4", "int32", 4, NpyKind::int32, "I32"},
    NpyType{"u4", "uint32", 4, NpyKind::uint32, "U32"},
    NpyType{"i8", "int64", 8, NpyKind::int64, "I64"},
    NpyType{"u8", "uint64", 8, NpyKind::uint64, "U64"},
    NpyType{"b1", "bool", 1, NpyKind::boolean, "BOOL"},
};
constexpr std::size_t kMatrixTypes = 7;

// NumPy's names of what is not read, so that the message says more than a code.
constexpr std::array<std::array<std::string_view, 2>, 12> kOtherTypes = {{{"b1", "bool"},
                                                                          {"i4", "int32"},
                                                                          {"i8", "int64"},
                                                                          {"u4", "uint32"},
                                                                          {"u8", "uint64"},
                                                                          {"f12", "longdouble"},
                                                                          {"f16", "longdouble"},
                                                                          {"c8", "complex64"},
                                                                          {"c16", "complex128"},
                                                                          {"c24", "clongdouble"},
                                                                          {"c32", "clongdouble"},
                                                                          {"O", "Python objects"}}};

// Reads the header, a Python dictionary literal with the keys descr, fortran_order and shape.
class HeaderParser {
 public:
  HeaderParser(const std::string& where, std::string_view text, const NpyTypes& types)
      : where_(where), text_(text), types_(types) {}

  NpyHeader parse() {
    std::optional<std::string_view> descr;
    std::optional<bool> fortran_order;
    std::optional<std::vector<std::uint64_t>> shape;
    NpyHeader header;

    want('{', "a header that starts with '{'");
    while (!take('}')) {
      const std::string_view key = string("a key in quotes in the header");
      want(':', "':' after a key in the header");
      skip_space();
      const std::size_t start = at_;
      if (key == "descr" && !descr) {
        descr = element_type_text();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = dimensions();
        header.shape_text = printable(text_.substr(start, at_ - start));
      } else {
        refuse_npy(where_, "each of the keys descr, fortran_order and shape once in the header",
                   fmt::format("key '{}'", printable(key)));
      }
      if (take(',')) continue;
      want('}', "',' or '}' after a value in the header");
      break;
    }
    skip_space();
    if (at_ != text_.size()) wrong("spaces up to the header's end");
    if (!descr) missing("descr");
    if (!fortran_order) missing("fortran_order");
    if (!shape) missing("shape");
    header.fortran_order = *fortran_order;
    header.shape = std::move(*shape);
    set_type(header, *descr);
    return header;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
  }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void wrong(std::string_view expected) const {
    refuse_npy(where_, expected,
               at_ == text_.size() ? "the header's end" : fmt::format("'{}'", printable(rest())));
  }
  [[noreturn]] void missing(std::string_view key) const {
    refuse_npy(where_, "the keys descr, fortran_order and shape in the header",
               fmt::format("no '{}'", key));
  }
  std::string_view rest() const { return text_.substr(at_, 20); }
  void want(char c, std::string_view expected) {
    if (!take(c)) wrong(expected);
  }
  std::string_view string(std::string_view expected) {
    skip_space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) wrong(expected);
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) wrong(expected);
    const std::string_view result = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return result;
  }
  std::string_view element_type_text() {
    if (at_ < text_.size() && text_[at_] == '[') {
      refuse_npy(where_, types_.expected, fmt::format("a structured type {}", printable(rest())));
    }
    return string("a type in quotes after 'descr'");
  }
  bool boolean() {
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    wrong("True or False after 'fortran_order'");
  }
  std::vector<std::uint64_t> dimensions() {
    constexpr std::string_view kExpected = "a tuple of numbers from 0 to 2^63 - 1 after 'shape'";
    std::vector<std::uint64_t> result;
    want('(', kExpected);
    bool comma = true;
    while (!take(')')) {
      if (!comma) wrong(kExpected);
      result.push_back(number(kExpected));
      comma = take(',');
    }
    // Without a comma, (3) is a number to Python, not a tuple.
    if (result.size() == 1 && !comma) wrong(kExpected);
    return result;
  }
  std::uint64_t number(std::string_view expected) {
    skip_space();
    const std::size_t start = at_;
    std::uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
      constexpr auto kLargest =
          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (value > (kLargest - digit) / 10) {
        at_ = start;
        wrong(expected);
      }
      value = value * 10 + digit;
    }
    if (at_ == start) wrong(expected);
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // as Python 2 wrote it
    return value;
  }
  void set_type(NpyHeader& header, std::string_view descr) const {
    std::string_view code = descr;
    bool file_is_big = kBigEndianHost;
    if (!code.empty() && std::string_view("<>=|").find(code[0]) != std::string_view::npos) {
      if (code[0] == '<') file_is_big = false;
      if (code[0] == '>') file_is_big = true;
      code.remove_prefix(1);
    }
    for (const NpyType& type : types_.rows) {
      if (type.code == code) {
        header.type = type;
        header.swapped = type.bytes > 1 && file_is_big != kBigEndianHost;
        return;
      }
    }
    std::string found = fmt::format("'{}'", printable(descr));
    for (const auto& [other, name] : kOtherTypes) {
      if (code == other) {
        found = fmt::format("{} ({})", name, found);
        if (code[0] != 'O') found += "; in Python, array.astype('float32') converts it";
      }
    }
    refuse_npy(where_, types_.expected, found);
  }

  const std::string& where_;
  std::string_view text_;
  const NpyTypes& types_;
  std::size_t at_ = 0;
};

// Of the array's first bytes: those before the header's text, 0 if they are no array's.
std::size_t prefix_bytes(std::span<const std::uint8_t> start) {
  if (start.size() < kMagic.size() + 2) return 0;
  if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0) return 0;
  return kMagic.size() + 2 + (start[kMagic.size()] == 1 ? 2 : 4);
}

std::uint64_t header_length(std::span<const std::uint8_t> start, std::size_t prefix) {
  std::uint64_t length = 0;
  for (std::size_t i = prefix; i-- > kMagic.size() + 2;) length = length << 8 | start[i];
  return length;
}

// A tile of what is read down columns stays in the cache while its rows are written.
constexpr std::size_t kTile = 32;

// `from` runs along the first axis fastest, `to` along the last.
template <std::size_t width>
void transpose(const std::uint8_t* from, std::uint8_t* to, std::span<const std::uint64_t> shape) {
  const std::size_t axes = shape.size(), rows = shape.front(), cols = shape.back();
  std::size_t col_stride = 1, row_stride = cols;  // in `from` and `to`
  for (std::size_t axis = 0; axis + 1 < axes; ++axis) col_stride *= shape[axis];
  std::size_t between = 1;
  for (std::size_t axis = 1; axis + 1 < axes; ++axis) between *= shape[axis];
  row_stride *= between;
  std::vector<std::uint64_t> at(axes);
  for (std::size_t slice = 0; slice < between; ++slice) {
    // The axes between the first and the last, the last of them fastest.
    std::size_t source = 0, rest = slice;
    for (std::size_t axis = axes - 1; axis-- > 1;) {
      at[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    std::size_t stride = rows;
    for (std::size_t axis = 1; axis + 1 < axes; ++axis) {
      source += at[axis] * stride;
      stride *= shape[axis];
    }
    const std::uint8_t* const in = from + source * width;
    std::uint8_t* const out = to + slice * cols * width;
    for (std::size_t i0 = 0; i0 < rows; i0 += kTile) {
      for (std::size_t j0 = 0; j0 < cols; j0 += kTile) {
        for (std::size_t i = i0; i < std::min(i0 + kTile, rows); ++i) {
          for (std::size_t j = j0; j < std::min(j0 + kTile, cols); ++j) {
            std::memcpy(out + (i * row_stride + j) * width, in + (i + j * col_stride) * width,
                        width);
          }
        }
      }
    }
  }
}

}  // namespace

void refuse_npy(const std::string& where, std::string_view expected, std::string_view found) {
  throw InputError(fmt::format("{}: expected {}, found {}", where, expected, found));
}

const NpyTypes& npy_matrix_types() {
  static const NpyTypes types = {std::span(kTypes).first(kMatrixTypes),
                                 "float16, float32, float64 or an integer type of 8 or 16 bits"};
  return types;
}

const NpyTypes& npy_tensor_types() {
  static const NpyTypes types = {
      kTypes, "float16, float32, float64, an integer type of 8 to 64 bits or bool"};
  return types;
}

std::size_t npy_start_bytes(std::span<const std::uint8_t> prefix) {
  const std::size_t before = prefix_bytes(prefix);
  if (before == 0 || prefix.size() < before) return prefix.size();
  return before + static_cast<std::size_t>(std::min(kMaxHeader, header_length(prefix, before)));
}

NpyHeader parse_npy_header(const std::string& where, std::span<const std::uint8_t> start,
                           std::uint64_t size, const NpyTypes& types) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (size < kMagic.size() + 2) refuse_npy(where, "an .npy file", byte_count(size));
  if (!text.starts_with(kMagic)) {
    refuse_npy(where, "an .npy file, which starts with \"\\x93NUMPY\"",
               fmt::format("\"{}\"", printable(text.substr(0, kMagic.size()))));
  }
  const int major = start[6], minor = start[7];
  if (major < 1 || major > 3 || minor != 0) {
    refuse_npy(where, "an .npy file of version 1.0, 2.0 or 3.0",
               fmt::format("version {}.{}", major, minor));
  }
  const std::size_t prefix = prefix_bytes(start);
  if (size < prefix) refuse_npy(where, "the header's length", "the file's end");
  const std::uint64_t length = header_length(start, prefix);
  if (length > size - prefix) {
    refuse_npy(where, fmt::format("a header of {}", byte_count(length)),
               fmt::format("{} to the file's end", byte_count(size - prefix)));
  }
  if (length > kMaxHeader) {
    refuse_npy(where, fmt::format("a header of at most {}", byte_count(kMaxHeader)),
               fmt::format("one of {}", byte_count(length)));
  }
  NpyHeader header =
      HeaderParser(where, text.substr(prefix, static_cast<std::size_t>(length)), types).parse();
  header.data_start = prefix + length;
  return header;
}

void check_npy_size(const std::string& where, const NpyHeader& header, std::uint64_t data_bytes) {
  const bool is_empty = std::ranges::find(header.shape, std::uint64_t{0}) != header.shape.end();
  const std::string held =
      fmt::format("{} elements of {}", printable(header.shape_text), header.type.name);
  std::uint64_t bytes = header.type.bytes;
  for (const std::uint64_t size : header.shape) {
    if (is_empty) break;
    if (size > data_bytes / bytes) {
      refuse_npy(where, fmt::format("data for {}", held),
                 fmt::format("{}: truncated", byte_count(data_bytes)));
    }
    bytes *= size;
  }
  if (is_empty) bytes = 0;
  if (data_bytes != bytes) {
    refuse_npy(where, fmt::format("{} of data for {}", byte_count(bytes), held),
               byte_count(data_bytes));
  }
}

std::string npy_start(const NpyType& type, std::span<const std::size_t> shape) {
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   type.bytes == 1  ? '|'
                                   : kBigEndianHost ? '>'
                                                    : '<',
                                   type.code, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  // The data start at a multiple of 64 bytes, after a newline.
  constexpr std::size_t kBefore = 10;
  header.append(63 - (kBefore + header.size()) % 64, ' ');
  header += '\n';
  std::string start(kMagic);
  start +=
      {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return start + header;
}

std::string wrong_npy_tensor(const TensorFilePlan::Tensor& tensor) {
  if (std::ranges::find(kTypes, tensor.type->name, &NpyType::tensor_type) == kTypes.end()) {
    return fmt::format("expected a type that NumPy has, found {}", tensor.type->name);
  }
  if (tensor.shape.size() > kMostAxes) {
    return fmt::format("expected at most {} axes, found {}", kMostAxes, tensor.shape.size());
  }
  return {};
}

const NpyType& npy_type_of(std::string_view container, const TensorFilePlan::Tensor& tensor) {
  if (const std::string wrong = wrong_npy_tensor(tensor); !wrong.empty()) {
    throw InputError(fmt::format("{}: '{}': {}", container, printable(tensor.name), wrong));
  }
  return *std::ranges::find(kTypes, tensor.type->name, &NpyType::tensor_type);
}

bool is_npy_plain(const NpyHeader& header) {
  const auto is_long = [](std::uint64_t size) { return size > 1; };
  return !header.swapped &&
         (!header.fortran_order || std::ranges::count_if(header.shape, is_long) <= 1);
}

std::vector<std::uint8_t> npy_row_major(const NpyHeader& header,
                                        std::span<const std::uint8_t> elements) {
  std::vector<std::uint8_t> result(elements.size());
  if (elements.empty()) return result;
  const std::size_t width = header.type.bytes;
  // Axes of one element move nothing.
  std::vector<std::uint64_t> shape;
  for (const std::uint64_t size : header.shape) {
    if (size != 1) shape.push_back(size);
  }
  if (!header.fortran_order || shape.size() < 2) {
    std::memcpy(result.data(), elements.data(), elements.size());
  } else if (width == 1) {
    transpose<1>(elements.data(), result.data(), shape);
  } else if (width == 2) {
    transpose<2>(elements.data(), result.data(), shape);
  } else if (width == 4) {
    transpose<4>(elements.data(), result.data(), shape);
  } else {
    transpose<8>(elements.data(), result.data(), shape);
  }
  if (header.swapped) reverse_npy_bytes(result.data(), result.size() / width, width);
  return result;
}

void reverse_npy_bytes(std::uint8_t* elements, std::size_t count, std::size_t width) {
  if (width == 2) {
    for (std::size_t i = 0; i < count; ++i) std::swap(elements[2 * i], elements[2 * i + 1]);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      std::reverse(elements + i * width, elements + (i + 1) * width);
    }
  }
}

}  // namespace zeropoint
