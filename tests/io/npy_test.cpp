#include "zeropoint/io/npy.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/formats/float_format.hpp"

#include "support/largest_allocation.hpp"

// Allocations are counted, so that a header's claims cannot make the reader ask for memory that the
// file does not warrant.
std::atomic<std::size_t> zeropoint::largest_allocation = 0;

namespace {
using zeropoint::largest_allocation;

void* counted(std::size_t bytes) {
  std::size_t seen = largest_allocation.load();
  while (bytes > seen && !largest_allocation.compare_exchange_weak(seen, bytes)) {
  }
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
// Sanitizers bring one of their own, whose memory is not for std::free.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept try {
  return counted(bytes);
} catch (const std::bad_alloc&) {
  return nullptr;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace zeropoint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string bytes_of(std::uint64_t value, std::size_t count, bool big) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  if (big) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

// An .npy file around that header and those data.
std::string with_header(std::string header, const std::string& data, int version = 1) {
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t start = 8 + length_bytes;
  header.append(63 - (start + header.size()) % 64, ' ');
  header += '\n';
  return "\x93NUMPY" + std::string(1, static_cast<char>(version)) + '\0' +
         bytes_of(header.size(), length_bytes, false) + header + data;
}

std::string header_of(const std::string& descr, const std::string& shape, bool fortran = false) {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", descr,
                     fortran ? "True" : "False", shape);
}

constexpr bool kBigHost = std::endian::native == std::endian::big;

// The bytes of a number as NumPy stores it under that type code.
std::string element(const std::string& descr, double value) {
  const bool big = descr[0] == '>' || (descr[0] != '<' && kBigHost);
  const std::string code = descr.substr(descr.find_first_of("fiu"));
  const std::size_t size = static_cast<std::size_t>(code[1] - '0');
  std::uint64_t bits = 0;
  if (code == "f8") {
    bits = std::bit_cast<std::uint64_t>(value);
  } else if (code == "f4") {
    bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  } else if (code == "f2") {
    bits = encode(float_format("fp16"), value);
  } else {
    bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  }
  return bytes_of(bits, size, big);
}

class Npy : public testing::Test {
 protected:
  Npy() : folder_(fs::path(testing::TempDir()) / fmt::format("zeropoint-npy-{}", getpid())) {
    fs::create_directories(folder_);
    path_ = (folder_ / "weights.npy").string();
  }
  ~Npy() override { fs::remove_all(folder_); }

  void put(const std::string& bytes) const {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.flush());
  }
  Matrix<float> read(const std::string& bytes) const {
    put(bytes);
    return read_npy(path_);
  }
  // What the reader says of these bytes, without the folder: "weights.npy: expected …".
  std::string refusal(const std::string& bytes) const {
    put(bytes);
    return refusal_of(path_);
  }
  std::string refusal_of(const std::string& path) const {
    try {
      read_npy(path);
    } catch (const InputError& error) {
      const std::string text = error.what();
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      EXPECT_THAT(text, testing::StartsWith(path + ": expected "));
      EXPECT_THAT(text, HasSubstr(", found "));
      return text.substr(folder_.string().size() + 1);
    }
    ADD_FAILURE() << "was read";
    return "";
  }

  fs::path folder_;
  std::string path_;
};

