#include <fstream>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/io/npy.hpp"
#include "zeropoint/quantize/difference.hpp"
#include "zeropoint/weights/compare.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "diff_files.hpp"
#include "files.hpp"
#include "progress.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

struct DiffOptions {
  std::vector<std::string> schemes, files;
  std::string json, only, sort, limit;
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

// A tensor as a matrix: an output a row.
MatrixView<const float> as_matrix(std::span<const float> x, const Weight& weight) {
  const std::size_t rows = weight.shape.size() < 2 ? 1 : weight.shape[0];
  const std::size_t cols = rows == 0 ? 0 : x.size() / rows;
  return {x.data(), rows, cols, static_cast<std::ptrdiff_t>(cols), 1};
}

bool is_npy(const std::string& file) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  std::string head(kMagic.size(), '\0');
  std::ifstream(file, std::ios::binary)
      .read(head.data(), static_cast<std::streamsize>(head.size()));
  return head == kMagic || file.ends_with(".npy");
}

// JSON and text of the tensors of one file under two schemes.
std::pair<Json, std::string> diff_schemes(const DiffOptions& options, const Scheme& a,
                                          const Scheme& b) {
  const std::string& file = options.files[0];
  if (is_npy(file)) {
    const Matrix<float> x = read_npy(file);
    const auto difference = compare_schemes(x.view(), a, b, file);
    return {to_json(difference, file), to_text(difference, file)};
  }
  const WeightFile weights = open_weights(file);
  auto chosen = select_weights(weights, options.only);
  std::erase_if(chosen, [](const Weight* weight) { return !weight->is_numbers(); });
  if (chosen.empty()) {
    throw InputError(fmt::format("{}: expected tensors of numbers{}, found none", printable(file),
                                 options.only.empty() ? "" : " that --only matches"));
  }
  Json rows = Json::array();
  std::string text;
  std::uint64_t done = 0, all = 0;
  for (const Weight* weight : chosen) all += weight->bytes;
  ProgressOfBytes progress("comparing");
  for (const Weight* weight : chosen) {
    const std::string name = printable(weight->name);
    const WeightValues values = weights.load(*weight);
    const auto difference = compare_schemes(as_matrix(values.values(), *weight), a, b, name);
    Json row = {{"tensor", weight->name}};
    row.update(to_json(difference, file));
    rows.push_back(std::move(row));
    text += (text.empty() ? "" : "\n") + to_text(difference, name);
    progress.at(done += weight->bytes, all);
  }
  return {rows.size() == 1 ? rows[0] : Json{{"file", file}, {"tensors", rows}}, text};
}

void run_schemes(const DiffOptions& options) {
  const auto names = read_list(options.schemes, "--schemes");
  if (names.size() != 2) {
    throw InputError(
        fmt::format("--schemes: expected two with a comma between, found {}", names.size()));
  }
  const Scheme a = parse_scheme(names[0]);
  const Scheme b = parse_scheme(names[1]);
  if (options.files.size() != 1) {
    throw InputError(
        fmt::format("FILE: expected one with --schemes, found {}", options.files.size()));
  }
  for (const auto& [option, value] :
       {std::pair{"--sort", &options.sort}, std::pair{"--limit", &options.limit}}) {
    if (!value->empty()) {
      throw InputError(fmt::format("{}: expected no --schemes with it, found both", option));
    }
  }
  check_distinct({{"--json", options.json}}, {{"the file", options.files[0]}});
  check_writable(options.json);
  const auto [json, text] = diff_schemes(options, a, b);
  if (!options.json.empty()) {
    write_text(options.json, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  if (options.json != "-") write_text("-", text);
}

DiffOrder read_order(const std::string& text) {
  const std::vector<std::string_view> known = {"error", "name", "order"};
  if (text.empty()) return DiffOrder::error;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (text == known[i]) return static_cast<DiffOrder>(i);
  }
  throw InputError(fmt::format("--sort: expected one of {}, found '{}' (did you mean {}?)",
                               join_words(known), printable(text), nearest_word(text, known)));
}

void run_files(const DiffOptions& options) {
  if (options.files.size() != 2) {
    throw InputError(fmt::format("FILE: expected two, or one with --schemes A,B; found {}",
                                 options.files.size()));
  }
  const DiffOrder order = read_order(options.sort);
  constexpr std::size_t kMostTensors = 40;
  const std::size_t limit =
      options.limit.empty() ? kMostTensors
                            : read_whole<std::size_t>(options.limit, "--limit", 0, 1'000'000'000);
  check_distinct({{"--json", options.json}}, {{"a file that is read", options.files[0]},
                                              {"a file that is read", options.files[1]}});
  check_writable(options.json);
  const WeightFile a = open_weights(options.files[0]), b = open_weights(options.files[1]);
  const FileComparison comparison = [&] {
    ProgressOfBytes progress("comparing");
    return compare_files(a, b, options.only,
                         [&](std::uint64_t done, std::uint64_t all) { progress.at(done, all); });
  }();
  if (!options.json.empty()) write_text(options.json, ::to_json(comparison, a, b));
  if (options.json != "-") write_text("-", ::to_text(comparison, a, b, order, limit));
}

}  // namespace

void add_diff_command(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "diff", "Two files tensor by tensor, or one file under two schemes: what differs, and why");
  const auto options = std::make_shared<DiffOptions>();
  verb->add_option("--schemes", options->schemes,
                   "Two schemes to compare one file under; zeropoint schemes tells of them")
      ->allow_extra_args(false)  // FILE follows
      ->check(given())
      ->type_name("A,B");
  verb->add_option("FILE", options->files,
                   "Two files of tensors, or one with --schemes: .npy, .npz, safetensors (or a "
                   "folder with a set of them), GGUF, ONNX")
      ->required()
      ->check(given())
      ->type_name("");
  verb->add_option("--only", options->only, "Tensors whose names match, in either file (all)")
      ->check(given())
      ->type_name("REGEX");
  verb->add_option("--sort", options->sort, "Tensors by error, name or order in the file (error)")
      ->check(given())
      ->type_name("BY");
  verb->add_option("--limit", options->limit, "Tensors to print; JSON has all (40)")
      ->check(given())
      ->type_name("N");
  verb->add_option("--json", options->json, "As JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->callback(
      [options] { options->schemes.empty() ? run_files(*options) : run_schemes(*options); });
}
