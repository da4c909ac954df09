// Writes what the fuzzers start from: FOLDER/FUZZER/FILE, by the library's own writers.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>
#include <zip.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"
#include "zeropoint/quantize/scheme.hpp"

namespace zeropoint {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Nothing if the container does not hold such tensors.
void write(const Container& row, const fs::path& path,
           const std::vector<TensorFilePlan::Tensor>& tensors) {
  TensorFilePlan plan;
  plan.tensors = tensors;
  plan.metadata = {{"general.name", "seed"}};
  try {
    const auto writer = row.create(path.string(), plan);
    for (const auto& tensor : tensors) {
      std::size_t count = 1;
      for (const std::size_t size : tensor.shape) count *= size;
      std::vector<std::uint8_t> bytes(tensor.type->stored_bytes(count));
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
      writer->write(bytes);
    }
    writer->finish();
  } catch (const InputError&) {
    return;
  }
}

void replace(std::string& bytes, const std::string& what, const std::string& by) {
  const std::size_t at = bytes.find(what);
  if (at != std::string::npos) bytes.replace(at, what.size(), by);
}

void write_containers(const fs::path& folder) {
  for (const Container& row : containers()) {
    if (row.create == nullptr) continue;
    const fs::path own = folder / row.name;
    fs::create_directories(own);
    std::vector<TensorFilePlan::Tensor> some;
    for (const TensorType& type : tensor_types()) {
      // The innermost axis fills blocks of every type.
      const TensorFilePlan::Tensor tensor{std::string(type.name), {2, 256}, &type};
      write(row, own / type.name, {tensor});
      if (some.size() < 3 && fs::exists(own / type.name)) some.push_back(tensor);
    }
    some.push_back({"number", {}, &tensor_type("F32")});
    write(row, own / "some", some);
    some.pop_back();
    some.push_back({"none", {0, 3}, &tensor_type("F32")});
    write(row, own / "more", some);
    write(row, own / "small", {{"w", {3, 2}, &tensor_type("F16")}});
  }
}

// What the writers never write, but NumPy does.
void write_more_arrays(const fs::path& folder) {
  std::string columns = contents(folder / "npy" / "small");
  replace(columns, "False", "True ");
  put(folder / "npy" / "columns", columns);
  replace(columns, "'<", "'>");
  put(folder / "npy" / "big", columns);
  const std::string path = (folder / "npz" / "deflated").string();
  fs::remove(path);
  zip_t* const archive = zip_open(path.c_str(), ZIP_CREATE, nullptr);
  if (archive == nullptr) throw WorkError(path + ": cannot be created");
  for (const char* name : {"w.npy", "readme.txt"}) {
    zip_source_t* const source = zip_source_buffer(archive, columns.data(), columns.size(), 0);
    zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8);
  }
  if (zip_close(archive) != 0) throw WorkError(path + ": cannot be written");
}

void write_texts(const fs::path& folder) {
  fs::create_directories(folder / "safetensors_index");
  put(folder / "safetensors_index" / "set",
      R"({"metadata": {"total_size": 10}, "weight_map": {"a": "a.safetensors",)"
      R"( "b": "a.safetensors", "c": "c.safetensors"}})");
  put(folder / "safetensors_index" / "one", R"({"weight_map":{"c":"c.safetensors"}})");
  fs::create_directories(folder / "scheme");
  int count = 0;
  for (const auto& example : scheme_examples()) {
    put(folder / "scheme" / std::to_string(count++), std::string(example.scheme));
    put(folder / "scheme" / std::to_string(count++), to_string(parse_scheme(example.scheme)));
  }
}

}  // namespace
}  // namespace zeropoint

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", words[0]);
    return 2;
  }
  try {
    const std::filesystem::path folder = words[1];
    std::filesystem::create_directories(folder);
    zeropoint::write_containers(folder);
    zeropoint::write_more_arrays(folder);
    zeropoint::write_texts(folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
