#pragma once
#include <bit>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/command.hpp"

namespace zeropoint::testing {

/// The rows of `study --json`, without what differs from one run to the next: how long they took.
inline nlohmann::json timeless_results(const std::string& json_text) {
  auto results = nlohmann::json::parse(json_text).at("results");
  for (auto& row : results) {
    for (const char* field : {"seconds", "seconds_float_product", "seconds_quantized_product"}) {
      row.erase(field);
    }
  }
  return results;
}

/// The lines of a table that hold rows.
inline std::vector<std::string> table_rows(const std::string& printed) {
  std::vector<std::string> rows;
  for (const auto& line : lines_of(printed)) {
    for (const char* data : {"uniform ", "normal ", "file "}) {
      if (line.starts_with(data)) rows.push_back(line);
    }
  }
  return rows;
}

/// What a study prints, without seconds (the last column) and the page's place.
inline std::string timeless_text(const std::string& printed) {
  std::string text;
  for (auto line : lines_of(printed)) {
    if (line.starts_with("The page with figures: ")) continue;
    if (line.starts_with("data ") || !table_rows(line).empty()) {
      line.erase(line.find_last_of(' ') + 1);
      line.erase(line.find_last_not_of(' ') + 1);
    }
    text += line + "\n";
  }
  return text;
}

/// The fields of a CSV line, of which none here holds a line break.
inline std::vector<std::string> csv_fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') fields.back() += line[i++];
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += line[i];
    }
  }
  return fields;
}

/// An .npy file of float32 as NumPy writes it: `values` row by row, laid down as asked for.
inline std::string npy(std::size_t rows, std::size_t cols, const std::vector<float>& values,
                       bool fortran_order = false, bool big_endian = false) {
  std::string header =
      fmt::format("{{'descr': '{}f4', 'fortran_order': {}, 'shape': ({}, {}), }}",
                  big_endian ? '>' : '<', fortran_order ? "True" : "False", rows, cols);
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes +=
      {'\1', '\0', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  bytes += header;
  for (std::size_t at = 0; at < values.size(); ++at) {
    const auto index = fortran_order ? at % rows * cols + at / rows : at;
    const auto bits = std::bit_cast<std::uint32_t>(values[index]);
    for (int i = 0; i < 4; ++i) {
      bytes += static_cast<char>(bits >> (big_endian ? 24 - 8 * i : 8 * i) & 0xFF);
    }
  }
  return bytes;
}

}  // namespace zeropoint::testing
