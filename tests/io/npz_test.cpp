#include <thread>
#include <zip.h>

#include <fmt/format.h>

#include "io/containers.hpp"
#include "io/npy_header.hpp"
#include "io/npz_places.hpp"

namespace zeropoint {
namespace {

using testing::as_bytes;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string array(const std::string& descr, const std::string& shape, const std::string& data,
                  bool fortran = false) {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", descr,
                                   fortran ? "True" : "False", shape);
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

const std::string kFour = array("<f4", "(4,)", testing::bytes_of<float>({1, 2, 3, 4}));

struct Member {
  std::string name, bytes;
  bool deflated = false, encrypted = false;
};

std::string number(std::uint64_t value, std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < std::min(count, sizeof(value)); ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i) & 0xff);
  }
  return bytes;
}

// The only place of `what` from `from` on.
std::size_t place_of(const std::string& bytes, const std::string& what, std::size_t from = 0) {
  const std::size_t at = bytes.find(what, from);
  EXPECT_NE(at, std::string::npos);
  return at;
}

class Npz : public testing::ContainerTest {
 protected:
  // As libzip writes it.
  std::string archive(const std::vector<Member>& members) const {
    const std::string path = in_folder("made.npz");
    std::filesystem::remove(path);
    zip_t* const zip = zip_open(path.c_str(), ZIP_CREATE, nullptr);
    EXPECT_NE(zip, nullptr);
    for (const Member& member : members) {
      zip_source_t* const source =
          zip_source_buffer(zip, member.bytes.data(), member.bytes.size(), 0);
      const auto index = static_cast<zip_uint64_t>(
          zip_file_add(zip, member.name.c_str(), source, ZIP_FL_ENC_UTF_8));
      zip_set_file_compression(zip, index, member.deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
      if (member.encrypted) zip_file_set_encryption(zip, index, ZIP_EM_AES_128, "word");
    }
    EXPECT_EQ(zip_close(zip), 0);
    return contents(path);
  }
  std::string refusal(const std::string& bytes) const {
    return testing::outcome("npz", put("some.npz", bytes));
  }
};

TEST_F(Npz, StoredAndDeflatedArraysOfEveryOrder) {
  const std::string big = std::string({63, static_cast<char>(0x80), 0, 0, 64, 0, 0, 0});  // 1, 2
  std::string zeros = array("<f4", "(100000,)", std::string(400'000, '\0'));
  for (const bool deflated : {false, true}) {
    SCOPED_TRACE(deflated);
    const std::string path =
        put("some.npz",
            archive({{"four.npy", kFour, deflated},
                     {"readme.txt", "not an array", deflated},
                     {"a/big.npy", array(">f4", "(2,)", big), deflated},
                     {"columns.npy", array("|i1", "(2, 3)", "\1\4\2\5\3\6", true), deflated},
                     {"\xc3\xbc.npy", array("|b1", "()", "\1"), deflated},
                     {"none.npy", array("<i8", "(0, 4)", ""), deflated},
                     {"zeros.npy", zeros, deflated}}));
    const auto file = open_tensor_file(path);
    EXPECT_EQ(file->container(), "npz");
    EXPECT_EQ(file->tensors().size(), 6U);
    EXPECT_EQ(testing::values_of(*file, "four"), (std::vector<float>{1, 2, 3, 4}));
    EXPECT_EQ(testing::values_of(*file, "a/big"), (std::vector<float>{1, 2}));
    EXPECT_EQ(testing::values_of(*file, "columns"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(testing::values_of(*file, "\xc3\xbc"), (std::vector<float>{1}));
    EXPECT_TRUE(testing::values_of(*file, "none").empty());
    EXPECT_EQ(testing::values_of(*file, "zeros"), std::vector<float>(100'000));
    EXPECT_EQ(testing::values_of(*file, "four"), (std::vector<float>{1, 2, 3, 4}));
  }
}

TEST_F(Npz, IsReadByThreadsAtOnce) {
  std::vector<Member> members;
  for (int i = 0; i < 8; ++i) {
    members.push_back({fmt::format("{}.npy", i),
                       array("<f4", "(50000,)",
                             testing::bytes_of(std::vector<float>(50'000, static_cast<float>(i)))),
                       i % 2 == 0});
  }
  const auto file = open_tensor_file(put("some.npz", archive(members)));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(testing::values_of(*file, fmt::format("{}", i)),
                  std::vector<float>(50'000, static_cast<float>(i)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(Npz, StoredArraysLieInTheFile) {
  const std::string bytes = archive({{"a.npy", kFour}, {"b.npy", kFour, true}, {"c.npy", kFour}});
  const auto places = stored_places(as_bytes(bytes));
  ASSERT_EQ(places.size(), 3U);
  for (const int i : {0, 2}) {
    EXPECT_EQ(places[i].method, 0U);
    EXPECT_EQ(bytes.substr(places[i].data, places[i].size), kFour);
  }
  // A short one is not worth deflating to libzip, but its method says so.
  EXPECT_NE(places[1].data, places[0].data);
}

TEST_F(Npz, Names) {
  for (const char* name :
       {"../x.npy", "/x.npy", "a/../x.npy", "a/..\\x.npy", "c:x.npy", "..\\x.npy"}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(refusal(archive({{name, kFour}})),
              fmt::format("expected entries with relative names without '..', found '{}'", name));
  }
  for (const char* name : {"..x.npy", "x...npy", "a/b/c.npy", "a//b.npy", "./x.npy"}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(refusal(archive({{name, kFour}})), "");
  }
  std::string twice = archive({{"aa.npy", kFour}, {"ab.npy", kFour}});
  for (std::size_t at; (at = twice.find("ab.npy")) != std::string::npos;) twice[at + 1] = 'a';
  EXPECT_EQ(refusal(twice), "expected each tensor's name once, found 'aa' twice");
  EXPECT_EQ(refusal(archive({{".npy", kFour}})),
            "expected a name for each tensor, found a tensor without one");
}

TEST_F(Npz, WhatIsNoArray) {
  EXPECT_EQ(refusal(archive({{"data.pkl", "x"}, {"b", "y"}})),
            "expected an archive with .npy files in it, found one of 2 others");
  EXPECT_EQ(refusal(std::string("PK\5\6", 4) + std::string(18, '\0')),
            "expected an archive with .npy files in it, found one of 0 others");
  EXPECT_THAT(refusal(archive({{"o.npy", array("|O", "(1,)", "\x80\3]q.")}})),
              HasSubstr("found Python objects ('|O')"));
  EXPECT_THAT(refusal(archive({{"o.npy", "text"}})),
              HasSubstr("expected an .npy file, found 4 bytes"));
  EXPECT_THAT(refusal(archive({{"o.npy", ""}})), HasSubstr("found 0 bytes"));
  EXPECT_THAT(refusal(archive({{"o.npy", kFour + "x", true}})),
              HasSubstr("expected 16 bytes of data for (4,) elements of float32, found 17 bytes"));
  EXPECT_THAT(refusal(archive({{"o.npy", kFour.substr(0, kFour.size() - 1)}})),
              HasSubstr("found 15 bytes: truncated"));
  EXPECT_THAT(refusal(archive({{"o.npy", kFour, false, true}})),
              HasSubstr("expected an entry that is not encrypted"));
  EXPECT_THAT(refusal("PK\3\4 and no more"), StartsWith("expected a zip archive, found \""));
  EXPECT_THAT(refusal(""), StartsWith("expected an archive with .npy files in it"));
}

// Bombs are made so: what is there once is unpacked any number of times.
TEST_F(Npz, EntriesThatOverlap) {
  for (const bool is_deflated : {false, true}) {
    std::string bytes = archive({{"a.npy", array("<f4", "(1000,)", std::string(4000, '\1')), true},
                                 {"b.npy", kFour, is_deflated}});
    EXPECT_EQ(refusal(bytes), "");
    const std::size_t row = bytes.rfind("PK\1\2");
    const std::string first = number(0, 4);
    bytes.replace(row + 42, first.size(), first);
    EXPECT_THAT(refusal(bytes), HasSubstr("expected entries that do not overlap, found two at"));
  }
}

TEST_F(Npz, WhatADirectorySaysFalsely) {
  const std::string row = std::string("PK\1\2");
  const std::string stored = archive({{"a.npy", kFour}});
  const std::string deflated =
      archive({{"a.npy", array("<f4", "(1000,)", std::string(4000, '\1')), true}});
  const auto changed = [&](std::string bytes, std::size_t field, const std::string& to) {
    const std::size_t at = place_of(bytes, row) + field;
    return bytes.replace(at, to.size(), to);
  };
  EXPECT_THAT(
      refusal(changed(stored, 10, number(12, 2))),
      HasSubstr("expected an entry that is stored or deflated, found compression method 12"));
  EXPECT_THAT(refusal(changed(deflated, 24, number(0xfffffff0, 4))),
              HasSubstr(fmt::format("expected at most {} bytes unpacked, found 4294967280 bytes",
                                    deflated.size() + (std::size_t{256} << 20))));
  // More and fewer than there are.
  for (const bool is_deflated : {false, true}) {
    for (const int off : {-1, 1}) {
      SCOPED_TRACE(fmt::format("{} {}", is_deflated, off));
      const std::string& bytes = is_deflated ? deflated : stored;
      const std::size_t size = is_deflated ? deflated.size() : kFour.size();
      EXPECT_NE(refusal(changed(bytes, 24, number(size + static_cast<std::size_t>(off), 4))), "");
    }
  }
  EXPECT_THAT(refusal(changed(stored, 16, number(1, 4))), HasSubstr("\"CRC error\""));
  EXPECT_THAT(refusal(changed(deflated, 16, number(1, 4))), HasSubstr("\"CRC error\""));
  EXPECT_NE(refusal(changed(stored, 42, number(7, 4))), "");
  EXPECT_NE(refusal(changed(stored, 42, number(0xfffffffe, 4))), "");
  // The last element of the stored array.
  std::string damaged = stored;
  damaged[place_of(stored, row) - 1] ^= 1;
  EXPECT_THAT(refusal(damaged), HasSubstr("\"CRC error\""));
}

TEST_F(Npz, Zip64) {
  // One stored array whose sizes and place are in zip64 fields, and so is the directory's place.
  std::string crc;
  {
    const std::string plain = archive({{"a.npy", kFour}});
    crc = plain.substr(place_of(plain, "PK\1\2") + 16, 4);
  }
  const std::string size = number(kFour.size(), 8);
  const std::string common = number(45, 2) + number(0, 8) + crc + number(~0ULL, 8);
  std::string bytes = "PK\3\4" + common + number(5, 2) + number(20, 2) + "a.npy" + number(1, 2) +
                      number(16, 2) + size + size + kFour;
  const std::size_t directory = bytes.size();
  bytes += "PK\1\2" + number(45, 2) + common + number(5, 2) + number(28, 2) + number(0, 10) +
           number(~0ULL, 4) + "a.npy" + number(1, 2) + number(24, 2) + size + size + number(0, 8);
  const std::size_t end = bytes.size();
  bytes += "PK\6\6" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) + number(1, 8) +
           number(1, 8) + number(end - directory, 8) + number(directory, 8);
  bytes += "PK\6\7" + number(0, 4) + number(end, 8) + number(1, 4);
  bytes += "PK\5\6" + number(0, 4) + number(~0ULL, 8) + number(~0ULL, 4) + number(0, 2);
  const auto places = stored_places(as_bytes(bytes));
  ASSERT_EQ(places.size(), 1U);
  EXPECT_EQ(bytes.substr(places[0].data, places[0].size), kFour);
  EXPECT_EQ(refusal(bytes), "");
  EXPECT_EQ(testing::values_of(*open_tensor_file(put("some.npz", bytes)), "a"),
            (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(Npz, CutOffAndMutated) {
  const std::string good = archive({{"a.npy", kFour}, {"b.npy", kFour, true}});
  const auto attempt = [&](const std::string& bytes) { return refusal(bytes).empty() ? 1 : 0; };
  EXPECT_GT(testing::mutate(good, 4000, attempt), 100U);
}

TEST_F(Npz, WritesWhatItReads) {
  TensorFilePlan plan;
  std::string data;
  std::vector<std::string> each;
  for (const NpyType& row : npy_tensor_types().rows) {
    for (const std::size_t size : {0, 1, 700}) {
      plan.tensors.push_back({fmt::format("{}/\"{}\" \xc3\xa9", row.name, size),
                              {3, size},
                              &tensor_type(row.tensor_type)});
      each.emplace_back(3 * size * row.bytes, '\0');
      for (std::size_t i = 0; i < each.back().size(); ++i)
        each.back()[i] = static_cast<char>(i % 3 + 60);
      data += each.back();
    }
  }
  plan.tensors.push_back({"number", {}, &tensor_type("I64")});
  each.push_back("12345678");
  data += each.back();
  std::string written[2];
  for (const std::size_t piece : {1, 100'000}) {
    const std::string path = in_folder("out.npz");
    const auto writer = container("npz").create(path, plan);
    for (std::size_t at = 0; at < data.size(); at += piece) {
      writer->write(as_bytes(std::string_view(data).substr(at, piece)));
    }
    EXPECT_THROW(writer->write(as_bytes("x")), WorkError);
    writer->finish();
    written[piece == 1] = contents(path);
    const auto file = open_tensor_file(path);
    ASSERT_EQ(file->tensors().size(), plan.tensors.size());
    for (std::size_t i = 0; i < each.size(); ++i) {
      const StoredTensor& tensor = file->tensors()[i];
      EXPECT_EQ(tensor.name, plan.tensors[i].name);
      EXPECT_EQ(tensor.shape, plan.tensors[i].shape);
      EXPECT_EQ(tensor.type, plan.tensors[i].type);
      EXPECT_TRUE(std::ranges::equal(file->load(tensor).bytes(), as_bytes(each[i])));
    }
    zip_t* const zip = zip_open(path.c_str(), ZIP_CHECKCONS | ZIP_RDONLY, nullptr);
    EXPECT_NE(zip, nullptr) << "libzip finds it inconsistent";
    if (zip != nullptr) zip_discard(zip);
  }
  EXPECT_EQ(written[0], written[1]);
}

TEST_F(Npz, ManyArrays) {
  TensorFilePlan plan;
  for (int i = 0; i < 70'000; ++i)
    plan.tensors.push_back({fmt::format("{}", i), {0}, &tensor_type("U8")});
  const std::string path = in_folder("out.npz");
  container("npz").create(path, plan)->finish();
  const auto file = open_tensor_file(path);
  EXPECT_EQ(file->tensors().size(), 70'000U);
  EXPECT_EQ(file->tensors().back().name, "69999");
}

TEST_F(Npz, WritesNothingThatItCannotRead) {
  const auto refused = [&](const std::vector<TensorFilePlan::Tensor>& tensors) -> std::string {
    TensorFilePlan plan;
    plan.tensors = tensors;
    try {
      container("npz").create(in_folder("out.npz"), plan);
    } catch (const InputError& error) {
      EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refused({}), "npz: expected a tensor or more, found none");
  EXPECT_EQ(refused({{"w", {2}, &tensor_type("BF16")}}),
            "npz: 'w': expected a type that NumPy has, found BF16");
  EXPECT_NE(refused({{"w", {32}, &tensor_type("Q8_0")}}), "");
  EXPECT_NE(refused({{"w", {2}, &tensor_type("I4")}}), "");
  const TensorType& type = tensor_type("F32");
  for (const char* name : {"", "../x", "/x", "a/../b"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(refused({{name, {2}, &type}}), StartsWith("npz: expected a relative name"));
  }
  EXPECT_THAT(refused({{"a", {2}, &type}, {"a", {2}, &type}}), HasSubstr("found 'a'"));
  EXPECT_THAT(refused({{std::string(65'532, 'x'), {2}, &type}}),
              HasSubstr("of at most 65531 bytes"));
  TensorFilePlan plan;
  plan.tensors = {{"a", {2}, &type}};
  EXPECT_THROW(container("npz").create(in_folder("out.npz"), plan)->finish(), WorkError);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

}  // namespace
}  // namespace zeropoint
