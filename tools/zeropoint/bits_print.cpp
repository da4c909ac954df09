#include "bits_print.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

namespace zeropoint::bits {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kLabelColumns = 15;

constexpr std::string_view kRed = "31";
constexpr std::string_view kGreen = "32";
constexpr std::string_view kCyan = "36";

// --- A number in a format ---

// 1.1 for 0.375, as it stands before the power of two.
std::string binary_significand(const Taken& taken) {
  std::string bits = taken.fraction_bits();
  bits.erase(bits.find_last_not_of('0') + 1);
  if (bits.empty()) bits = "0";
  return fmt::format("{}.{}", taken.fields.kind == FloatClass::normal ? 1 : 0, bits);
}

std::string exponent_text(const Taken& taken) {
  const FloatFields& fields = taken.fields;
  const int bias = taken.format->bias();
  switch (fields.kind) {
    case FloatClass::normal:
      return fmt::format("{} - {} (the bias) = {}", fields.exponent, bias, fields.power);
    case FloatClass::subnormal:
      return fmt::format("0 counts as 1 here: 1 - {} (the bias) = {}", bias, fields.power);
    case FloatClass::zero:
      return "0, and the fraction is 0 too: zero";
    case FloatClass::infinite:
      return fmt::format("{}, all ones, with fraction 0: infinity", fields.exponent);
    case FloatClass::nan:
      return taken.format->specials == FloatSpecials::fnuz
                 ? "0, with the sign that no 0 has: not a number"
                 : fmt::format("{}, all ones, {}: not a number", fields.exponent,
                               taken.format->specials == FloatSpecials::fn ? "and the fraction too"
                               : taken.format->fraction_bits == 0          ? "as no scale has it"
                                                                           : "with a fraction");
  }
  return "";
}

std::string class_text(const Taken& taken) {
  const std::string negative = taken.fields.negative ? "negative " : "";
  switch (taken.fields.kind) {
    case FloatClass::zero:
      return negative.empty() ? "zero" : "negative zero: equal to 0, but it keeps its sign";
    case FloatClass::subnormal:
      return fmt::format(
          "subnormal: too small for a leading 1 (from {:.6g} on), so fewer bits count",
          std::ldexp(1.0, 1 - taken.format->bias()));
    case FloatClass::infinite:
      return negative + "infinity";
    case FloatClass::nan:
      return "NaN, not a number";
    case FloatClass::normal:
      return "normal";
  }
  return "";
}

constexpr std::string_view kUnresolved = "not none, but less than double precision can tell";

std::string difference_text(const Taken& taken, const Number& number) {
  const FloatFormat& format = *taken.format;
  const FloatFields& fields = taken.fields;
  if (fields.kind == FloatClass::nan) return "none to speak of: there is no number";
  const double error = error_of(fields.value, number);
  if (error == 0 && number.exact) {
    return taken.finite() ? fmt::format("none: {} holds this number exactly", format.name) : "none";
  }
  if (fields.kind == FloatClass::infinite) {
    return fmt::format("infinite: {} ends at {}", format.name, exact_decimal(largest(format)));
  }
  if (!error_is_resolved(error, number)) return std::string(kUnresolved);
  if (fields.kind == FloatClass::zero) {
    return fmt::format("{:+.6g}, all of it: the smallest positive {} is {:.6g}", error, format.name,
                       decode(format, 1).value);
  }
  const double step = std::ldexp(1.0, fields.power - format.fraction_bits);
  return fmt::format("{:+.6g}, {:.3g} of the step from one {} to the next here, {:.6g}", error,
                     std::abs(error) / step, format.name, step);
}

// --- A number on an integer grid ---

std::string_view rounding_text(Rounding rounding) {
  switch (rounding) {
    case Rounding::half_even:
      return "to the nearest integer, ties to even";
    case Rounding::half_away:
      return "to the nearest integer, ties away from 0";
    case Rounding::floor:
      return "down to an integer";
    case Rounding::truncate:
      return "towards 0 to an integer";
    case Rounding::ceil:
      return "up to an integer";
    case Rounding::stochastic:
      return "up or down at random, right on average";
  }
  return "";
}

// What stands behind another number when this one is added to it, or taken from it.
std::string added(std::int32_t number) {
  return fmt::format("{} {}", number < 0 ? '-' : '+', std::abs(number));
}
std::string taken_away(std::int32_t number) {
  return fmt::format("{} {}", number < 0 ? '+' : '-', std::abs(number));
}

std::vector<std::string> computation_text(const GridChoice& choice, const Quantized& q) {
  if (std::isnan(q.x)) return {"NaN has no code of its own; it gets that of 0"};
  const Convention& convention = choice.convention;
  const float scale = choice.params.scale;
  const std::int32_t zero_point = choice.params.zero_point;
  // An integer in float32 may be beyond the integers.
  const auto integer = [](float x) { return fmt::format("{:.0f}", x + 0.0F); };

  std::vector<std::string> steps;
  if (convention.operation == Operation::divide) {
    steps.push_back(fmt::format("x / scale = {} / {} = {}", q.x, scale, q.scaled));
  } else {
    steps.push_back(fmt::format("x × (1 / scale) = {} × {} = {}", q.x, 1.0F / scale, q.scaled));
  }
  if (convention.order == ZeroPointOrder::before_rounding) {
    steps.push_back(fmt::format("plus the zero point: {} {} = {}", q.scaled, added(zero_point),
                                q.scaled + static_cast<float>(zero_point)));
    steps.push_back(fmt::format("{}: {}", rounding_text(convention.rounding), integer(q.rounded)));
  } else {
    const float rounded = round_to_integer(q.scaled, convention.rounding);
    steps.push_back(fmt::format("{}: {}", rounding_text(convention.rounding), integer(rounded)));
    steps.push_back(fmt::format("plus the zero point: {} {} = {}", integer(rounded),
                                added(zero_point), integer(q.rounded)));
  }
  if (q.clipped) {
    steps.push_back(fmt::format("clipped to the codes there are, {} to {}: {}", choice.grid.lo(),
                                choice.grid.hi(), q.code));
  }
  return steps;
}

std::string difference_text(const GridChoice& choice, const Quantized& q, const Number& number) {
  if (std::isnan(number.value)) return "none to speak of: there is no number";
  const double error = error_of(q.stands_for, number);
  if (std::isinf(error)) return "infinite";
  if (error == 0 && number.exact) return "none";
  if (!error_is_resolved(error, number)) return std::string(kUnresolved);
  const double steps = std::abs(error) / double{choice.params.scale};
  return fmt::format("{:+.6g}, {:.4g} {} (a step is the scale)", error, steps,
                     steps < 1 ? "of a step" : "steps");
}

// --- Lines ---

// Where to break a text that must fit beside the labels.
std::size_t end_of_line(const std::string& text) {
  constexpr std::size_t kRoom = kColumns - kLabelColumns;
  std::size_t columns = 0, last_space = 0, at = 0;
  for (; at < text.size(); ++at) {
    // A character's second byte and those after it take no column.
    if ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) continue;
    if (columns == kRoom) break;
    if (text[at] == ' ') last_space = at;
    ++columns;
  }
  // A long row of digits is cut where it must be; words stay whole.
  const bool fits = at == text.size() || text[at] == ' ';
  return fits || last_space < kRoom / 2 ? at : last_space;
}

