#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/io/npy.hpp"
#include "zeropoint/theory/limits.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kMostErrors = 3;  // standard errors that a check may be off by

struct LimitsOptions {
  std::string distribution = "normal", json, check, seed = "0";
  std::vector<std::string> bits = {"2,3,4,8"}, schemes;
};

struct CheckedRow {
  LimitRow row;
  std::optional<LimitCheck> check;
};

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(); }

Json to_json(const Distribution& d, const CheckedRow& checked) {
  const auto& row = checked.row;
  const Gap gap = gap_to_bound(d, row.bits, row.mse);
  Json json = {{"quantizer", row.name},
               {"bits", row.bits},
               {"mse", number(row.mse)},
               {"sqnr_db", number(sqnr_db(row.mse))},
               {"gap_db", number(gap.db)},
               {"gap_bits", number(gap.bits)},
               {"load", number(row.load)},
               {"scale", number(row.scale)},
               {"product_error", number(row.product)}};
  if (row.scheme) json["scheme"] = to_string(*row.scheme);
  if (checked.check) {
    json["check"] = {{"mse", checked.check->mse},
                     {"standard_error", checked.check->standard_error},
                     {"z", checked.check->z}};
  }
  return json;
}

std::string cell(double x, const char* format) {
  return std::isfinite(x) ? fmt::format(fmt::runtime(format), x) : "-";
}

std::string to_line(const Distribution& d, const CheckedRow& checked, bool is_checked) {
  const auto& row = checked.row;
  const Gap gap = gap_to_bound(d, row.bits, row.mse);
  std::string line = fmt::format("{:<18} {:>7} {:>11} {:>8} {:>8} {:>6} {:>8} {:>9}", row.name,
                                 fmt::format("{:.5g}", row.bits), fmt::format("{:.6g}", row.mse),
                                 cell(sqnr_db(row.mse), "{:.3f}"),
                                 row.kind == LimitKind::bound ? "" : cell(gap.db, "{:.3f}"),
                                 row.kind == LimitKind::bound ? "" : cell(gap.bits, "{:.3f}"),
                                 cell(row.load, "{:.4g}"), cell(row.product, "{:.4g}"));
  if (is_checked && checked.check) {
    line += fmt::format(" {:>11} {:>8} {:>6}", fmt::format("{:.6g}", checked.check->mse),
                        fmt::format("{:.1g}", checked.check->standard_error),
                        fmt::format("{:+.2f}", checked.check->z));
  }
  return line + "\n";
}

std::string to_table(const Distribution& d, const std::vector<CheckedRow>& rows, bool is_checked) {
  std::string table = fmt::format("{}: {}\n\n", d.name(), d.title());
  table += fmt::format("{:<18} {:>7} {:>11} {:>8} {:>8} {:>6} {:>8} {:>9}{}\n", "quantizer", "bits",
                       "MSE", "SQNR dB", "gap dB", "bits", "load", "A*B",
                       is_checked ? "    measured       ±      z" : "");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    // A group for each number of bits, then the schemes.
    const auto group = [&](std::size_t at) {
      const LimitRow& row = rows[at].row;
      return row.kind == LimitKind::scheme ? std::nullopt : std::optional(row.bits);
    };
    if (i > 0 && group(i) != group(i - 1)) table += "\n";
    table += to_line(d, rows[i], is_checked);
  }
  table +=
      "\nMSE is relative to the variance; gap, how far that is from the bound at as many bits;\n"
      "load, the largest level in standard deviations; A*B, the error of a product of two such\n"
      "matrices. Schemes with one scale are at their best one. docs/limits.md has the formulas.\n";
  return table;
}

const Distribution& distribution_of(const std::string& name) {
  constexpr std::string_view kFile = "file=";
  if (!name.starts_with(kFile)) return distribution(name);
  const auto path = name.substr(kFile.size());
  const Matrix<float> values = read_npy(path);
  return add_distribution_of_values(path, values.values());
}

