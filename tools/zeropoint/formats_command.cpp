#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/formats/format.hpp"
#include "zeropoint/quantize/scheme.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

std::string_view kind_name(FormatKind kind) {
  switch (kind) {
    case FormatKind::integer:
      return "integer";
    case FormatKind::floating:
      return "floating";
    case FormatKind::codebook:
      return "codebook";
    case FormatKind::block:
      return "block";
  }
  return "";
}

// As QTensor stores them: codes of 9 to 15 bits take two bytes.
double stored_bits(const FormatRow& row) {
  return row.block == 1 && row.bits > 8 && row.bits < 16 ? 16 : row.bits;
}

// What every verb that lists things does with its rows: JSON where it is asked for, else a table.
void deliver(const std::string& json_file, const Json& json, const std::string& table) {
  check_writable(json_file);
  if (!json_file.empty()) write_text(json_file, json.dump(2) + "\n");
  if (json_file != "-") write_text("-", table);
}

void list_formats(const std::string& json_file) {
  Json json = Json::array();
  std::string table = fmt::format("{:<12} {:<9} {:>10} {:>5}  {}\n", "format", "kind", "bits/value",
                                  "block", "what it is");
  for (const auto& row : formats()) {
    json.push_back({{"format", row.name},
                    {"kind", kind_name(row.kind)},
                    {"bits_per_value", stored_bits(row)},
                    {"block", row.block},
                    {"title", row.title}});
    table +=
        fmt::format("{:<12} {:<9} {:>10g} {:>5}  {}\n", row.name, kind_name(row.kind),
                    stored_bits(row), row.block > 1 ? fmt::format("{}", row.block) : "", row.title);
  }
  table +=
      "\nBits are a value's own, with what a block carries along; a scheme's scales and zero "
      "points\n"
      "come on top. Codes of 9 to 15 bits are stored in 16. Any eXmY is a format, too, up to 16 "
      "bits, with the suffix ieee, fn, fnuz or\n"
      "finite for its rules (e3m3fn), and integers may be narrow (int8-narrow: -127 to 127).\n";
  deliver(json_file, json, table);
}

void list_schemes(const std::string& json_file) {
  Json words = Json::array(), examples = Json::array(), conventions = Json::array();
  std::string table =
      "A scheme is FORMAT:WORD:WORD...@CONVENTION, words in any order, each aspect once at most,\n"
      "with the transforms of a product's operands before it: TRANSFORM+TRANSFORM+FORMAT...\n"
      "zeropoint formats lists the formats.\n\nExamples\n";
  for (const auto& row : scheme_examples()) {
    const auto full = to_string(parse_scheme(row.scheme));
    examples.push_back({{"scheme", row.scheme}, {"full", full}, {"title", row.title}});
    table += fmt::format("  {:<32} {}\n", row.scheme, row.title);
  }
  std::string aspect;
  for (const auto& row : scheme_words()) {
    words.push_back({{"aspect", row.aspect}, {"word", row.word}, {"title", row.title}});
    if (row.aspect != aspect) table += fmt::format("\nWords: {}\n", aspect = row.aspect);
    if (row.word.size() > 32) {
      table += fmt::format("  {}\n  {:<32} {}\n", row.word, "", row.title);
    } else {
      table += fmt::format("  {:<32} {}\n", row.word, row.title);
    }
  }
  table += "\nConventions\n";
  for (const auto& row : convention_presets()) {
    const auto full = full_form(parse_convention(row.name));
    conventions.push_back({{"convention", row.name}, {"full", full}, {"title", row.title}});
    table += fmt::format("  {:<32} {}\n", row.name, row.title);
  }
  deliver(json_file, {{"examples", examples}, {"words", words}, {"conventions", conventions}},
          table);
}

void add_list(CLI::App& app, const char* name, const char* help,
              void (*list)(const std::string& json_file)) {
  auto* verb = app.add_subcommand(name, help);
  const auto json = std::make_shared<std::string>();
  verb->add_option("--json", *json, "As JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->callback([json, list] { list(*json); });
}

}  // namespace

void add_formats_command(CLI::App& app) {
  add_list(app, "formats", "The number formats there are", list_formats);
}

void add_schemes_command(CLI::App& app) {
  add_list(app, "schemes", "What a scheme may say, with examples", list_schemes);
}
