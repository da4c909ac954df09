#pragma once
#include <span>
#include <string_view>

/// Files that the build puts into the library (embed.cmake), each in pieces to be joined.
namespace zeropoint::embedded {

std::span<const std::string_view> analysis_css();
std::span<const std::string_view> analysis_html();
std::span<const std::string_view> analysis_js();
std::span<const std::string_view> chart_js();
std::span<const std::string_view> page_css();
std::span<const std::string_view> page_html();
std::span<const std::string_view> page_js();

}  // namespace zeropoint::embedded
