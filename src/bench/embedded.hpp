#pragma once
#include <span>
#include <string_view>

/// The lists in bench/shapes/, which the build puts into the library (report/embed.cmake).
namespace zeropoint::embedded {

std::span<const std::string_view> shapes_squares();
std::span<const std::string_view> shapes_layers();
std::span<const std::string_view> shapes_awkward();
std::span<const std::string_view> shapes_quick();

}  // namespace zeropoint::embedded
