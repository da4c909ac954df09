#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

#include "support/largest_allocation.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

namespace zeropoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;
using testing::TemporaryFolder;

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
std::string raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
std::string u32(std::uint32_t value) { return raw(value); }
std::string u64(std::uint64_t value) { return raw(value); }
std::string text(std::string_view value) { return u64(value.size()) + std::string(value); }

std::string header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
  return "GGUF" + u32(version) + u64(tensors) + u64(keys);
}
std::string entry(std::string_view key, std::uint32_t type, const std::string& value) {
  return text(key) + u32(type) + value;
}
std::string info(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                 std::uint64_t offset) {
  std::string bytes = text(name) + u32(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t size : dims) bytes += u64(size);
  return bytes + u32(type) + u64(offset);
}
std::string filled(std::string bytes, std::size_t alignment) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
  return bytes;
}

constexpr std::size_t kKeys = 15;

// All types of values.
std::string entries(std::uint32_t alignment) {
  return entry("general.architecture", 8, text("llama")) +
         entry("general.alignment", 4, u32(alignment)) + entry("a.u8", 0, raw<std::uint8_t>(200)) +
         entry("a.i8", 1, raw<std::int8_t>(-3)) + entry("a.u16", 2, raw<std::uint16_t>(60000)) +
         entry("a.i16", 3, raw<std::int16_t>(-300)) + entry("general.file_type", 4, u32(7)) +
         entry("a.i32", 5, raw<std::int32_t>(-70000)) + entry("a.f32", 6, raw(0.1F)) +
         entry("a.bool", 7, raw<std::uint8_t>(1)) + entry("a.u64", 10, u64(1ULL << 63)) +
         entry("a.i64", 11, raw<std::int64_t>(-5)) + entry("a.f64", 12, raw(1e-300)) +
         entry("a.tokens", 9, u32(8) + u64(3) + text("a") + text("") + text("ccc")) +
         entry("a.nested", 9,
               u32(9) + u64(2) + u32(3) + u64(2) + raw<std::int32_t>(1) + u32(0) + u64(0));
}

std::string small_file(std::uint32_t alignment = 32) {
  std::string bytes = header(3, kKeys) + entries(alignment);
  bytes += info("token_embd.weight", {3, 2}, 0, 0);
  bytes += info("blocks", {32, 2, 1}, 8, std::max<std::uint64_t>(alignment, 32));
  bytes += info("one", {}, 24, std::max<std::uint64_t>(alignment, 32) + 128);
  bytes = filled(bytes, alignment);
  std::string data;
  for (const float x : {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, -6.0F}) data += raw(x);
  data.resize(std::max<std::size_t>(alignment, 32));
  for (int block = 0; block < 2; ++block) {
    data += raw<std::uint16_t>(0x3C00);
    for (int i = 0; i < 32; ++i) data += static_cast<char>(i - 16 + block);
  }
  data.resize(std::max<std::size_t>(alignment, 32) + 128);
  return bytes + data + '\x07';
}

std::vector<float> numbers(const TensorFile& file, const StoredTensor& tensor) {
  std::vector<float> x(tensor.count);
  const auto bytes = file.load(tensor);
  EXPECT_EQ(bytes.bytes().size(), tensor.bytes);
  tensor.type->decode(bytes.bytes().data(), x.size(), x.data());
  return x;
}

TEST(Gguf, ReadsTensorsAndMetadata) {
  const TemporaryFolder folder;
  for (const std::uint32_t alignment : {1U, 8U, 32U, 64U}) {
    write_bytes(folder / "a", small_file(alignment));
    const auto file = open_tensor_file(folder / "a");
    EXPECT_EQ(file->container(), "gguf");
    ASSERT_EQ(file->tensors().size(), 3U);
    const auto& first = file->tensors()[0];
    EXPECT_EQ(first.name, "token_embd.weight");
    EXPECT_EQ(first.shape, (std::vector<std::size_t>{2, 3}));
    EXPECT_EQ(first.type->name, "F32");
    EXPECT_EQ(numbers(*file, first), (std::vector<float>{1, 2, 3, 4, 5, -6}));
    const auto& blocks = file->tensors()[1];
    EXPECT_EQ(blocks.shape, (std::vector<std::size_t>{1, 2, 32}));
    EXPECT_EQ(blocks.type->name, "Q8_0");
    EXPECT_EQ(numbers(*file, blocks)[33], -14);
    EXPECT_EQ(file->tensors()[2].shape, std::vector<std::size_t>{});
    EXPECT_EQ(numbers(*file, file->tensors()[2]), std::vector<float>{7});
    const std::vector<std::pair<std::string, std::string>> metadata = {
        {"general.architecture", "llama"},
        {"general.alignment", fmt::format("{}", alignment)},
        {"a.u8", "200"},
        {"a.i8", "-3"},
        {"a.u16", "60000"},
        {"a.i16", "-300"},
        {"general.file_type", "7"},
        {"a.i32", "-70000"},
        {"a.f32", "0.1"},
        {"a.bool", "true"},
        {"a.u64", "9223372036854775808"},
        {"a.i64", "-5"},
        {"a.f64", "1e-300"},
        {"a.tokens", "[3 values]"},
        {"a.nested", "[2 values]"}};
    EXPECT_EQ(file->metadata(), metadata);
  }
}

