#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"

#include "io/container_rows.hpp"
#include "io/mapped_file.hpp"

namespace zeropoint {
namespace {

namespace fs = std::filesystem;

// Those that begin with a signature first; ONNX has none.
const Container* const kContainers[] = {
    &kNpy,  &kNpz, &kGguf, &kSafetensors, &kSafetensorsIndex,
#ifdef ZEROPOINT_ONNX
    &kOnnx,
#endif
};

// The sharded set, or the single file, that a folder as hubs lay it out holds.
std::string within_folder(const std::string& path) {
  for (const char* name : {"model.safetensors.index.json", "model.safetensors",
                           "diffusion_pytorch_model.safetensors.index.json",
                           "diffusion_pytorch_model.safetensors", "model.onnx"}) {
    const fs::path file = fs::path(path) / name;
    std::error_code error;
    if (fs::is_regular_file(file, error)) return file.string();
  }
  refuse_file(path, "a file, or a folder with model.safetensors.index.json or model.safetensors",
              "a folder without them");
}

}  // namespace

std::span<const Container> containers() {
  static const std::vector<Container> all = [] {
    std::vector<Container> rows;
    for (const Container* row : kContainers) rows.push_back(*row);
    return rows;
  }();
  return all;
}

const Container& container(std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& row : containers()) {
    if (row.name == name) return row;
    known.push_back(row.name);
  }
  throw InputError(fmt::format("container: expected one of {}, found '{}' (did you mean {}?)",
                               join_words(known), printable(name), nearest_word(name, known)));
}

const Container* container_of_suffix(std::string_view path) {
  const auto rows = containers();
  const auto has = [path](const Container& row) {
    return row.create != nullptr && !row.suffix.empty() && path.ends_with(row.suffix);
  };
  const auto found = std::ranges::find_if(rows, has);
  return found == rows.end() ? nullptr : &*found;
}

std::unique_ptr<TensorFile> open_tensor_file(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return open_tensor_file(within_folder(path));
  const MappedFile file(path);
  const auto head = file.bytes().first(std::min<std::size_t>(file.bytes().size(), 64));
  for (const auto& row : containers()) {
    if (row.recognizes(head, file.bytes().size())) return row.open(path);
  }
  std::vector<std::string_view> known;
  for (const auto& row : containers()) known.push_back(row.name);
  const auto start = head.first(std::min<std::size_t>(head.size(), 8));
  refuse_file(
      path, fmt::format("a file of tensors ({})", join_words(known)),
      head.empty()
          ? "an empty file"
          : fmt::format("one that begins with \"{}\"",
                        printable({reinterpret_cast<const char*>(start.data()), start.size()})));
}

}  // namespace zeropoint
