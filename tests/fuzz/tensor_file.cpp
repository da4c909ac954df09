#include "fuzz/tensor_file.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/tensor_file.hpp"

namespace zeropoint::fuzz {
namespace {

constexpr std::size_t kDecoded = std::size_t{1} << 20;  // bytes of float32 a tensor
constexpr std::size_t kMostTensors = 64;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::abort();
}

void put(int file, std::span<const std::uint8_t> bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t now =
        pwrite(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (now <= 0) fail("pwrite");
    done += static_cast<std::size_t>(now);
  }
  if (ftruncate(file, static_cast<off_t>(bytes.size())) != 0) fail("ftruncate");
}

void read_all(std::string_view container_name, const std::string& path) {
  const auto& row = container(container_name);
  if (row.open == nullptr) return;
  try {
    const auto file = row.open(path);
    static std::vector<float> x(kDecoded / sizeof(float));
    std::size_t done = 0;
    for (const StoredTensor& tensor : file->tensors()) {
      if (++done > kMostTensors) break;
      try {
        const TensorBytes bytes = file->load(tensor);
        // What the container promises of each.
        if (bytes.bytes().size() != tensor.bytes) fail("a tensor of another size");
        std::size_t count = 1;
        for (const std::size_t size : tensor.shape) count *= size;
        if (count != tensor.count || file->find(tensor.name) != &tensor) fail("another tensor");
        tensor.type->decode(bytes.bytes().data(), std::min(tensor.count, x.size()), x.data());
      } catch (const Error&) {
        continue;  // the others may be whole
      }
    }
    file->dequantizations();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) fail("two lines");
  }
}

// A folder with the shards of a set; gone at the end.
class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "zeropoint-fuzz-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) fail("mkdtemp");
    write("a.safetensors", {{"a", {2}, &tensor_type("F32")}, {"b", {}, &tensor_type("U8")}});
    write("c.safetensors", {{"c", {1}, &tensor_type("U8")}});
    index_ = std::fopen(index().c_str(), "w");
    if (index_ == nullptr) fail("fopen");
  }
  ~Folder() {
    std::fclose(index_);
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string index() const { return path_ + "/index.json"; }
  int index_file() const { return fileno(index_); }

 private:
  void write(const char* name, const std::vector<TensorFilePlan::Tensor>& tensors) const {
    TensorFilePlan plan;
    plan.tensors = tensors;
    const auto writer = container("safetensors").create(path_ + "/" + name, plan);
    for (const auto& tensor : tensors) {
      std::size_t count = 1;
      for (const std::size_t size : tensor.shape) count *= size;
      writer->write(std::vector<std::uint8_t>(tensor.type->stored_bytes(count)));
    }
    writer->finish();
  }

  std::string path_;
  std::FILE* index_ = nullptr;
};

}  // namespace

void read_tensors(std::string_view container_name, std::span<const std::uint8_t> bytes) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  if (file < 0) fail("memfd_create");
  put(file, bytes);
  read_all(container_name, "/proc/self/fd/" + std::to_string(file));
}

void read_index(std::span<const std::uint8_t> bytes) {
  static const Folder folder;
  put(folder.index_file(), bytes);
  read_all("safetensors index", folder.index());
}

}  // namespace zeropoint::fuzz
