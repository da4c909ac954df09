#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/weights/quantize_file.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "progress.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

struct Options {
  std::string file, output, scheme, only, fallback, container, json, threads;
  std::vector<std::string> overrides;
  bool dry_run = false, fake = false, requantize = false;
};

std::string shape_text(const std::vector<std::size_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// A line a tensor, the columns as wide as the longest.
std::string to_text(const QuantizePlan& plan, bool is_done) {
  constexpr std::size_t kMostName = 48;
  std::size_t name_width = 4, shape_width = 5, before_width = 0, after_width = 0;
  for (const auto& each : plan.weights) {
    name_width = std::max(name_width, shortened(printable(each.weight->name), kMostName).size());
    shape_width = std::max(shape_width, shape_text(each.weight->shape).size());
    before_width = std::max(before_width, each.weight->type.size());
    after_width = std::max(after_width, each.scheme ? each.type.size() : 0);
  }
  std::string text;
  for (const auto& each : plan.weights) {
    const Weight& weight = *each.weight;
    text +=
        fmt::format("{:<{}}  {:<{}}  {:<{}}", shortened(printable(weight.name), kMostName),
                    name_width, shape_text(weight.shape), shape_width, weight.type, before_width);
    const std::string before = size_text(static_cast<double>(weight.bytes));
    if (!each.problem.empty()) {
      text += fmt::format("    {}\n", each.problem);
      continue;
    }
    if (!each.scheme) {
      text += fmt::format("    {:<{}}  {:>10}  kept: {}\n", "", after_width, before, each.reason);
      continue;
    }
    text += fmt::format(" -> {:<{}}  {:>10} -> {:<8}", each.type, after_width, before,
                        size_text(static_cast<double>(each.bytes)));
    if (each.relative_error) {
      text += *each.relative_error == 0
                  ? "  nothing lost"
                  : fmt::format("  {:7.2f} dB, error {:.3g}", each.sqnr_db(), *each.relative_error);
    }
    if (!each.fell_back.empty()) text += fmt::format("  (fallback: {})", each.fell_back);
    while (text.ends_with(' ')) text.pop_back();
    text += "\n";
  }
  const double before = static_cast<double>(plan.bytes_before);
  const double after = static_cast<double>(plan.bytes_after);
  text +=
      fmt::format("\n{} of {} tensors {}quantized, {} -> {}", plan.quantized(), plan.weights.size(),
                  is_done ? "" : "to be ", size_text(before), size_text(after));
  if (before > 0) text += fmt::format(" ({:.1f} %)", 100 * after / before);
  return text + "\n";
}

Json to_json(const QuantizePlan& plan, const Options& options, double seconds) {
  Json tensors = Json::array();
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json() : Json(text);
  };
  for (const auto& each : plan.weights) {
    const bool is_known = each.relative_error && std::isfinite(*each.relative_error);
    const bool has_db = is_known && *each.relative_error > 0;
    tensors.push_back({{"name", each.weight->name},
                       {"shape", each.weight->shape},
                       {"type_before", each.weight->type},
                       {"type_after", each.type},
                       {"scheme", each.scheme ? Json(to_string(*each.scheme)) : Json()},
                       {"bytes_before", each.weight->bytes},
                       {"bytes_after", each.bytes},
                       {"relative_error", is_known ? Json(*each.relative_error) : Json()},
                       {"sqnr_db", has_db ? Json(each.sqnr_db()) : Json()},
                       {"kept", text_or_null(each.reason)},
                       {"problem", text_or_null(each.problem)},
                       {"fallback", text_or_null(each.fell_back)}});
  }
  return {{"file", options.file},
          {"output", text_or_null(options.output)},
          {"container", plan.options.container},
          {"dry_run", options.dry_run},
          {"fake", options.fake},
          {"bytes_before", plan.bytes_before},
          {"bytes_after", plan.bytes_after},
          {"seconds", seconds},
          {"tensors", tensors}};
}

// Names are what a file from elsewhere says: JSON that cannot be written is no reason to fail.
std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