TEST(Gguf, ReadsVersion2AndFilesWithoutTensors) {
  const TemporaryFolder folder;
  write_bytes(folder / "a", header(0, 0, 2));
  EXPECT_TRUE(open_tensor_file(folder / "a")->tensors().empty());
}

TEST(Gguf, TensorsComeAsTheyLie) {
  const TemporaryFolder folder;
  const std::string infos = info("b", {1}, 24, 32) + info("a", {1}, 24, 0);
  write_bytes(folder / "a", filled(header(2, 0) + infos, 32) + filled("\x01", 32) + '\x02');
  const auto file = open_tensor_file(folder / "a");
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(numbers(*file, *file->find("b")), std::vector<float>{2});
}

constexpr const char* kWritable[] = {"F32",  "F16",  "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
                                     "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K",
                                     "I8",   "I16",  "I32",  "I64",  "F64",  "BF16", "MXFP4"};

std::string random_bytes(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(count, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}
std::span<const std::uint8_t> as_bytes(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

TEST(Gguf, EveryTypeThereAndBack) {
  const TemporaryFolder folder;
  TensorFilePlan plan;
  std::string data;
  for (const char* name : kWritable) {
    const TensorType& type = tensor_type(name);
    for (const auto& shape :
         {std::vector<std::size_t>{type.block}, {3, type.block}, {1, 2, 3, 2 * type.block}}) {
      std::size_t count = 1;
      for (const std::size_t size : shape) count *= size;
      plan.tensors.push_back({fmt::format("{}.{}", name, shape.size()), shape, &type});
      data += random_bytes(type.stored_bytes(count), 1);
    }
  }
  std::string first;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, data.size()}) {
    const std::string path = folder / "a.gguf";
    const auto writer = container("gguf").create(path, plan);
    for (std::size_t at = 0; at < data.size(); at += piece) {
      writer->write(as_bytes(data).subspan(at, std::min(piece, data.size() - at)));
    }
    writer->finish();
    const std::string bytes = read_bytes(path);
    if (first.empty()) first = bytes;
    EXPECT_EQ(first, bytes);  // however it was written
    EXPECT_EQ(bytes.size() % 32, 0U);
    const auto file = open_tensor_file(path);
    ASSERT_EQ(file->tensors().size(), plan.tensors.size());
    std::string read;
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
      const auto& tensor = file->tensors()[i];
      EXPECT_EQ(tensor.name, plan.tensors[i].name);
      EXPECT_EQ(tensor.shape, plan.tensors[i].shape);
      EXPECT_EQ(tensor.type, plan.tensors[i].type);
      EXPECT_EQ(tensor.place % 32, 0U);
      const auto loaded = file->load(tensor);
      read.append(reinterpret_cast<const char*>(loaded.bytes().data()), loaded.bytes().size());
    }
    EXPECT_TRUE(read == data);
    const std::vector<std::pair<std::string, std::string>> metadata = {
        {"general.architecture", "zeropoint"}, {"general.quantization_version", "2"}};
    EXPECT_EQ(file->metadata(), metadata);
  }
}

// All tensors of a file as they are, with `metadata`.
std::string copied(const TemporaryFolder& folder, const TensorFile& file,
                   std::vector<std::pair<std::string, std::string>> metadata) {
  TensorFilePlan plan;
  plan.source = &file;
  plan.metadata = std::move(metadata);
  for (const auto& tensor : file.tensors()) {
    plan.tensors.push_back({tensor.name, tensor.shape, tensor.type});
  }
  const auto writer = container("gguf").create(folder / "copy", plan);
  for (const auto& tensor : file.tensors()) writer->write(file.load(tensor).bytes());
  writer->finish();
  return read_bytes(folder / "copy");
}

