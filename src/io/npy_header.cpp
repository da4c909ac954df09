#include "io/npy_header.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"

namespace zeropoint {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy itself refuses headers above 10,000 characters unless told to trust the file.
constexpr std::uint64_t kMaxHeader = 1 << 16;
constexpr bool kBigEndianHost = std::endian::native == std::endian::big;

[[noreturn]] void refuse(const std::string& path, std::string_view expected,
                         std::string_view found) {
  throw InputError(fmt::format("{}: expected {}, found {}", path, expected, found));
}

constexpr std::array kTypes = {
    NpyType{"f2", "float16", 2, NpyKind::float16, "F16"},
    NpyType{"f4", "float32", 4, NpyKind::float32, "F32"},
    NpyType{"f8", "float64", 8, NpyKind::float64, "F64"},
    NpyType{"i1", "int8", 1, NpyKind::int8, "I8"},
    NpyType{"u1", "uint8", 1, NpyKind::uint8, "U8"},
    NpyType{"i2", "int16", 2, NpyKind::int16, "I16"},
    NpyType{"u2", "uint16", 2, NpyKind::uint16, "U16"},
    NpyType{"b1", "bool", 1, NpyKind::other, "BOOL"},
    NpyType{"i4", "int32", 4, NpyKind::other, "I32"},
    NpyType{"i8", "int64", 8, NpyKind::other, "I64"},
    NpyType{"u4", "uint32", 4, NpyKind::other, "U32"},
    NpyType{"u8", "uint64", 8, NpyKind::other, "U64"},
};
constexpr std::string_view kAllTypes = "floats of 16 to 64 bits, integers of 8 to 64 bits or bool";
constexpr std::string_view kSupportedTypes =
    "float16, float32, float64 or an integer type of 8 or 16 bits";

// NumPy's names of what is not read, so that the message says more than a code.
constexpr std::array<std::array<std::string_view, 2>, 7> kOtherTypes = {{{"f12", "longdouble"},
                                                                         {"f16", "longdouble"},
                                                                         {"c8", "complex64"},
                                                                         {"c16", "complex128"},
                                                                         {"c24", "clongdouble"},
                                                                         {"c32", "clongdouble"},
                                                                         {"O", "Python objects"}}};

// Reads the header, a Python dictionary literal with the keys descr, fortran_order and shape.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text, bool any_type)
      : path_(path), text_(text), any_type_(any_type) {}

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
        refuse(path_, "each of the keys descr, fortran_order and shape once in the header",
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
    refuse(path_, expected,
           at_ == text_.size() ? "the header's end" : fmt::format("'{}'", printable(rest())));
  }
  [[noreturn]] void missing(std::string_view key) const {
    refuse(path_, "the keys descr, fortran_order and shape in the header",
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
      refuse(path_, any_type_ ? kAllTypes : kSupportedTypes,
             fmt::format("a structured type {}", printable(rest())));
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
    for (const NpyType& type : kTypes) {
      if (type.code == code && (any_type_ || type.kind != NpyKind::other)) {
        header.type = type;
        header.swapped = type.bytes > 1 && file_is_big != kBigEndianHost;
        return;
      }
    }
    std::string found = fmt::format("'{}'", printable(descr));
    std::string_view name;
    for (const NpyType& type : kTypes) {
      if (type.code == code) name = type.name;
    }
    for (const auto& [other, title] : kOtherTypes) {
      if (other == code) name = title;
    }
    if (!name.empty()) {
      found = fmt::format("{} ({})", name, found);
      if (code[0] != 'O') found += "; in Python, array.astype('float32') converts it";
    }
    refuse(path_, any_type_ ? kAllTypes : kSupportedTypes, found);
  }

  const std::string& path_;
  std::string_view text_;
  bool any_type_;
  std::size_t at_ = 0;
};

std::uint64_t little_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

NpyHeader read_npy_header(const std::string& path, std::span<const std::uint8_t> bytes,
                          bool any_type) {
  std::size_t prefix = kMagic.size() + 2;
  if (bytes.size() < prefix) refuse(path, "an .npy file", byte_count(bytes.size()));
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    refuse(path, "an .npy file, which starts with \"\\x93NUMPY\"",
           fmt::format("\"{}\"",
                       printable({reinterpret_cast<const char*>(bytes.data()), kMagic.size()})));
  }
  const int major = bytes[6], minor = bytes[7];
  if (major < 1 || major > 3 || minor != 0) {
    refuse(path, "an .npy file of version 1.0, 2.0 or 3.0",
           fmt::format("version {}.{}", major, minor));
  }
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  if (bytes.size() < prefix + length_bytes) refuse(path, "the header's length", "the file's end");
  const std::uint64_t length = little_endian(bytes.subspan(prefix, length_bytes));
  prefix += length_bytes;
  if (length > bytes.size() - prefix) {
    refuse(path, fmt::format("a header of {}", byte_count(length)),
           fmt::format("{} to the file's end", byte_count(bytes.size() - prefix)));
  }
  if (length > kMaxHeader) {
    refuse(path, fmt::format("a header of at most {}", byte_count(kMaxHeader)),
           fmt::format("one of {}", byte_count(length)));
  }
  const std::string text(reinterpret_cast<const char*>(bytes.data()) + prefix,
                         static_cast<std::size_t>(length));
  NpyHeader header = HeaderParser(path, text, any_type).parse();
  header.data_start = prefix + static_cast<std::size_t>(length);
  return header;
}

std::string npy_header(std::string_view stored, std::span<const std::size_t> shape) {
  for (const NpyType& type : kTypes) {
    if (type.stored != stored) continue;
    const char order = type.bytes == 1 ? '|' : kBigEndianHost ? '>' : '<';
    std::string text =
        fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}", order,
                    type.code, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
    // The data start at a multiple of 64 bytes, after a newline.
    constexpr std::size_t kPrefix = 10;
    text.append(63 - (kPrefix + text.size()) % 64, ' ');
    text += '\n';
    std::string start(kMagic);
    start +=
        {'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
    return start + text;
  }
  return {};
}

}  // namespace zeropoint