QuantizeOptions read_options(const Options& options, const WeightFile& file) {
  QuantizeOptions result;
  result.scheme = options.scheme;
  result.only = options.only;
  result.fallback = options.fallback;
  result.fake = options.fake;
  result.requantize = options.requantize;
  for (const auto& text : options.overrides) {
    // The pattern may hold '=', and so may the scheme: the first one that leaves a scheme behind
    // it.
    std::size_t at = std::string::npos;
    for (std::size_t i = text.find('='); i != std::string::npos && at == std::string::npos;
         i = text.find('=', i + 1)) {
      const std::string scheme = text.substr(i + 1);
      try {
        if (scheme != "keep") parse_scheme(scheme);
        at = i;
      } catch (const InputError&) {
      }
    }
    if (at == std::string::npos) {
      const std::size_t first = text.find('=');
      if (first == std::string::npos) {
        throw InputError(
            fmt::format("--override: expected REGEX=SCHEME, found '{}'", printable(text)));
      }
      parse_scheme(text.substr(first + 1));  // says what is wrong with it
    }
    result.overrides.emplace_back(text.substr(0, at), text.substr(at + 1));
  }
  if (!options.container.empty()) {
    result.container = container(options.container).name;
  } else if (const Container* by_name = container_of_suffix(options.output)) {
    result.container = by_name->name;
  } else if (!options.output.empty()) {
    std::vector<std::string_view> suffixes;
    for (const auto& row : containers()) {
      if (row.create != nullptr) suffixes.push_back(row.suffix);
    }
    throw InputError(
        fmt::format("--output: expected a name that ends with one of {}, or --to, "
                    "found '{}'",
                    join_words(suffixes), printable(options.output)));
  } else if (const auto same = file.file().container(); same == "gguf" || same == "onnx") {
    result.container = same;
  }
  return result;
}

void run(const Options& options) {
  if (options.output.empty() && !options.dry_run) {
    throw InputError("quantize: expected --output FILE or --dry-run, found neither");
  }
  if (!options.threads.empty()) set_threads(read_whole(options.threads, "--threads", 1, 4096));
  check_distinct({{"--json", options.json}, {"--output", options.output}},
                 {{"the file that is read", options.file}});
  check_writable(options.json);
  check_writable(options.dry_run ? "" : options.output);
  const WeightFile file = open_weights(options.file);
  const auto start = std::chrono::steady_clock::now();
  QuantizePlan plan;
  {
    ProgressOfBytes progress("checking");
    plan =
        plan_quantization(file, read_options(options, file), true,
                          [&](std::uint64_t done, std::uint64_t all) { progress.at(done, all); });
  }
  const auto report = [&] {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!options.json.empty()) {
      write_text(options.json, dump(to_json(plan, options, seconds.count())));
    }
    if (options.json == "-") return;
    std::string text = to_text(plan, !options.dry_run && plan.problems() == 0);
    if (!options.dry_run && plan.problems() == 0) {
      text += fmt::format("{} written in {:.2f} s ({}/s read)\n", printable(options.output),
                          seconds.count(),
                          size_text(static_cast<double>(plan.bytes_before) / seconds.count()));
    }
    write_text("-", text);
  };
  if (plan.problems() != 0) {
    report();
    throw InputError(fmt::format(
        "{}: expected each tensor to fit, found {} that {}; where it is the scheme's fault, "
        "--fallback SCHEME (or keep) serves",
        printable(options.file), plan.problems(), plan.problems() == 1 ? "does not" : "do not"));
  }
  if (!options.dry_run) {
    ProgressOfBytes progress("quantizing");
    write_quantized(file, plan, options.output,
                    [&](std::uint64_t done, std::uint64_t all) { progress.at(done, all); });
  }
  report();
}

}  // namespace

void add_quantize_command(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "quantize", "Writes a model's file quantized: safetensors, GGUF or ONNX, a scheme a tensor");
  const auto options = std::make_shared<Options>();
  verb->add_option("FILE", options->file,
                   "Tensors: .npy, .npz, safetensors (or a folder with a set of them), GGUF, ONNX")
      ->required()
      ->check(given())
      ->type_name("");
  verb->add_option("-o,--output", options->output,
                   "The new file; its suffix says the container (.safetensors, .gguf, .onnx, .npz)")
      ->check(given())
      ->type_name("FILE");
  verb->add_option("--scheme", options->scheme,
                   "Of tensors with at least two axes; zeropoint schemes tells of them")
      ->required()
      ->check(given())
      ->type_name("SCHEME");
  verb->add_option("--override", options->overrides,
                   "Another scheme, or keep, for names that match; the last that matches counts")
      ->allow_extra_args(false)
      ->check(given())
      ->type_name("REGEX=SCHEME");
  verb->add_option("--only", options->only, "Quantizes the names that match, and no others")
      ->check(given())
      ->type_name("REGEX");
  verb->add_option("--fallback", options->fallback,
                   "A scheme, or keep, for tensors that theirs does not fit")
      ->check(given())
      ->type_name("SCHEME");
  verb->add_option("--to", options->container, "The container, whatever the suffix")
      ->check(given())
      ->type_name("NAME");
  verb->add_flag("--fake", options->fake,
                 "Writes what the codes stand for, as floating-point numbers");
  verb->add_flag("--dry-run", options->dry_run, "Says what would become of each tensor");
  verb->add_flag("--requantize", options->requantize, "Also what is quantized already");
  verb->add_option("--threads", options->threads, "Threads; the bytes do not depend on it (all)")
      ->check(given())
      ->type_name("N");
  verb->add_option("--json", options->json, "As JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->callback([options] { run(*options); });
}
