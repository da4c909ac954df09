#include "diff_files.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/weights/compare.hpp"

#include "arguments.hpp"
#include "bytes_progress.hpp"
#include "files.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

std::string index_text(const std::vector<std::size_t>& index) {
  return fmt::format("[{}]", fmt::join(index, ", "));
}

// One line a tensor.
std::string line_of(const WeightDifference& each, std::size_t name_width) {
  std::string name = printable(each.name_a);
  if (each.by_shape) name += " / " + printable(each.name_b);
  std::string line = fmt::format("{:<{}}  {}", name, name_width, index_text(each.shape));
  line += each.type_a == each.type_b ? "  " + each.type_a
                                     : fmt::format("  {} -> {}", each.type_a, each.type_b);
  if (!each.problem.empty()) return line + "  not compared: " + each.problem + "\n";
  if (each.not_finite_differ > 0) {
    line += fmt::format("  {} values finite on one side only", each.not_finite_differ);
  }
  if (each.values_differ == 0) return line + "  the same\n";
  line += fmt::format("  error {:.3g}", each.relative_error);
  if (std::isfinite(each.sqnr_db)) line += fmt::format(" ({:.2f} dB)", each.sqnr_db);
  if (std::isfinite(each.cosine)) line += fmt::format(", cosine {:.6f}", each.cosine);
  line += fmt::format(", worst {:.4g} at {}: {:.6g} and {:.6g}", each.largest,
                      index_text(each.largest_at), each.largest_a, each.largest_b);
  if (each.codes_differ) {
    line +=
        fmt::format(", {} codes differ, by {:g} at most", *each.codes_differ, each.largest_step);
  }
  return line + "\n";
}

std::string lint_text(char file, const std::vector<LintFinding>& findings) {
  std::string text;
  for (const auto& each : findings) {
    std::vector<std::string> what;
    const auto say = [&](std::size_t count, std::string_view name) {
      if (count > 0) what.push_back(fmt::format("{} {}", count, name));
    };
    say(each.not_finite, "values that are NaN or infinite");
    say(each.lint.dead_scales, "dead scales (0, too small or not finite)");
    say(each.lint.zero_blocks, fmt::format("of {} tiles all zero", each.lint.tiles));
    say(each.lint.outside_zero_points, "zero points beyond the codes");
    text += fmt::format("{}  {} ({}): {}\n", file, printable(each.name), each.type,
                        fmt::join(what, ", "));
  }
  return text;
}

std::string to_text(const FileDifference& difference, const std::string& sort, std::size_t limit) {
  std::vector<const WeightDifference*> order;
  for (const auto& each : difference.weights) order.push_back(&each);
  const auto badness = [](const WeightDifference* each) {
    if (!each->problem.empty() || each->not_finite_differ > 0) {
      return std::numeric_limits<double>::infinity();
    }
    return each->relative_error;
  };
  if (sort == "error") std::ranges::stable_sort(order, std::ranges::greater{}, badness);
  if (sort == "name") std::ranges::stable_sort(order, {}, &WeightDifference::name_a);
  std::string text = fmt::format(
      "A  {}: {}, {}\nB  {}: {}, {}\n\n", printable(difference.path_a), difference.container_a,
      size_text(static_cast<double>(difference.bytes_a)), printable(difference.path_b),
      difference.container_b, size_text(static_cast<double>(difference.bytes_b)));
  const std::size_t shown = std::min(limit, order.size());
  std::size_t width = 0;
  for (std::size_t i = 0; i < shown; ++i) {
    width = std::max(width, std::min<std::size_t>(printable(order[i]->name_a).size(), 48));
  }
  for (std::size_t i = 0; i < shown; ++i) text += line_of(*order[i], width);
  if (shown < order.size()) {
    text +=
        fmt::format("... and {} more; --limit shows them, --json has all\n", order.size() - shown);
  }
  const auto names = [&](char file, const std::vector<std::string>& only) {
    if (only.empty()) return;
    std::vector<std::string> few;
    for (std::size_t i = 0; i < std::min<std::size_t>(only.size(), 10); ++i) {
      few.push_back(printable(only[i]));
    }
    text += fmt::format(
        "in {} only: {}{}\n", file, fmt::join(few, ", "),
        only.size() > few.size() ? fmt::format(" and {} more", only.size() - few.size()) : "");
  };
  names('A', difference.only_a);
  names('B', difference.only_b);
  const std::string lint = lint_text('A', difference.lint_a) + lint_text('B', difference.lint_b);
  if (!lint.empty()) text += "\nWhat looks wrong\n" + lint;
  text += fmt::format("\n{} of {} tensors are the same; {} values", difference.same,
                      difference.weights.size(), difference.values);
  if (difference.relative_error > 0) {
    text += fmt::format(", relative error {:.4g} ({:.2f} dB)", difference.relative_error,
                        -20 * std::log10(difference.relative_error));
  }
  return text + "\n";
}