TEST(Gguf, KeepsTheSourcesMetadata) {
  const TemporaryFolder folder;
  for (const std::uint32_t alignment : {32U, 64U}) {
    write_bytes(folder / "a", small_file(alignment));
    const auto file = open_tensor_file(folder / "a");
    const std::string version = entry("general.quantization_version", 4, u32(2));
    EXPECT_THAT(copied(folder, *file, {}),
                ::testing::StartsWith(header(3, kKeys + 1) + entries(alignment) + version +
                                      text("token_embd.weight")));
    EXPECT_EQ(numbers(*open_tensor_file(folder / "copy"), file->tensors()[1]),
              numbers(*file, file->tensors()[1]));
    // What says the same keeps its type and place.
    EXPECT_EQ(copied(folder, *file, file->metadata()), copied(folder, *file, {}));
    std::string changed = entries(alignment);
    const std::string old = entry("general.file_type", 4, u32(7));
    changed.replace(changed.find(old), old.size(), entry("general.file_type", 4, u32(15)));
    const std::string tokens =
        entry("a.tokens", 9, u32(8) + u64(3) + text("a") + text("") + text("ccc"));
    changed.replace(changed.find(tokens), tokens.size(), entry("a.tokens", 8, text("none")));
    EXPECT_THAT(
        copied(folder, *file, {{"general.file_type", "15"}, {"a.tokens", "none"}, {"new", "x"}}),
        ::testing::StartsWith(header(3, kKeys + 2) + changed + entry("new", 8, text("x")) +
                              version + text("token_embd.weight")));
  }
  write_bytes(folder / "a", small_file());
  const auto file = open_tensor_file(folder / "a");
  copied(folder, *file, {{"general.alignment", "128"}});
  EXPECT_EQ(open_tensor_file(folder / "copy")->tensors()[1].place, 128U);
}

TEST(Gguf, RefusesPlansThatItCannotHold) {
  const TemporaryFolder folder;
  const auto why = [&folder](const TensorFilePlan& plan) {
    const std::string message =
        refusal([&] { container("gguf").create(folder / "new.gguf", plan); });
    EXPECT_FALSE(std::filesystem::exists(folder / "new.gguf.partial"));
    return message;
  };
  const auto of = [](std::string name, std::vector<std::size_t> shape, const char* type) {
    TensorFilePlan plan;
    plan.tensors = {{"fine", {1}, &tensor_type("F32")}};
    plan.tensors.push_back({std::move(name), std::move(shape), &tensor_type(type)});
    return plan;
  };
  for (const char* type : {"F8_E4M3", "U8", "BOOL", "I4", "F4"}) {
    EXPECT_EQ(why(of("w", {8}, type)),
              fmt::format("'w': expected a type that GGUF has, found {}", type));
  }
  EXPECT_EQ(why(of("w", {32, 33}, "Q8_0")),
            "'w': expected a multiple of 32 values (Q8_0) along the last axis, found 33");
  EXPECT_EQ(why(of("w", {}, "Q4_K")),
            "'w': expected a multiple of 256 values (Q4_K) along the last axis, found 1");
  EXPECT_EQ(why(of("w", {1, 1, 1, 1, 1}, "F32")),
            "'w': expected at most 4 axes, as GGUF has it, found 5");
  EXPECT_EQ(why(of("w", {2, 0}, "F32")),
            "'w': expected sizes from 1 on that GGUF can hold, found [2, 0]");
  EXPECT_THAT(why(of("w", {1ULL << 40, 1ULL << 40}, "F32")), HasSubstr("found [1099511627776, "));
  EXPECT_EQ(why(of(std::string(63, 'n'), {1}, "F32")), "no refusal");
  EXPECT_THAT(why(of(std::string(64, 'n'), {1}, "F32")),
              HasSubstr("expected a name of 1 to 63 bytes, as GGUF has it, found 64 bytes"));
  EXPECT_THAT(why(of("", {1}, "F32")), HasSubstr("found 0 bytes"));
  EXPECT_EQ(why(of("fine", {1}, "F32")),
            "gguf: expected each tensor's name once, found 'fine' twice");
  TensorFilePlan plan = of("w", {1}, "F32");
  plan.metadata = {{"general.file_type", "q8_0"}};
  EXPECT_EQ(why(plan), "general.file_type: expected a whole number below 2^32, found 'q8_0'");
  plan.metadata = {{"general.alignment", "48"}};
  EXPECT_EQ(why(plan), "general.alignment: expected a power of two, found 48");
}