TEST_F(Npy, EveryTypeByteOrderAndLayout) {
  const std::vector<std::string> codes = {"f2", "f4", "f8", "i1", "u1", "i2", "u2"};
  const double values[2][3] = {{0, 1, 2}, {100, 5, 127}};
  for (const std::string& code : codes) {
    const double sign = code[0] == 'u' ? 1 : -1;
    for (const char* order : {"<", ">", "=", "|", ""}) {
      for (const bool fortran : {false, true}) {
        for (const int version : {1, 2, 3}) {
          const std::string descr = order + code;
          SCOPED_TRACE(fmt::format("{} fortran={} version={}", descr, fortran, version));
          std::string data;
          for (int at = 0; at < 6; ++at) {
            const int i = fortran ? at % 2 : at / 3, j = fortran ? at / 2 : at % 3;
            data += element(descr, sign * values[i][j]);
          }
          const Matrix<float> got =
              read(with_header(header_of(descr, "(2, 3)", fortran), data, version));
          ASSERT_EQ(got.rows(), 2U);
          ASSERT_EQ(got.cols(), 3U);
          for (std::size_t i = 0; i < 2; ++i) {
            for (std::size_t j = 0; j < 3; ++j) {
              EXPECT_EQ(got(i, j), static_cast<float>(sign * values[i][j])) << i << ", " << j;
            }
          }
        }
      }
    }
  }
}

TEST_F(Npy, TheEndsOfEveryType) {
  const auto only = [&](const std::string& descr, double value) {
    return read(with_header(header_of(descr, "(1, 1)"), element(descr, value)))(0, 0);
  };
  EXPECT_EQ(only("|i1", -128), -128);
  EXPECT_EQ(only("|u1", 255), 255);
  EXPECT_EQ(only("<i2", -32768), -32768);
  EXPECT_EQ(only(">u2", 65535), 65535);
  EXPECT_EQ(only("<f2", 65504), 65504);
  EXPECT_EQ(only("<f2", 0x1p-24), 0x1p-24F);
  EXPECT_EQ(only(">f4", std::numeric_limits<float>::denorm_min()),
            std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(only("<f8", 0.1), 0.1F);
  EXPECT_EQ(only("<f8", 1e-300), 0);
  EXPECT_TRUE(std::signbit(only("<f8", -0.0)));
  const double below_overflow = std::nextafter(0x1.ffffffp127, 0);
  EXPECT_EQ(only("<f8", below_overflow), std::numeric_limits<float>::max());
}

TEST_F(Npy, HeadersAsPythonMayWriteThem) {
  const std::string data = element("<f4", 1) + element("<f4", 2);
  for (const char* header : {
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}",
           "{\"shape\":(1,2,),\"descr\":\"<f4\",\"fortran_order\":False}",
           " {'shape' : ( 1L , 2L ), 'fortran_order' : False,\n'descr' : '<f4' , } ",
       }) {
    const Matrix<float> got = read(with_header(header, data));
    EXPECT_EQ(got(0, 1), 2) << header;
  }
  // Older files padded to 16 bytes, or not at all.
  const std::string header = header_of("<f4", "(1, 2)");
  const std::string unpadded =
      "\x93NUMPY\x01" + std::string(1, '\0') + bytes_of(header.size(), 2, false) + header + data;
  EXPECT_EQ(read(unpadded)(0, 1), 2);
}

