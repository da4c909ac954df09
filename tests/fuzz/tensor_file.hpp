#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace zeropoint::fuzz {

/// Opens bytes as that container and decodes some of each tensor. What is refused is fine; that is
/// what the library's own errors are for. A container that is only written is passed over.
void read_tensors(std::string_view container_name, std::span<const std::uint8_t> bytes);

/// The same of the index of a set, amid the files that it may name: a.safetensors with "a" and "b",
/// c.safetensors with "c".
void read_index(std::span<const std::uint8_t> bytes);

}  // namespace zeropoint::fuzz