TEST(Gguf, WritesWhatWasPlannedNoMoreNoLess) {
  const TemporaryFolder folder;
  TensorFilePlan plan;
  plan.tensors = {{"w", {2}, &tensor_type("I8")}};
  const std::uint8_t bytes[3] = {1, 2, 3};
  const auto less = container("gguf").create(folder / "a", plan);
  less->write(std::span(bytes).first(1));
  EXPECT_THROW(less->finish(), WorkError);
  const auto more = container("gguf").create(folder / "b", plan);
  EXPECT_THROW(more->write(bytes), WorkError);
}

struct Bad {
  const char* name;
  std::string bytes;
  std::string expected;  // part of the message
};

std::string one_tensor(const std::string& info_bytes, std::size_t data = 64) {
  return filled(header(1, 0) + info_bytes, 32) + std::string(data, '\0');
}
std::string one_key(const std::string& bytes) { return header(0, 1) + bytes; }

std::vector<Bad> bad_files() {
  constexpr std::uint64_t huge = 1ULL << 63;
  const std::string deep = u32(9) + u64(1);
  return {
      {"signature_alone", "GGUF", "4 bytes for the version at byte 4, found 0 bytes"},
      {"version_1", header(0, 0, 1), "GGUF version 2 or 3, found version 1"},
      {"big_endian", header(0, 0, 3U << 24), "version 3, its bytes in big-endian order"},
      {"tensors_2_62", header(1ULL << 62, 0) + small_file(), "tensors at byte 24"},
      {"keys_2_62", header(0, 1ULL << 62) + small_file(), "a count of 4611686018427387904"},
      {"key_2_63", one_key(u64(huge) + "abcdefgh"), "9223372036854775808 bytes for a key"},
      {"key_2_64", one_key(u64(~0ULL) + "abcdefgh"), "18446744073709551615 bytes for a key"},
      {"value_type_13", one_key(entry("k", 13, u64(0))), "a type of 'k' from 0 to 12, found 13"},
      {"value_cut", one_key(entry("k", 10, "1234")), "8 bytes for 'k' at byte 37, found 4 bytes"},
      {"string_2_63", one_key(entry("k", 8, u64(huge) + "abc")), "bytes for 'k'"},
      {"array_of_2_62", one_key(entry("k", 9, u32(12) + u64(1ULL << 62) + "12345678")),
       "at most 1 values of 'k' at byte 49"},
      {"array_overflows", one_key(entry("k", 9, u32(12) + u64(1ULL << 61) + "12345678")),
       "a count of 2305843009213693952"},
      {"strings_of_2_62", one_key(entry("k", 9, u32(8) + u64(1ULL << 62) + u64(0))),
       "at most 1 values"},
      {"string_in_array_2_63", one_key(entry("k", 9, u32(8) + u64(1) + u64(huge))),
       "bytes for 'k'"},
      {"array_type", one_key(entry("k", 9, u32(99) + u64(0))), "from 0 to 12, found 99"},
      {"arrays_of_2_62", one_key(entry("k", 9, u32(9) + u64(1ULL << 62) + u32(0) + u64(0))),
       "at most 1 values"},
      {"deep_arrays", one_key(entry("k", 9, deep + deep + deep + deep + u32(0) + u64(0))),
       "arrays at most 4 deep in 'k'"},
      {"key_twice", header(0, 2) + entry("k", 4, u32(1)) + entry("k", 4, u32(1)),
       "each key once, found 'k' twice"},
      {"alignment_0", one_key(entry("general.alignment", 4, u32(0))), "a power of two, found 0"},
      {"alignment_48", one_key(entry("general.alignment", 4, u32(48))), "a power of two, found 48"},
      {"alignment_type", one_key(entry("general.alignment", 10, u64(32))),
       "of type 4 (uint32), found type 10"},
      {"name_2_63", one_tensor(u64(huge) + "abcdefghijklmnopqrstuvwxyz"), "a tensor's name"},
      {"name_empty", one_tensor(info("", {2}, 0, 0)), "a name for each tensor"},
      {"name_twice",
       filled(header(2, 0) + info("w", {2}, 0, 0) + info("w", {2}, 0, 32), 32) +
           std::string(64, '\0'),
       "each tensor's name once, found 'w' twice"},
      {"axes_9", one_tensor(info("w", std::vector<std::uint64_t>(9, 1), 0, 0)),
       "at most 8 axes of 'w', found 9"},
      {"axes_2_32", one_tensor(text("w") + u32(~0U) + std::string(64, '\0')), "at most 8 axes"},
      {"size_0", one_tensor(info("w", {2, 0}, 0, 0)), "sizes of 'w' from 1 on, found 0"},
      {"size_negative", one_tensor(info("w", {2, ~0ULL}, 0, 0)), "from 1 on, found -1"},
      {"sizes_overflow", one_tensor(info("w", {1ULL << 33, 1ULL << 33}, 0, 0)),
       "a shape of 'w' that a machine can hold"},
      {"bytes_overflow", one_tensor(info("w", {1ULL << 62}, 0, 0)), "that a machine can hold"},
      {"type_unknown", one_tensor(info("w", {2}, 77, 0)), "that is known, found type 77"},
      {"type_unsupported", one_tensor(info("w", {256}, 19, 0)), "found type 19 (IQ1_S)"},
      {"row_no_multiple", one_tensor(info("w", {16, 4}, 8, 0)),
       "rows of 'w' of a multiple of 32 values (Q8_0), found 16"},
      {"offset_unaligned", one_tensor(info("w", {2}, 0, 8)),
       "'w' at a multiple of 32 bytes, found offset 8"},
      {"offset_beyond", one_tensor(info("w", {2}, 0, 96)), "found nothing there"},
      {"offset_huge", one_tensor(info("w", {2}, 0, ~31ULL)), "found nothing there"},
      {"data_short", one_tensor(info("w", {17}, 0, 0)),
       "68 bytes for 'w' from offset 0 on within 64 bytes of data, found 64 bytes"},
      {"no_data", header(1, 0) + info("w", {1}, 24, 0), "within 0 bytes of data"},
      {"overlap",
       filled(header(2, 0) + info("v", {9}, 0, 0) + info("w", {2}, 0, 32), 32) +
           std::string(64, '\0'),
       "'w' behind the tensor before it, which ends at 36, found offset 32"},
      {"same_place",
       filled(header(2, 0) + info("v", {2}, 0, 0) + info("w", {2}, 0, 0), 32) +
           std::string(64, '\0'),
       "behind the tensor before it"},
  };
}