Json real(double x) { return std::isfinite(x) ? Json(x) : Json(); }

Json json_of(const std::vector<LintFinding>& findings) {
  Json list = Json::array();
  for (const auto& each : findings) {
    list.push_back({{"name", each.name},
                    {"type", each.type},
                    {"not_finite", each.not_finite},
                    {"dead_scales", each.lint.dead_scales},
                    {"zero_tiles", each.lint.zero_blocks},
                    {"tiles", each.lint.tiles},
                    {"zero_points_outside", each.lint.outside_zero_points}});
  }
  return list;
}

std::string to_json(const FileDifference& difference) {
  Json tensors = Json::array();
  for (const auto& each : difference.weights) {
    tensors.push_back(
        {{"name_a", each.name_a},
         {"name_b", each.name_b},
         {"matched_by", each.by_shape ? "shape and order" : "name"},
         {"shape", each.shape},
         {"type_a", each.type_a},
         {"type_b", each.type_b},
         {"bytes_a", each.bytes_a},
         {"bytes_b", each.bytes_b},
         {"problem", each.problem.empty() ? Json() : Json(each.problem)},
         {"values_differ", each.values_differ},
         {"relative_error", each.problem.empty() ? real(each.relative_error) : Json()},
         {"sqnr_db", real(each.sqnr_db)},
         {"cosine", real(each.cosine)},
         {"worst",
          {{"difference", each.largest},
           {"index", each.largest_at},
           {"a", real(each.largest_a)},
           {"b", real(each.largest_b)}}},
         {"not_finite_differ", each.not_finite_differ},
         {"codes_differ", each.codes_differ ? Json(*each.codes_differ) : Json()},
         {"largest_step_of_codes", each.codes_differ ? Json(each.largest_step) : Json()}});
  }
  const Json json = {{"a", difference.path_a},
                     {"b", difference.path_b},
                     {"container_a", difference.container_a},
                     {"container_b", difference.container_b},
                     {"values", difference.values},
                     {"tensors_same", difference.same},
                     {"relative_error", real(difference.relative_error)},
                     {"only_a", difference.only_a},
                     {"only_b", difference.only_b},
                     {"lint_a", json_of(difference.lint_a)},
                     {"lint_b", json_of(difference.lint_b)},
                     {"tensors", tensors}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

void diff_files(const DiffFilesOptions& options) {
  const std::vector<std::string_view> orders = {"error", "name", "file"};
  if (std::ranges::find(orders, options.sort) == orders.end()) {
    throw InputError(fmt::format("--sort: expected one of {}, found '{}'", join_words(orders),
                                 printable(options.sort)));
  }
  const auto limit =
      read_whole<std::size_t>(options.limit, "--limit", 1, std::numeric_limits<std::size_t>::max());
  check_distinct({{"--json", options.json}}, {{"A", options.a}, {"B", options.b}});
  check_writable(options.json);
  const WeightFile a = open_weights(options.a), b = open_weights(options.b);
  FileDifference difference;
  {
    ProgressOfBytes progress("comparing");
    difference = compare_files(
        a, b, options.only, [&](std::uint64_t done, std::uint64_t all) { progress.at(done, all); });
  }
  if (!options.json.empty()) write_text(options.json, to_json(difference));
  if (options.json != "-") write_text("-", to_text(difference, options.sort, limit));
}
