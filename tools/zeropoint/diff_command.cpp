#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/npy.hpp"
#include "zeropoint/quantize/difference.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

struct DiffOptions {
  std::vector<std::string> schemes;
  std::string file, json;
};

std::string share(std::size_t part, std::size_t whole) {
  return fmt::format("{} of {} ({:.4g} %)", part, whole,
                     100 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string changes(std::size_t changed, std::size_t whole) {
  return changed == 0 ? "nothing changes" : fmt::format("{} change", share(changed, whole));
}

Json to_json(const SchemeResult& result) {
  return {{"scheme", result.scheme},
          {"relative_error", result.relative_error},
          {"sqnr_db", result.relative_error > 0 ? Json(result.sqnr_db) : Json()},
          {"effective_bits", result.effective_bits},
          {"clipped", result.clipped},
          {"tiles", result.tiles},
          {"scale", result.scale},
          {"zero_point", result.zero_point},
          {"changed_by_requantizing", result.changed_again},
          {"changed_by_requantizing_anew", result.changed_anew}};
}

Json to_json(const SchemeDifference& difference, const std::string& file) {
  Json axes = Json::array();
  for (const auto& axis : difference.axes) {
    axes.push_back(
        {{"axis", axis.axis}, {"a", axis.a}, {"b", axis.b}, {"changed_alone", axis.changed}});
  }
  return {{"file", file},
          {"elements", difference.elements},
          {"a", to_json(difference.a)},
          {"b", to_json(difference.b)},
          {"codes_differ", difference.has_codes ? Json(difference.codes_differ) : Json()},
          {"largest_step_of_codes", difference.has_codes ? Json(difference.largest_step) : Json()},
          {"values_differ", difference.values_differ},
          {"largest_difference", difference.largest_difference},
          {"axes", axes}};
}

std::string to_text(const SchemeDifference& difference, const std::string& file) {
  std::string text = fmt::format("{}, {} values\n\n", file, difference.elements);
  for (const auto& [letter, result] :
       {std::pair{"A", &difference.a}, std::pair{"B", &difference.b}}) {
    text += fmt::format("{}  {}\n", letter, result->scheme);
    if (result->tiles > 0) {
      text +=
          fmt::format("   scale {:.9g}, zero point {}{}\n", result->scale, result->zero_point,
                      result->tiles > 1 ? fmt::format(" (the first of {})", result->tiles) : "");
    }
    text += fmt::format(
        "   relative error {:.4g} ({:.2f} dB), {:.4g} bits a value, {:.3g} % clipped\n"
        "   quantized again {}, with a scale found anew {}\n",
        result->relative_error, result->sqnr_db, result->effective_bits, 100 * result->clipped,
        changes(result->changed_again, difference.elements),
        changes(result->changed_anew, difference.elements));
  }
  text += "\n";
  if (difference.has_codes) {
    text +=
        fmt::format("codes that differ   {}, by {} at most\n",
                    share(difference.codes_differ, difference.elements), difference.largest_step);
  }
  text +=
      fmt::format("values that differ  {}", share(difference.values_differ, difference.elements));
  if (difference.values_differ > 0) {
    text += fmt::format(", by {:.4g} at most, the first at index {}", difference.largest_difference,
                        difference.first_at);
  }
  text += "\n";
  if (difference.axes.empty()) return text + "\nThe two say the same.\n";
  text += "\nWhat they do differently, and how many values of A change if it alone is B's\n";
  for (const auto& axis : difference.axes) {
    text += fmt::format("  {:<18} {:>14} -> {:<14} {}\n", axis.axis, axis.a, axis.b,
                        share(axis.changed, difference.elements));
  }
  return text;
}

void run(const DiffOptions& options) {
  const auto names = read_list(options.schemes, "--schemes");
  if (names.size() != 2) {
    throw InputError(
        fmt::format("--schemes: expected two with a comma between, found {}", names.size()));
  }
  const Scheme a = parse_scheme(names[0]);
  const Scheme b = parse_scheme(names[1]);
  check_distinct({{"--json", options.json}}, {{"the file", options.file}});
  check_writable(options.json);
  const Matrix<float> x = read_npy(options.file);
  const auto difference = compare_schemes(x.view(), a, b, options.file);
  if (!options.json.empty()) {
    write_text(options.json, to_json(difference, options.file).dump(2) + "\n");
  }
  if (options.json != "-") write_text("-", to_text(difference, options.file));
}

}  // namespace

void add_diff_command(CLI::App& app) {
  auto* verb =
      app.add_subcommand("diff", "One tensor under two schemes: which codes differ, and why");
  const auto options = std::make_shared<DiffOptions>();
  verb->add_option("--schemes", options->schemes,
                   "The two schemes; zeropoint schemes tells of them")
      ->required()
      ->check(given())
      ->type_name("A,B");
  verb->add_option("FILE", options->file, "A matrix in a .npy file")
      ->required()
      ->check(given())
      ->type_name("");
  verb->add_option("--json", options->json, "As JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->callback([options] { run(*options); });
}
