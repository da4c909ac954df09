#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

#include "support/temporary_folder.hpp"

namespace zeropoint::testing {

/// A test that writes files of some container, well-formed or not, into a folder of its own.
class ContainerTest : public ::testing::Test {
 protected:
  std::string in_folder(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string put(const std::string& name, std::string_view bytes) const {
    // Cut to size afterwards: file systems sync what is emptied and written again, some
    // milliseconds each time.
    const int file = open(in_folder(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    EXPECT_GE(file, 0) << name;
    EXPECT_EQ(write(file, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(ftruncate(file, static_cast<off_t>(bytes.size())), 0);
    close(file);
    return in_folder(name);
  }
  static std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool exists(const std::string& name) const {
    return std::filesystem::exists(folder_.path() / name);
  }

  TemporaryFolder folder_;
};

/// Of a value's own bytes.
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::vector<float> values_of(const TensorFile& file, std::string_view name) {
  const StoredTensor* const tensor = file.find(name);
  if (tensor == nullptr) {
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }
  const TensorBytes bytes = file.load(*tensor);
  EXPECT_EQ(bytes.bytes().size(), tensor->bytes);
  std::vector<float> x(tensor->count);
  tensor->type->decode(bytes.bytes().data(), x.size(), x.data());
  return x;
}

/// What a container says of a file when all of it is read: "" if it has nothing against it, else
/// one line from the first "expected" on.
inline std::string outcome(std::string_view container_name, const std::string& path) {
  try {
    const auto file = container(container_name).open(path);
    for (const StoredTensor& tensor : file->tensors()) {
      const TensorBytes bytes = file->load(tensor);
      EXPECT_EQ(bytes.bytes().size(), tensor.bytes);
      std::vector<float> x(tensor.count);
      tensor.type->decode(bytes.bytes().data(), x.size(), x.data());
    }
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_LT(text.size(), 600U) << text;
    EXPECT_THAT(text, ::testing::HasSubstr(", found ")) << text;
    const std::size_t at = text.find("expected ");
    EXPECT_NE(at, std::string::npos) << text;
    return at == std::string::npos ? text : text.substr(at);
  }
  return "";
}

/// Cuts the file off at each of its bytes, then changes some of its bytes at random: it is read or
/// refused, whatever stands in it. Counts those that were read.
template <class Try>
std::size_t mutate(const std::string& good, std::size_t rounds, const Try& attempt) {
  std::size_t read = 0;
  for (std::size_t size = 0; size < good.size(); ++size) read += attempt(good.substr(0, size));
  EXPECT_EQ(read, 0U) << "a file that was cut off was read";
  std::mt19937_64 random(20240611);
  for (std::size_t round = 0; round < rounds; ++round) {
    std::string bytes = good;
    for (std::size_t edits = 1 + random() % 3; edits-- > 0;) {
      char& byte = bytes[random() % bytes.size()];
      byte = static_cast<char>(random() % 2 == 0 ? byte ^ 1 << random() % 8 : random());
    }
    read += attempt(bytes);
  }
  return read;
}

}  // namespace zeropoint::testing