bool terminal_takes_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

}  // namespace

Printer::Printer() : colour_(terminal_takes_colour()) {}

void Printer::line(std::string_view text) { fmt::print("{}\n", text); }

std::string Printer::paint(const std::string& text, std::string_view colour) const {
  return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", colour, text) : text;
}

void Printer::field(std::string_view label, std::string_view text) {
  std::string rest(text);
  std::string start = fmt::format("  {:<{}}", label, kLabelColumns - 2);
  while (!rest.empty()) {
    std::size_t end = end_of_line(rest);
    line(start + rest.substr(0, end));
    while (end < rest.size() && rest[end] == ' ') ++end;
    rest.erase(0, end);
    start.assign(kLabelColumns, ' ');
  }
}

void Printer::drawing(const Taken& taken) {
  struct Part {
    std::string name, bits, number;
    std::string_view colour;
  };
  const FloatFields& fields = taken.fields;
  const std::array<Part, 3> parts = {
      Part{"sign", taken.sign_bits(), fields.negative ? "-" : "+", kRed},
      Part{"exponent", taken.exponent_bits(), fmt::format("{}", fields.exponent), kGreen},
      Part{"fraction", taken.fraction_bits(), fmt::format("{}", fields.fraction), kCyan}};
  std::string names, bits, numbers;
  for (const Part& part : parts) {
    if (part.bits.empty()) continue;  // a scale has neither sign nor fraction
    const std::size_t width = std::max(part.name.size(), part.bits.size());
    if (!names.empty()) {
      for (std::string* row : {&names, &bits, &numbers}) *row += " │ ";
    }
    names += fmt::format("{:<{}}", part.name, width);
    bits += paint(part.bits, part.colour) + std::string(width - part.bits.size(), ' ');
    numbers += fmt::format("{:<{}}", part.number, width);
  }
  for (const auto& [label, row] :
       {std::pair{"field", &names}, std::pair{"bits", &bits}, std::pair{"read as", &numbers}}) {
    row->erase(row->find_last_not_of(' ') + 1);
    line(fmt::format("  {:<{}}{}", label, kLabelColumns - 2, *row));
  }
}