TEST(Gguf, RefusesDamagedFiles) {
  const TemporaryFolder folder;
  for (const auto& bad : bad_files()) {
    write_bytes(folder / "a", bad.bytes);
    largest_allocation = 0;
    const std::string message = refusal([&] { open_tensor_file(folder / "a"); });
    EXPECT_THAT(message,
                AllOf(HasSubstr(folder / "a"), HasSubstr("expected"), HasSubstr(bad.expected)))
        << bad.name;
    EXPECT_EQ(message.find('\n'), std::string::npos) << bad.name;
    EXPECT_LT(largest_allocation, 4096U) << bad.name;  // whatever it claims
  }
}

// Opens it and reads everything; false if it was refused. Whatever else happens is a failure.
bool survives(const TemporaryFolder& folder, std::string_view bytes) {
  write_bytes(folder / "a", bytes);
  largest_allocation = 0;
  try {
    const auto file = open_tensor_file(folder / "a");
    EXPECT_LT(largest_allocation, 8192U);
    TensorFilePlan plan;
    plan.source = file.get();
    for (const auto& tensor : file->tensors()) {
      numbers(*file, tensor);
      plan.tensors.push_back({tensor.name, tensor.shape, tensor.type});
    }
    container("gguf").create(folder / "b", plan);
    return true;
  } catch (const InputError&) {
    return false;
  }
}

TEST(Gguf, FilesCutAnywhereAreRefused) {
  const TemporaryFolder folder;
  const std::string bytes = small_file();
  for (std::size_t count = 0; count < bytes.size(); ++count) {
    EXPECT_FALSE(survives(folder, std::string_view(bytes).substr(0, count))) << count;
  }
  EXPECT_TRUE(survives(folder, bytes));
}

TEST(Gguf, RandomDamageNeverCrashes) {
  const TemporaryFolder folder;
  std::mt19937 random(3);
  int opened = 0;
  for (int trial = 0; trial < 10'000; ++trial) {
    std::string bytes = small_file(trial % 2 == 0 ? 32 : 1);
    for (std::uint32_t flips = 1 + random() % 4; flips > 0; --flips) {
      const std::size_t at = random() % bytes.size();
      // A bit, or a byte of the kind that lengths and counts are made of.
      if (random() % 2 == 0) {
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
      } else {
        bytes[at] = static_cast<char>(random() % 2 == 0 ? 0xFF : random());
      }
    }
    if (survives(folder, bytes)) ++opened;
  }
  EXPECT_GT(opened, 100);
  EXPECT_LT(opened, 9'900);
}

}  // namespace
}  // namespace zeropoint
