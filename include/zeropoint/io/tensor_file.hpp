#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "zeropoint/io/tensor_type.hpp"

namespace zeropoint {

/// A tensor of a container: what is known without reading its numbers.
struct StoredTensor {
  std::string name;                ///< as the file has it; escape it where it is shown
  std::vector<std::size_t> shape;  ///< the outermost axis first; none of a single number
  const TensorType* type = nullptr;
  std::size_t count = 1;  ///< values: the product of the shape
  std::size_t bytes = 0;  ///< as they are stored once they are unpacked: type->stored_bytes(count)
  std::uint64_t place = 0;  ///< where the container finds them; its own matter
  std::size_t part = 0;     ///< of a set of files, which
};

/// The product of a shape, which std::size_t must hold.
std::size_t value_count(std::span<const std::size_t> shape);

/// The bytes of a tensor while somebody reads them: part of a mapped file, or of memory. Gives back
/// the pages it read when it goes, so that a file of any size takes no more than what is read.
class TensorBytes {
 public:
  TensorBytes(std::span<const std::uint8_t> bytes, std::function<void()> release)
      : bytes_(bytes), release_(std::move(release)) {}
  explicit TensorBytes(std::vector<std::uint8_t> owned)
      : owned_(std::move(owned)), bytes_(owned_) {}
  ~TensorBytes() {
    if (release_) release_();
  }
  TensorBytes(TensorBytes&& other) noexcept
      : owned_(std::move(other.owned_)),
        bytes_(other.bytes_),
        release_(std::exchange(other.release_, nullptr)) {}
  TensorBytes& operator=(TensorBytes&&) = delete;

  /// As TensorType says: row-major, little-endian, from the first value on.
  std::span<const std::uint8_t> bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> owned_;
  std::span<const std::uint8_t> bytes_;
  std::function<void()> release_;
};

/// Tensors that stand for another, as an ONNX graph says it: values = scale · (codes − zero point),
/// each scale for one tensor, one index along `axis`, or `block` of them along it.
struct DequantizedTensor {
  std::string name;  ///< of what comes out
  std::string codes, scale;
  std::string zero_point;  ///< empty: 0
  std::size_t axis = 0;
  std::size_t block = 0;     ///< 0: one scale a tensor or an index of the axis
  bool per_channel = false;  ///< a scale for each index of the axis
};

/// A file of tensors, or a set of files, opened for reading: sizes and names are checked against
/// the file when it is opened, so that whatever it says, no byte outside of it is read. Safe to
/// read from several threads at once.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;

  /// As the user gave it.
  const std::string& path() const { return path_; }
  /// "safetensors": a row of containers().
  std::string_view container() const { return container_; }
  /// In the order of the file. Names are not empty and occur once.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// What the file says about itself, as text.
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  /// All that it is read from: an index and its shards, a model and its external data.
  virtual std::vector<std::string> files() const { return {path_}; }
  /// Of all its files.
  std::uint64_t file_bytes() const { return file_bytes_; }
  /// Null if there is none of that name.
  const StoredTensor* find(std::string_view name) const;
  /// What its tensors stand for, where the container can say so.
  virtual std::vector<DequantizedTensor> dequantizations() const { return {}; }

  /// Throws InputError if the bytes turn out to be wrong only now (a damaged archive).
  virtual TensorBytes load(const StoredTensor& tensor) const = 0;

 protected:
  TensorFile(std::string path, std::string_view container)
      : path_(std::move(path)), container_(container) {}
  /// Appends one, its count and bytes worked out from shape and type. Throws InputError if the name
  /// is empty or was there before, or no std::size_t holds the bytes.
  StoredTensor& add(std::string name, std::vector<std::size_t> shape, const TensorType& type);
  /// Once all are added; throws InputError naming one that occurs twice.
  void check_names();

  std::vector<StoredTensor> tensors_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::uint64_t file_bytes_ = 0;

 private:
  std::string path_;
  std::string_view container_;
  std::vector<std::size_t> by_name_;
};

/// What a new file is to hold, all of it known before the first byte is written.
struct TensorFilePlan {
  struct Tensor {
    std::string name;
    std::vector<std::size_t> shape;
    const TensorType* type = nullptr;
  };
  std::vector<Tensor> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<DequantizedTensor> dequantizations;  ///< of ONNX
  /// Whose metadata (GGUF) or graph (ONNX) goes on; null: a new file.
  const TensorFile* source = nullptr;
};

/// A file that is being written, under another name until it is whole. Destroyed before finish(),
/// it leaves nothing.
class TensorWriter {
 public:
  virtual ~TensorWriter() = default;
  /// The next bytes of the plan's tensors, one tensor after the other. Throws WorkError if they
  /// cannot be written.
  virtual void write(std::span<const std::uint8_t> bytes) = 0;
  /// Syncs the file and gives it its name. All bytes must have been written.
  virtual void finish() = 0;
};

/// A kind of file: one row of container_list.cpp.
struct Container {
  std::string_view name;    ///< "safetensors"
  std::string_view title;   ///< what it is, for tables
  std::string_view suffix;  ///< of new files: ".npz"
  /// Whether a file that begins so (its first 64 bytes or fewer) is to be read as this one; asked
  /// in the order of the list.
  bool (*recognizes)(std::span<const std::uint8_t> head, std::uint64_t file_bytes);
  std::unique_ptr<TensorFile> (*open)(const std::string& path);
  /// Throws InputError if the container cannot hold the plan, naming what it cannot. Null if it is
  /// only read.
  std::unique_ptr<TensorWriter> (*create)(const std::string& path, const TensorFilePlan& plan);
  /// "expected …, found …" if it can hold no such tensor, whatever the others are; empty if it can.
  std::string (*wrong_tensor)(const TensorFilePlan::Tensor& tensor);
};
std::span<const Container> containers();
/// Throws InputError naming the nearest.
const Container& container(std::string_view name);
/// By the suffix of a file to write; null if none has it.
const Container* container_of_suffix(std::string_view path);

/// Opens what the content says it is, whatever its name: .npy, .npz, safetensors (a file, a
/// model.safetensors.index.json or the folder that holds one), GGUF, ONNX. Throws InputError in one
/// line: no such file, none of these, or damaged and where.
std::unique_ptr<TensorFile> open_tensor_file(const std::string& path);

}  // namespace zeropoint
