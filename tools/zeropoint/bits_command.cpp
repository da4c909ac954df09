#include "bits_command.hpp"

#include <cmath>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"

#include "bits_facts.hpp"
#include "bits_number.hpp"
#include "bits_print.hpp"
#include "files.hpp"

namespace {

using namespace zeropoint;
using namespace zeropoint::bits;
using Json = nlohmann::ordered_json;

// JSON has no infinities and no NaN: they are strings.
Json json_number(double value) {
  if (std::isfinite(value)) return value;
  return spelled(value);
}

Json to_json(const Taken& taken, const Number& number) {
  const FloatFields& fields = taken.fields;
  const bool finite = taken.finite();
  return {{"format", taken.format->name},
          {"class", class_name(fields.kind)},
          {"code", fields.code},
          {"sign_bits", taken.sign_bits()},
          {"exponent_bits", taken.exponent_bits()},
          {"fraction_bits", taken.fraction_bits()},
          {"exponent", fields.exponent},
          {"fraction", fields.fraction},
          {"bias", taken.format->bias()},
          {"power", finite ? Json(fields.power) : Json()},
          {"significand", finite ? Json(fields.significand) : Json()},
          {"value", json_number(fields.value)},
          {"exact_decimal", spelled(fields.value)},
          {"error", json_number(error_of(fields.value, number))}};
}

Json to_json(const GridChoice& choice, const Number& number) {
  const Quantized q = quantized(choice, number);
  const double error = error_of(q.stands_for, number);
  Json json = {{"grid", name(choice.grid)},
               {"bits", choice.grid.bits},
               {"lo", choice.grid.lo()},
               {"hi", choice.grid.hi()},
               {"convention", to_string(choice.convention)},
               {"convention_in_full", full_form(choice.convention)}};
  json["range"] = choice.range ? Json{choice.range->min, choice.range->max} : Json();
  json["scale"] = choice.params.scale;
  json["zero_point"] = choice.params.zero_point;
  json["code"] = q.code;
  json["code_bits"] = code_bits(choice.grid, q.code);
  json["clipped"] = q.clipped;
  json["value"] = q.stands_for;
  json["error"] = json_number(error);
  json["error_in_steps"] = json_number(error / double{choice.params.scale});
  return json;
}

struct Options {
  std::vector<std::string> values;
  std::string formats = "fp32,fp16,bf16", scale, range, convention = "onnx", json;
  int zero_point = 0, bits = 8;
  CLI::App* command = nullptr;

