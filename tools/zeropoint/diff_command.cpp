#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/npy.hpp"
#include "zeropoint/quantize/difference.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "diff_files.hpp"
#include "files.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

struct DiffOptions {
  std::vector<std::string> schemes, files;
  std::string file, json, only, sort, limit;
};

std::string share(std::size_t part, std::size_t whole) {
  return fmt::format("{} of {} ({:.4g} %)", part, whole,
                     100 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string changes(std::size_t changed, std::size_t whole) {
  return changed == 0 ? "nothing changes" : fmt::format("{} change", share(changed, whole));
}

std::string error_of(const SchemeResult& result) {
  if (result.is_zero) {
    return fmt::format("relative error – as all is 0, {} what came back",
                       result.relative_error == 0 ? "and so is" : "but not");
  }
  if (result.relative_error == 0) return "relative error 0: every value came back as it was";
  return fmt::format("relative error {:.4g} ({:.2f} dB)", result.relative_error, result.sqnr_db);
}

std::string again(const SchemeResult& result, std::size_t whole) {
  if (!result.changed_again || !result.changed_anew) {
    return fmt::format("cannot be quantized again: {}", result.not_again);
  }
  return fmt::format("quantized again {}, with a scale found anew {}",
                     changes(*result.changed_again, whole), changes(*result.changed_anew, whole));
}

Json count_or_null(const std::optional<std::size_t>& count) {
  return count ? Json(*count) : Json();
}

Json to_json(const SchemeResult& result) {
  return {{"scheme", result.scheme},
          {"relative_error", result.is_zero ? Json() : Json(result.relative_error)},
          {"sqnr_db", result.relative_error > 0 && !result.is_zero ? Json(result.sqnr_db) : Json()},
          {"effective_bits", result.effective_bits},
          {"clipped", result.clipped},
          {"tiles", result.tiles},
          {"scale", result.scale},
          {"zero_point", result.zero_point},
          {"changed_by_requantizing", count_or_null(result.changed_again)},
          {"changed_by_requantizing_anew", count_or_null(result.changed_anew)},
          {"not_requantized", result.not_again.empty() ? Json() : Json(result.not_again)}};
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
          {"same", difference.same},
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
    text += fmt::format("   {}, {:.4g} bits a value, {:.3g} % clipped\n   {}\n", error_of(*result),
                        result->effective_bits, 100 * result->clipped,
                        again(*result, difference.elements));
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
  if (difference.same) return text + "\nThe two say the same.\n";
  if (difference.axes.empty()) return text + "\nThe two differ in nothing that decides a value.\n";
  text += "\nWhat they do differently, and how many values of A change if it alone is B's\n";
  for (const auto& axis : difference.axes) {
    text += fmt::format("  {:<18} {:>14} -> {:<14} {}\n", axis.axis, axis.a, axis.b,
                        share(axis.changed, difference.elements));
  }
  return text;
}

void diff_schemes(const DiffOptions& options) {
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

void run(DiffOptions options) {
  const auto refuse = [](std::string_view expected, std::string_view found) {
    throw InputError(fmt::format("diff: expected {}, found {}", expected, found));
  };
  const std::string found = fmt::format("{}", options.files.size());
  if (!options.schemes.empty()) {
    if (options.files.size() != 1) refuse("one FILE with --schemes", found);
    for (const auto* option : {&options.only, &options.sort, &options.limit}) {
      if (!option->empty()) refuse("--only, --sort and --limit with two files", "--schemes");
    }
    options.file = options.files[0];
    return diff_schemes(options);
  }
  if (options.files.size() != 2) {
    refuse("two files, or one FILE and --schemes A,B",
           options.files.size() == 1 ? "one file" : found);
  }
  DiffFilesOptions of_files{options.files[0], options.files[1], options.only, options.json};
  if (!options.sort.empty()) of_files.sort = options.sort;
  if (!options.limit.empty()) of_files.limit = options.limit;
  diff_files(of_files);
}

}  // namespace

void add_diff_command(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "diff", "Two files of tensors; or one tensor under two schemes: what differs, and why");
  const auto options = std::make_shared<DiffOptions>();
  verb->add_option("--schemes", options->schemes,
                   "One matrix in a .npy file under two schemes; zeropoint schemes tells of them")
      ->allow_extra_args(false)  // FILE follows
      ->check(given())
      ->type_name("A,B");
  verb->add_option("FILE", options->files,
                   "Two files (.npy, .npz, safetensors, GGUF, ONNX), or one with --schemes")
      ->required()
      ->check(given())
      ->type_name("");
  verb->add_option("--only", options->only, "Tensors whose names match")
      ->check(given())
      ->type_name("REGEX");
  verb->add_option("--sort", options->sort, "Tensors by error, name or as in the file (error)")
      ->check(given())
      ->type_name("ORDER");
  verb->add_option("--limit", options->limit, "Tensors to be shown (40)")
      ->check(given())
      ->type_name("N");
  verb->add_option("--json", options->json, "As JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->callback([options] { run(*options); });
}
