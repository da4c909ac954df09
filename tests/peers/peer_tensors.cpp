// What the comparisons of containers of tensors with other tools run.
//   peer_tensors dump FILE FOLDER   a line of JSON for the file, one for each tensor; each tensor's
//                                   bytes to FOLDER/NUMBER.bin, its numbers, float32, to NUMBER.f32
//   peer_tensors copy IN OUT CONTAINER   writes every tensor as it is
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

namespace {

using Json = nlohmann::ordered_json;

void print(const Json& line) {
  std::puts(line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

void write(const std::filesystem::path& path, const void* data, std::size_t bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  if (!file) throw zeropoint::WorkError(path.string() + ": cannot be written");
}

void dump(const std::string& path, const std::filesystem::path& folder) {
  const auto file = zeropoint::open_tensor_file(path);
  print({{"container", file->container()}, {"metadata", file->metadata()}});
  std::size_t number = 0;
  for (const auto& tensor : file->tensors()) {
    print({{"name", tensor.name},
           {"type", tensor.type->name},
           {"shape", tensor.shape},
           {"bytes", tensor.bytes}});
    const auto loaded = file->load(tensor);
    std::vector<float> x(tensor.count);
    tensor.type->decode(loaded.bytes().data(), x.size(), x.data());
    write(folder / (std::to_string(number) + ".bin"), loaded.bytes().data(), tensor.bytes);
    write(folder / (std::to_string(number) + ".f32"), x.data(), x.size() * sizeof(float));
    ++number;
  }
}

void copy(const std::string& in, const std::string& out, const std::string& name) {
  const auto file = zeropoint::open_tensor_file(in);
  const auto& container = zeropoint::container(name);
  if (container.create == nullptr) throw zeropoint::InputError(name + ": is only read");
  zeropoint::TensorFilePlan plan;
  plan.source = file.get();
  for (const auto& tensor : file->tensors()) {
    plan.tensors.push_back({tensor.name, tensor.shape, tensor.type});
  }
  // Of the same kind, the source's own goes on.
  if (file->container() == container.name) {
    plan.dequantizations = file->dequantizations();
  } else {
    plan.metadata = file->metadata();
  }
  const auto writer = container.create(out, plan);
  for (const auto& tensor : file->tensors()) writer->write(file->load(tensor).bytes());
  writer->finish();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 3 && words[0] == "dump") {
      dump(words[1], words[2]);
    } else if (words.size() == 4 && words[0] == "copy") {
      copy(words[1], words[2], words[3]);
    } else {
      std::fprintf(stderr, "peer_tensors: expected a command, see its source\n");
      return 2;
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer_tensors: %s\n", error.what());
    return 1;
  }
}