  bool has(const std::string& option) const { return command->count(option) != 0; }
};

float read_scale(const std::string& text) {
  const Number number = read_number(text, "--scale");
  const auto scale = static_cast<float>(number.value);
  if (!std::isnormal(scale) || scale < 0) {
    throw InputError(
        fmt::format("--scale: expected a number from 1.18e-38 to 3.4e38, found '{}'", number.text));
  }
  return scale;
}

Range read_range(const std::string& text) {
  const std::size_t comma = text.find(',');
  if (comma == text.npos) {
    throw InputError(fmt::format("--range: expected MIN,MAX; found '{}'", text));
  }
  const auto end = [](const Number& number) {
    const auto value = static_cast<float>(number.value);
    if (!std::isfinite(value)) {
      throw InputError(fmt::format(
          "--range: expected two numbers within float32's range, found '{}'", number.text));
    }
    return value;
  };
  const Range range = {end(read_number(text.substr(0, comma), "--range")),
                       end(read_number(text.substr(comma + 1), "--range"))};
  if (range.min > range.max) {
    throw InputError(
        fmt::format("--range: expected MIN <= MAX, found {} and {}", range.min, range.max));
  }
  return range;
}

std::optional<GridChoice> read_grid(const Options& options) {
  const bool by_scale = options.has("--scale");
  const bool by_range = options.has("--range");
  if (by_scale && by_range) {
    throw InputError("bits: expected --scale or --range, which contradict each other; found both");
  }
  if (!by_scale && options.has("--zero-point")) {
    throw InputError(fmt::format("bits: expected --scale beside --zero-point, found {}",
                                 by_range ? "--range, which sets both" : "none"));
  }
  if (!by_scale && !by_range) {
    for (const char* option : {"--bits", "--convention"}) {
      if (options.has(option)) {
        throw InputError(
            fmt::format("bits: expected --scale or --range beside {}, found neither", option));
      }
    }
    return std::nullopt;
  }
  GridChoice choice;
  choice.convention = parse_convention(options.convention);
  choice.grid = choice.convention.grid(options.bits);
  check(choice.grid);
  if (by_range) {
    choice.range = read_range(options.range);
    choice.params = choose_params(*choice.range, choice.grid, choice.convention);
    return choice;
  }
  constexpr int kMost = 1 << 24;  // beyond it, float32 cannot add a zero point exactly
  if (options.zero_point < -kMost || options.zero_point > kMost) {
    throw InputError(fmt::format("--zero-point: expected an integer of at most 2^24, found {}",
                                 options.zero_point));
  }
  choice.params = {read_scale(options.scale), options.zero_point};
  return choice;
}

std::vector<const FloatFormat*> read_formats(const Options& options) {
  std::vector<const FloatFormat*> formats;
  if (options.formats == "all") {
    for (const FloatFormat& format : float_formats()) formats.push_back(&format);
    return formats;
  }
  std::string_view rest = options.formats;
  for (std::size_t comma = 0; comma != rest.npos; rest.remove_prefix(comma + 1)) {
    comma = rest.find(',');
    formats.push_back(&float_format(rest.substr(0, comma)));
    if (comma == rest.npos) break;
  }
  return formats;
}

void run(const Options& options) {
  const std::vector<const FloatFormat*> formats = read_formats(options);
  const std::optional<GridChoice> grid = read_grid(options);
  if (options.values.empty()) {
    throw InputError("VALUE: expected at least one number, found none");
  }
  std::vector<Number> numbers;
  for (const std::string& text : options.values) numbers.push_back(read_number(text, "VALUE"));

  if (options.has("--json")) {
    check_writable(options.json);
    Json values = Json::array();
    for (const Number& number : numbers) {
      Json json = {{"text", number.text},
                   {"value", json_number(number.value)},
                   {"value_is_exact", number.exact},
                   {"formats", Json::array()}};
      for (const FloatFormat* format : formats) {
        json["formats"].push_back(to_json(take(*format, number), number));
      }
      json["quantized"] = grid ? to_json(*grid, number) : Json();
      values.push_back(std::move(json));
    }
    const Json json = {
        {"meta", {{"program", "zeropoint"}, {"verb", "bits"}, {"version", version()}}},
        {"values", std::move(values)}};
    write_text(options.json, json.dump(2) + "\n");
    if (options.json == "-") return;
  }

  Printer printer;
  bool first = true;
  for (const Number& number : numbers) {
    if (!std::exchange(first, false)) printer.line();
    const std::string exact = spelled(number.value);
    printer.line(number.exact && number.text != exact ? fmt::format("{} = {}", number.text, exact)
                                                      : number.text);
    for (const FloatFormat* format : formats) {
      printer.line();
      printer.block(take(*format, number), number);
    }
    if (grid) {
      printer.line();
      printer.block(*grid, number);
    }
  }
  finish_output();
}

}  // namespace

void add_bits_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bits", "A number bit by bit in every format, and what quantizing it loses");
  const auto options = std::make_shared<Options>();
  options->command = command;

  std::string presets;
  for (const ConventionPreset& preset : convention_presets()) {
    presets += fmt::format("{}{}", presets.empty() ? "" : ", ", preset.name);
  }
  command
      ->add_option("VALUE", options->values,
                   "One number or more: decimal, hexadecimal (0x1.8p-2), inf or nan")
      ->type_name("");
  command
      ->add_option("--format", options->formats,
                   fmt::format("Formats to show, all of the list, or any eXmY (default: {})",
                               options->formats))
      ->type_name("NAME,...");
  command->add_option("--scale", options->scale, "Quantize too: value = S * (code - Z)")
      ->type_name("S");
  command
      ->add_option("--zero-point", options->zero_point,
                   "The zero point beside the scale (default: 0)")
      ->type_name("Z");
  command
      ->add_option("--range", options->range,
                   "Quantize too: with the scale and zero point for this range")
      ->type_name("MIN,MAX");
  command->add_option("--bits", options->bits, "Bits of a code, 1 to 16 (default: 8)")
      ->type_name("N");
  command
      ->add_option("--convention", options->convention,
                   fmt::format("Rules of quantizing: {} (default: onnx)", presets))
      ->type_name("C");
  command->add_option("--json", options->json, "Write JSON; - writes it alone to standard output")
      ->type_name("FILE");
  command->callback([options] { run(*options); });
}

void shield_negative_values(std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] != "bits") return;
  for (auto at = arguments.begin() + 1; at != arguments.end(); ++at) {
    if (*at == "--") {
      at = arguments.erase(at);
      for (; at != arguments.end(); ++at) at->insert(0, " ");
      return;
    }
    const std::string_view text = *at;
    if (text.starts_with("-.") || (text.starts_with('-') && named_number(text))) at->insert(0, " ");
  }
}