void Printer::block(const Taken& taken, const Number& number) {
  const FloatFields& fields = taken.fields;
  line(fmt::format("{}, {} bits: {}", taken.format->name, taken.format->bits(),
                   taken.format->title));
  drawing(taken);
  field("exponent", exponent_text(taken));
  if (fields.kind == FloatClass::normal || fields.kind == FloatClass::subnormal) {
    const std::string significand = exact_decimal(fields.significand);
    field("significand", fmt::format("{} in binary = {}", binary_significand(taken), significand));
    const std::string formula = fmt::format(
        "{}{} × 2^{}", taken.format->has_sign() ? fmt::format("(-1)^{} × ", taken.sign_bits()) : "",
        significand, fields.power);
    const std::string exact = "= " + exact_decimal(fields.value);
    if (kLabelColumns + formula.size() + 1 + exact.size() <= kColumns) {
      field("value", formula + " " + exact);
    } else {
      field("value", formula);
      field("", exact);
    }
  } else {
    field("value", spelled(fields.value));
  }
  field("class", class_text(taken));
  field("difference", difference_text(taken, number));
}

void Printer::block(const GridChoice& choice, const Number& number) {
  const Quantized q = quantized(choice, number);
  const QuantParams params = choice.params;
  const IntegerGrid& grid = choice.grid;
  line(fmt::format("{}, codes {} to {}, by convention {}", name(grid), grid.lo(), grid.hi(),
                   to_string(choice.convention)));
  field("scale", fmt::format("{}{}", params.scale,
                             choice.range ? fmt::format(", from the range {} to {}",
                                                        choice.range->min, choice.range->max)
                                          : ""));
  const bool on_grid = grid.lo() <= params.zero_point && params.zero_point <= grid.hi();
  field("zero point", fmt::format("{}{}", params.zero_point,
                                  on_grid ? "" : ", which is no code: 0 has none of its own"));
  field("reach", fmt::format("values from {} to {}", dequantize(grid.lo(), params),
                             dequantize(grid.hi(), params)));
  if (!number.exact || (q.x != number.value && !std::isnan(q.x))) {
    field("x", fmt::format("{}, the number as fp32", q.x));
  } else {
    field("x", spelled(number.value));
  }
  std::string_view label = "computed";
  for (const std::string& step : computation_text(choice, q)) {
    field(label, step);
    label = "";
  }
  field("code", fmt::format("{}", q.code));
  line(fmt::format("  {:<{}}{}{}", "bits", kLabelColumns - 2, paint(code_bits(grid, q.code), kCyan),
                   grid.is_signed && q.code < 0 ? ", two's complement" : ""));
  field("value", fmt::format("scale × (code - zero point) = {} × ({} {}) = {}", params.scale,
                             q.code, taken_away(params.zero_point), q.stands_for));
  field("clipped", q.clipped ? "yes, the number is out of reach" : "no");
  field("difference", difference_text(choice, q, number));
}

}  // namespace zeropoint::bits