TEST_F(Npy, ShapesThatCrossTheBlocksOfReading) {
  for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{1, 300'001},
                                   {300'001, 1},
                                   {600, 513},
                                   {3, 100'003},
                                   {140'001, 3}}) {
    for (const bool fortran : {false, true}) {
      for (const std::string descr : {"<f4", ">f4", "<u2"}) {
        SCOPED_TRACE(fmt::format("{} × {} {} fortran={}", rows, cols, descr, fortran));
        const auto value = [cols = cols](std::size_t i, std::size_t j) {
          return static_cast<float>((i * cols + j) % 65'521);
        };
        std::string data;
        for (std::size_t at = 0; at < rows * cols; ++at) {
          data +=
              element(descr, fortran ? value(at % rows, at / rows) : value(at / cols, at % cols));
        }
        const Matrix<float> got =
            read(with_header(header_of(descr, fmt::format("({}, {})", rows, cols), fortran), data));
        bool equal = got.rows() == rows && got.cols() == cols;
        for (std::size_t i = 0; equal && i < rows; ++i) {
          for (std::size_t j = 0; equal && j < cols; ++j) equal = got(i, j) == value(i, j);
        }
        EXPECT_TRUE(equal);
      }
    }
  }
}

TEST_F(Npy, WhatIsWrittenIsReadBackAndIsWhatNumPyWrites) {
  Matrix<float> matrix(3, 5);
  for (std::size_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = 0.1F * static_cast<float>(i);
  write_npy(path_, matrix.view());
  const Matrix<float> again = read_npy(path_);
  ASSERT_EQ(again.rows(), 3U);
  ASSERT_EQ(again.cols(), 5U);
  EXPECT_TRUE(std::equal(again.values().begin(), again.values().end(), matrix.values().begin()));

  std::ifstream file(path_, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(bytes.size(), 128U + 15 * 4);
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_THAT(bytes, HasSubstr(kBigHost ? "'>f4'" : "'<f4'"));

  const MatrixView<float> view = matrix.view();
  write_npy(path_, MatrixView<const float>{view.data, 5, 3, 1, 5});  // the transpose
  const Matrix<float> transposed = read_npy(path_);
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(transposed(i, j), matrix(j, i));
  }
}

TEST_F(Npy, WhatCannotBeWrittenIsAWorkError) {
  Matrix<float> matrix(1, 1);
  matrix(0, 0) = 0;
  try {
    write_npy((folder_ / "none" / "x.npy").string(), matrix.view());
    FAIL();
  } catch (const WorkError& error) {
    EXPECT_THAT(error.what(), HasSubstr("No such file or directory"));
  }
  if (fs::exists("/dev/full")) {
    EXPECT_THROW(write_npy("/dev/full", matrix.view()), WorkError);
  }
}

TEST_F(Npy, Shapes) {
  const auto shape = [&](const std::string& text, std::size_t elements) {
    return refusal(with_header(header_of("<f4", text), std::string(elements * 4, '\0')));
  };
  EXPECT_EQ(shape("(3, 4, 5)", 60),
            "weights.npy: expected a two-dimensional array, found shape (3, 4, 5)");
  EXPECT_EQ(shape("(3,)", 3), "weights.npy: expected a two-dimensional array, found shape (3,)");
  EXPECT_EQ(shape("()", 1), "weights.npy: expected a two-dimensional array, found shape ()");
  EXPECT_EQ(shape("(0, 4)", 0),
            "weights.npy: expected at least one row and one column, found shape (0, 4)");
  EXPECT_EQ(shape("(4, 0)", 0),
            "weights.npy: expected at least one row and one column, found shape (4, 0)");
  EXPECT_EQ(shape("(2, 3)", 5),
            "weights.npy: expected data for 2 × 3 elements of float32, found 20 bytes: the file is "
            "truncated");
  EXPECT_EQ(shape("(2, 3)", 7),
            "weights.npy: expected 24 bytes of data for 2 × 3 elements of float32, found 28 bytes");
  EXPECT_THAT(shape("(1000000000, 1000000000)", 4), HasSubstr("truncated"));
  EXPECT_THAT(shape("(4294967296, 4294967297)", 4), HasSubstr("truncated"));
  EXPECT_THAT(shape("(9223372036854775807, 9223372036854775807)", 4), HasSubstr("truncated"));
  EXPECT_THAT(shape("(9223372036854775808, 1)", 4), HasSubstr("numbers from 0 to 2^63 - 1"));
  EXPECT_THAT(shape("(99999999999999999999999, 1)", 4), HasSubstr("numbers from 0 to 2^63 - 1"));
  EXPECT_THAT(shape("(-1, 4)", 4), HasSubstr("found '-1, 4)"));
  EXPECT_THAT(shape("(2.0, 4)", 8), HasSubstr("a tuple of numbers"));
  EXPECT_THAT(shape("(4)", 4), HasSubstr("a tuple of numbers"));
  EXPECT_THAT(shape("[2, 2]", 4), HasSubstr("a tuple of numbers"));
  EXPECT_THAT(shape("(2 2)", 4), HasSubstr("a tuple of numbers"));
  EXPECT_THAT(shape("(,)", 4), HasSubstr("a tuple of numbers"));
}

TEST_F(Npy, Types) {
  const auto type = [&](const std::string& descr) {
    return refusal(with_header(header_of(descr, "(1, 1)"), std::string(8, '\0')));
  };
  EXPECT_EQ(type("<i8"),
            "weights.npy: expected float16, float32, float64 or an integer type of 8 or 16 bits, "
            "found int64 ('<i8'); in Python, array.astype('float32') converts it");
  EXPECT_THAT(type("<i4"), HasSubstr("found int32 ('<i4'); in Python"));
  EXPECT_THAT(type(">u4"), HasSubstr("found uint32"));
  EXPECT_THAT(type("|b1"), HasSubstr("found bool"));
  EXPECT_THAT(type("<c8"), HasSubstr("found complex64"));
  EXPECT_THAT(type("<c16"), HasSubstr("found complex128"));
  EXPECT_THAT(type("<f16"), HasSubstr("found longdouble"));
  EXPECT_THAT(type("|O"), HasSubstr("found Python objects ('|O')"));
  EXPECT_THAT(type("|S8"), HasSubstr("found '|S8'"));
  EXPECT_THAT(type("<M8[ns]"), HasSubstr("found '<M8[ns]'"));
  EXPECT_THAT(type(""), HasSubstr("found ''"));
  EXPECT_THAT(type("<"), HasSubstr("found '<'"));
  EXPECT_THAT(type("<<f4"), HasSubstr("found '<<f4'"));
  EXPECT_THAT(type(std::string(500, 'x')), HasSubstr("xxx…"));
  EXPECT_THAT(type("\n\x1b[31m"), HasSubstr("found '\\x0a\\x1b[31m'"));
  EXPECT_THAT(refusal(with_header("{'descr': [('a', '<f4'), ('b', '<i2')], 'fortran_order': False, "
                                  "'shape': (1, 1), }",
                                  std::string(6, '\0'))),
              HasSubstr("found a structured type [('a', '<f4')"));
}

TEST_F(Npy, BrokenHeaders) {
  const std::string data(4, '\0');
  const auto header = [&](const std::string& text) { return refusal(with_header(text, data)); };
  EXPECT_THAT(header("{'descr': '<f4', 'fortran_order': False, }"), HasSubstr("found no 'shape'"));
  EXPECT_THAT(header("{'descr': '<f4', 'shape': (1, 1)}"), HasSubstr("found no 'fortran_order'"));
  EXPECT_THAT(header("{'shape': (1, 1), 'fortran_order': False}"), HasSubstr("found no 'descr'"));
  EXPECT_THAT(header("{}"), HasSubstr("found no 'descr'"));
  EXPECT_THAT(header(""), HasSubstr("found the header's end"));
  EXPECT_THAT(header("{'descr': '<f4', 'descr': '<f4'}"), HasSubstr("found key 'descr'"));
  EXPECT_THAT(header("{'order': 'C'}"), HasSubstr("found key 'order'"));
  EXPECT_THAT(header("{'descr': '<f4"), HasSubstr("a type in quotes"));
  EXPECT_THAT(header("{'descr'"), HasSubstr("':' after a key"));
  EXPECT_THAT(header("{'descr' '<f4'}"), HasSubstr("':' after a key"));
  EXPECT_THAT(header("{'descr': '<f4' 'shape': (1, 1)}"), HasSubstr("',' or '}' after a value"));
  EXPECT_THAT(header("{descr: '<f4'}"), HasSubstr("a key in quotes"));
  EXPECT_THAT(header("{'descr': 4}"), HasSubstr("a type in quotes"));
  EXPECT_THAT(header("{'fortran_order': 0}"), HasSubstr("True or False"));
  EXPECT_THAT(header("{'shape': (1, 1"), HasSubstr("found the header's end"));
  EXPECT_THAT(header(header_of("<f4", "(1, 1)") + " x"), HasSubstr("spaces up to"));
  EXPECT_THAT(header(header_of("<f4", "(1, 1)") + std::string(2, '\0')), HasSubstr("'\\x00\\x00"));
  EXPECT_THAT(header(header_of("<f4", std::string("(1\0, 1)", 7))), HasSubstr("\\x00"));
  EXPECT_THAT(header(header_of(std::string("<f4\0", 4), "(1, 1)")), HasSubstr("'<f4\\x00'"));
  EXPECT_THAT(refusal(with_header(std::string(70'000, ' '), data, 2)),
              HasSubstr("a header of at most 65536 bytes"));
}

TEST_F(Npy, BrokenStarts) {
  const std::string good = with_header(header_of("<f4", "(1, 1)"), std::string(4, '\0'));
  EXPECT_EQ(refusal(""), "weights.npy: expected an .npy file, found 0 bytes");
  EXPECT_EQ(refusal("\x93"), "weights.npy: expected an .npy file, found 1 byte");
  EXPECT_EQ(refusal("PK\x03\x04 a zip archive"),
            "weights.npy: expected an .npy file, which starts with \"\\x93NUMPY\", found "
            "\"PK\\x03\\x04 a\"");
  EXPECT_THAT(refusal(good.substr(0, 9)), HasSubstr("the header's length"));
  EXPECT_THAT(refusal(good.substr(0, 60)), HasSubstr("a header of 118 bytes, found 50 bytes"));
  std::string version = good;
  version[6] = 4;
  EXPECT_THAT(refusal(version), HasSubstr("found version 4.0"));
  version[6] = 1;
  version[7] = 1;
  EXPECT_THAT(refusal(version), HasSubstr("found version 1.1"));
  std::string length = with_header(header_of("<f4", "(1, 1)"), std::string(4, '\0'), 2);
  length.replace(8, 4, "\xff\xff\xff\xff");
  EXPECT_THAT(refusal(length), HasSubstr("a header of 4294967295 bytes"));
}

TEST_F(Npy, NumbersThatAreNotFinite) {
  const auto third = [&](const std::string& descr, double value, bool fortran = false) {
    std::string data;
    for (const double x : {1.0, 2.0, value, 4.0}) data += element(descr, x);
    return refusal(with_header(header_of(descr, "(2, 2)", fortran), data));
  };
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(third("<f4", std::nan("")),
            "weights.npy: expected finite numbers, found NaN at [1, 0]");
  EXPECT_THAT(third("<f4", std::nan(""), true), HasSubstr("found NaN at [0, 1]"));
  EXPECT_THAT(third(">f4", infinity), HasSubstr("found infinity at [1, 0]"));
  EXPECT_THAT(third("<f2", -infinity), HasSubstr("found -infinity at [1, 0]"));
  EXPECT_THAT(third("<f8", std::nan("")), HasSubstr("found NaN at [1, 0]"));
  EXPECT_THAT(third("<f8", infinity), HasSubstr("found infinity at [1, 0]"));
  EXPECT_EQ(third("<f8", -1e300),
            "weights.npy: expected numbers within float32's range, found -1e+300 at [1, 0]");
  EXPECT_THAT(third("<f8", 0x1.ffffffp127), HasSubstr("float32's range"));

  // Beyond the first block of reading.
  const std::size_t count = 700'000;
  std::string data(count * 4, '\0');
  data.replace((count - 2) * 4, 4, element("<f4", infinity));
  EXPECT_THAT(refusal(with_header(header_of("<f4", "(700, 1000)"), data)),
              HasSubstr("infinity at [699, 998]"));
  EXPECT_THAT(refusal(with_header(header_of("<f4", "(700, 1000)", true), data)),
              HasSubstr("infinity at [698, 999]"));
}

TEST_F(Npy, PathsThatAreNoFiles) {
  EXPECT_EQ(refusal_of((folder_ / "none.npy").string()),
            "none.npy: expected a readable .npy file, found \"No such file or directory\"");
  fs::create_directory(folder_ / "folder.npy");
  EXPECT_EQ(refusal_of((folder_ / "folder.npy").string()),
            "folder.npy: expected an .npy file, found a directory");
  fs::create_symlink("loop.npy", folder_ / "loop.npy");
  EXPECT_THAT(refusal_of((folder_ / "loop.npy").string()), HasSubstr("a readable .npy file"));
  EXPECT_THROW(read_npy("/dev/null"), InputError);
  EXPECT_THROW(read_npy(""), InputError);
  put("x");
  EXPECT_THAT(refusal_of(path_ + "/below.npy"), HasSubstr("Not a directory"));
  if (geteuid() != 0) {  // root may read anything
    fs::permissions(path_, fs::perms::none);
    EXPECT_THAT(refusal_of(path_), HasSubstr("Permission denied"));
  }
}

// A file may be sparse, and so claim more than there is memory for.
TEST_F(Npy, AMatrixBeyondMemoryIsRefusedBeforeItIsAllocated) {
  const std::string header = with_header(header_of("|i1", "(1048576, 16777216)"), "");
  put(header);
  std::error_code error;
  fs::resize_file(path_, header.size() + (std::uintmax_t{1} << 44), error);
  if (error) return;  // the file system has no files of this size, so neither has the user
  largest_allocation = 0;
  EXPECT_THAT(refusal_of(path_), HasSubstr("found one that needs 70368.7 GB"));
  EXPECT_LT(largest_allocation, 1U << 20);
}

TEST_F(Npy, MutationsAreReadOrRefusedWithinTheFilesMeans) {
  constexpr std::uint64_t kSeed = 20240504;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  std::mt19937_64 random(kSeed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };

  std::vector<std::string> originals;
  for (const std::string descr : {"<f4", ">f2", "<f8", "|i1", ">u2"}) {
    for (const bool fortran : {false, true}) {
      std::string data;
      for (int i = 0; i < 20; ++i) data += element(descr, i);
      originals.push_back(
          with_header(header_of(descr, "(4, 5)", fortran), data, 1 + static_cast<int>(below(3))));
    }
  }
  const std::vector<std::string> words = {"(",    ")",      "'",   "{",     "}",      ",",  ":",
                                          "True", "shape",  "<f8", "[",     "-",      "L",  "9",
                                          "0",    "999999", "|u1", "descr", "(5, 4)", "\"", " "};
  std::size_t was_read = 0;
  for (int round = 0; round < 6'000; ++round) {
    std::string bytes = originals[below(originals.size())];
    const bool in_header = below(4) != 0;
    for (std::size_t edits = 1 + below(3); edits-- > 0 && !bytes.empty();) {
      const std::size_t at =
          below(in_header ? std::min<std::size_t>(bytes.size(), 80) : bytes.size());
      switch (below(6)) {
        case 0:
          bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << below(8)));
          break;
        case 1:
          bytes[at] = static_cast<char>(random());
          break;
        case 2:
          bytes.resize(below(bytes.size()));
          break;
        case 3:
          bytes.erase(at, 1 + below(8));
          break;
        case 4:
          bytes.insert(at, words[below(words.size())]);
          break;
        default:
          bytes.replace(at, 1, words[below(words.size())]);
      }
    }
    put(bytes);
    largest_allocation = 0;
    try {
      const Matrix<float> matrix = read_npy(path_);
      ASSERT_GT(matrix.size(), 0U);
      ASSERT_LE(matrix.size(), bytes.size());
      for (const float x : matrix.values()) ASSERT_TRUE(std::isfinite(x));
      ++was_read;
    } catch (const InputError& error) {
      ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
    // The table of float16's values, 256 KiB, is made once.
    ASSERT_LE(largest_allocation, std::max<std::size_t>(bytes.size() * 8, 1 << 18) + 4096);
  }
  EXPECT_GT(was_read, 50U);
}

}  // namespace
}  // namespace zeropoint
