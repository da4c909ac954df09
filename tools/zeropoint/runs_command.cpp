#include <cstdint>
#include <limits>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/report/report.hpp"
#include "zeropoint/study/store.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"

using namespace zeropoint;

namespace {

struct RunsOptions {
  std::string folder = kDefaultFolder;
  std::string json, csv, page;
  std::string id;
};

std::string state(const Run& run) {
  return run.rows.size() < run.total ? fmt::format("{} of {} rows", run.rows.size(), run.total)
                                     : fmt::format("{} rows", run.rows.size());
}

// What decides the rows beside data and sizes.
std::string rules(const StudySpec& spec) {
  if (!spec.schemes.empty()) return fmt::format("schemes {}", fmt::join(spec.schemes, ", "));
  return fmt::format("cover {}; {} bits; {}", fmt::join(spec.covers, ","),
                     fmt::join(spec.bits, ","), fmt::join(spec.conventions, ","));
}

std::string settings(const Run& run) {
  const auto& spec = run.spec;
  if (spec.from_files()) {
    return fmt::format("{} x {}; {}", spec.file_a, spec.file_b, rules(spec));
  }
  std::string text = fmt::format("{}; sizes {}; {}; seed {}", fmt::join(spec.distributions, ","),
                                 fmt::join(spec.sizes, ","), rules(spec), spec.seed);
  if (spec.repeat > 1)
    text += fmt::format(" to {}", spec.seed + static_cast<std::uint64_t>(spec.repeat) - 1);
  return text;
}

void list(const RunsOptions& options) {
  check_writable(options.json);
  const auto runs = Store::existing(store_path(options.folder)).runs();
  if (!options.json.empty()) {
    auto json = nlohmann::ordered_json::array();
    for (const auto& run : runs) {
      json.push_back({{"run", run.id},
                      {"started", run.started},
                      {"finished", run.finished.empty() ? nlohmann::ordered_json()
                                                        : nlohmann::ordered_json(run.finished)},
                      {"rows", run.rows.size()},
                      {"rows_expected", run.total},
                      {"version", run.version},
                      {"settings", settings(run)}});
    }
    write_text(options.json, nlohmann::ordered_json{{"runs", json}}.dump(2) + "\n");
    if (options.json == "-") return;
  }
  std::string text = runs.empty() ? fmt::format("no runs in {}\n", options.folder) : "";
  for (const auto& run : runs) {
    text += fmt::format("{:>4}  {}  {:<16}  {}\n", run.id, run.started, state(run), settings(run));
  }
  write_text("-", text);
}

Run load(const RunsOptions& options) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const auto id = read_whole<std::int64_t>(options.id, "ID", 1, kMost);
  return Store::existing(store_path(options.folder)).load(id);
}

void show(const RunsOptions& options) {
  check_writable(options.json);
  const Run run = load(options);
  if (!options.json.empty()) write_text(options.json, to_json(run));
  if (options.json == "-") return;
  write_text("-",
             fmt::format("started {}, {}; zeropoint {} on {}, {} threads\n{}\n\n{}{}", run.started,
                         run.finished.empty() ? "not finished" : "finished " + run.finished,
                         run.version, run.cpu, run.threads, settings(run),
                         to_table(run, output_width()), claims_text(run, output_width())));
}

void export_run(const RunsOptions& options) {
  if (options.json.empty() && options.csv.empty() && options.page.empty()) {
    throw InputError("runs export: expected one or more of --json, --csv, --page; found none");
  }
  const std::vector<NamedFile> outputs = {
      {"--json", options.json}, {"--csv", options.csv}, {"--page", options.page}};
  check_distinct(outputs, {{"the store", store_path(options.folder)}});
  for (const auto& output : outputs) check_writable(output.path);
  const Run run = load(options);
  if (!options.json.empty()) write_text(options.json, to_json(run));
  if (!options.csv.empty()) write_text(options.csv, to_csv(run));
  if (!options.page.empty()) write_text(options.page, to_page(run));
}

}  // namespace

void add_runs_command(CLI::App& app) {
  auto* verb = app.add_subcommand("runs", "What was run before: list, show, export");
  auto options = std::make_shared<RunsOptions>();
  const auto file = [&](CLI::App* to, const char* name, std::string& value, const char* help) {
    to->add_option(name, value, help)->check(given())->type_name("FILE");
  };
  verb->add_option("-o,--output", options->folder,
                   fmt::format("The folder that the study wrote to ({})", kDefaultFolder))
      ->check(given())
      ->type_name("DIR");
  file(verb, "--json", options->json, "As JSON; - is standard output, alone");
  verb->require_subcommand(0, 1);
  verb->callback([verb, options] {
    if (verb->get_subcommands().empty()) list(*options);
  });

  auto* listed = verb->add_subcommand("list", "Every run, newest first; also what runs alone does");
  listed->fallthrough();
  listed->callback([options] { list(*options); });

  auto* shown = verb->add_subcommand("show", "The table and the verdicts of a run (or its JSON)");
  shown->add_option("ID", options->id, "The run's number, as listed")->required()->type_name("");
  shown->fallthrough();
  shown->callback([options] { show(*options); });

  auto* exported = verb->add_subcommand("export", "A run as JSON, CSV or page");
  exported->add_option("ID", options->id, "The run's number, as listed")->required()->type_name("");
  file(exported, "--json", options->json, "As `study --json` writes it; - is standard output");
  file(exported, "--csv", options->csv, "As `study --csv` writes it; - is standard output");
  file(exported, "--page", options->page, "The HTML page");
  exported->fallthrough();
  exported->callback([options] { export_run(*options); });
}