void run(const LimitsOptions& options) {
  std::vector<int> bits;
  for (const auto& text : read_list(options.bits, "--bits")) {
    bits.push_back(read_whole(text, "--bits", 1, 12));
  }
  std::vector<std::string> schemes;
  if (options.schemes.empty()) {
    for (const auto scheme : limit_schemes()) schemes.emplace_back(scheme);
  } else {
    schemes = read_list(options.schemes, "--schemes");
    if (schemes == std::vector<std::string>{"none"}) schemes.clear();
  }
  std::size_t samples = 0;
  if (!options.check.empty()) {
    samples = read_whole<std::size_t>(options.check, "--check", 1000, 1'000'000'000'000);
  }
  const auto seed = read_whole<std::uint64_t>(options.seed, "--seed", 0,
                                              std::numeric_limits<std::uint64_t>::max());
  check_writable(options.json);

  const Distribution& d = distribution_of(options.distribution);
  std::vector<CheckedRow> rows;
  for (auto& row : limits(d, bits, schemes)) rows.push_back({std::move(row), std::nullopt});
  std::size_t checked = 0, beyond = 0;
  if (samples > 0) {
    for (auto& row : rows) {
      row.check = check_limit(d, row.row, samples, seed);
      if (!row.check) continue;
      ++checked;
      if (!(std::abs(row.check->z) <= kMostErrors)) ++beyond;
    }
  }

  if (!options.json.empty()) {
    Json list = Json::array();
    for (const auto& row : rows) list.push_back(to_json(d, row));
    const Json json = {{"distribution", d.name()},
                       {"title", d.title()},
                       {"mean", d.partial_mean(std::numeric_limits<double>::infinity())},
                       {"square", d.partial_square(std::numeric_limits<double>::infinity())},
                       {"critical_rate", critical_rate()},
                       {"rows", list}};
    write_text(options.json, json.dump(2) + "\n");
  }
  if (options.json != "-") {
    std::string table = to_table(d, rows, samples > 0);
    if (samples > 0) {
      // A normal number is beyond 3 once in 370.
      table += fmt::format(
          "{} rows measured on {} entries and more, seed {}: {} beyond {} standard errors (by\n"
          "chance, {:.2g} would be).\n",
          checked, samples, seed, beyond, kMostErrors,
          static_cast<double>(checked) * std::erfc(kMostErrors / std::sqrt(2.0)));
    }
    write_text("-", table);
  }
  if (beyond > 0) {
    throw WorkError(
        fmt::format("limits: {} of {} rows are measured more than {} standard errors "
                    "from what was computed",
                    beyond, checked, kMostErrors));
  }
}

}  // namespace

void add_limits_command(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "limits", "What quantizing a distribution costs at least, and by the best of each kind");
  const auto options = std::make_shared<LimitsOptions>();
  std::string known;
  for (const auto& family : distribution_families()) {
    known +=
        fmt::format("{}{}{}, ", family.word, family.argument.empty() ? "" : "=", family.argument);
  }
  verb->add_option(
          "--distribution", options->distribution,
          fmt::format("Of the entries: {}or file=FILE, the entries of a .npy file (normal)", known))
      ->check(given())
      ->type_name("NAME");
  verb->add_option("--bits", options->bits, "Bits of a code, 1 to 12 (2,3,4,8)")
      ->check(given())
      ->type_name("N,...");
  verb->add_option("--schemes", options->schemes,
                   "Schemes to compare with, or none; zeropoint schemes tells of them (some)")
      ->check(given())
      ->type_name("S,...");
  verb->add_option("--check", options->check,
                   "Also measures each row on so many drawn entries; status 1 if one is more than "
                   "3 standard errors off")
      ->check(given())
      ->type_name("N");
  verb->add_option("--seed", options->seed, "Of the entries that are drawn (0)")
      ->check(given())
      ->type_name("N");
  verb->add_option("--json", options->json, "As JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->callback([options] { run(*options); });
}
