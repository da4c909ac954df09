#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "zeropoint/io/tensor_file.hpp"

namespace zeropoint {

/// An archive of stored (uncompressed) arrays, written as they come.
std::string wrong_npz_tensor(const TensorFilePlan::Tensor& tensor);
std::unique_ptr<TensorWriter> create_npz(const std::string& path, const TensorFilePlan& plan);

/// Whether an entry's name leads nowhere but into the archive: relative, without "..".
bool is_safe_entry_name(std::string_view name);

}  // namespace zeropoint
