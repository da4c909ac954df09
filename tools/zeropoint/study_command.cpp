#include <csignal>
#include <cstdint>
#include <ctime>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/accumulator.hpp"
#include "zeropoint/io/npy.hpp"
#include "zeropoint/report/report.hpp"
#include "zeropoint/study/preset.hpp"
#include "zeropoint/study/store.hpp"
#include "zeropoint/theory/distribution.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "progress.hpp"

using namespace zeropoint;

namespace {

struct StudyOptions {
  StudySpec spec;
  // As typed; read_axes makes the spec of them.
  std::vector<std::string> distributions, sizes, covers, bits, conventions, schemes, accumulators;
  std::string preset, seed, repeat, threads;
  std::string folder = kDefaultFolder;
  std::string json, csv;
  bool resume = false;
  bool chose_axes = false;  ///< any option that decides results was given
};

// What the preset says, but for what was given beside it.
void take_preset(StudyOptions& options) {
  if (options.preset.empty()) return;
  StudySpec spec = study_preset(options.preset);
  spec.generator = options.spec.generator;
  spec.file_a = options.spec.file_a;
  spec.file_b = options.spec.file_b;
  spec.ledger = options.spec.ledger;
  options.spec = std::move(spec);
}

void read_axes(StudyOptions& options) {
  take_preset(options);
  // A size is signed here: half the address space is as far out of reach as all of it.
  constexpr auto kMostSize = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMostSeed = std::numeric_limits<std::uint64_t>::max();
  constexpr int kMostRepeats = std::numeric_limits<int>::max();
  constexpr int kMostThreads = 4096;
  auto& spec = options.spec;
  const auto replace = [](const std::vector<std::string>& texts, std::string_view option,
                          auto& values, const auto& read) {
    if (texts.empty()) return;
    values.clear();
    for (const auto& text : read_list(texts, option)) values.push_back(read(text, option));
  };
  const auto word = [](const std::string& text, std::string_view) { return text; };
  replace(options.distributions, "--distributions", spec.distributions, word);
  replace(options.conventions, "--convention", spec.conventions, word);
  replace(options.schemes, "--schemes", spec.schemes, word);
  replace(options.accumulators, "--accumulators", spec.accumulators, word);
  replace(options.covers, "--cover", spec.covers, read_real);
  replace(options.bits, "--bits", spec.bits, [](const std::string& text, std::string_view option) {
    return read_whole(text, option, 1, 16);
  });
  replace(options.sizes, "--sizes", spec.sizes,
          [&](const std::string& text, std::string_view option) {
            return static_cast<std::size_t>(read_whole(text, option, std::int64_t{1}, kMostSize));
          });
  if (!options.seed.empty()) {
    spec.seed = read_whole(options.seed, "--seed", std::uint64_t{0}, kMostSeed);
  }
  if (!options.repeat.empty())
    spec.repeat = read_whole(options.repeat, "--repeat", 1, kMostRepeats);
  if (!options.threads.empty()) {
    set_threads(read_whole(options.threads, "--threads", 1, kMostThreads));
  }
}

// Set by Ctrl-C: the row in work is finished and kept, then the study stops.
volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);  // a second Ctrl-C ends at once
}

std::string now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

// The user's matrices; whether they multiply and fit is known from their headers.
StudyFiles read_files(StudySpec& spec) {
  const NpyShape a = npy_shape(spec.file_a);
  const NpyShape b = npy_shape(spec.file_b);
  if (a.cols != b.rows) {
    throw InputError(fmt::format(
        "study: expected as many columns in --a as rows in --b, found {}x{} in {} and {}x{} in {}",
        a.rows, a.cols, spec.file_a, b.rows, b.cols, spec.file_b));
  }
  check_memory(cells(spec, {a.rows, a.cols, b.cols}));
  StudyFiles files{read_npy(spec.file_a), read_npy(spec.file_b)};
  spec.digest_a = digest(files.a);
  spec.digest_b = digest(files.b);
  return files;
}

// Values for the distributions that are files' (file=PATH), and digests of them.
void read_distributions(StudySpec& spec) {
  constexpr std::string_view kPrefix = "file=";
  spec.value_digests.clear();
  if (spec.from_files()) return;
  for (const auto& name : spec.distributions) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string path = name.substr(kPrefix.size());
    const Matrix<float> values = read_npy(path);
    add_distribution_of_values(path, values.values());
    spec.value_digests[name] = digest(values);
  }
}

// The run to go on with, if there is one: the newest with these settings or, if none were given,
// the newest that is not finished, else the newest.
std::optional<Run> run_to_resume(const Store& store, const StudyOptions& options) {
  auto runs = store.runs();
  auto found = std::ranges::find_if(runs, [&](const Run& run) {
    return options.chose_axes ? run.spec == options.spec : run.finished.empty();
  });
  if (found == runs.end() && !options.chose_axes) found = runs.begin();
  if (found == runs.end()) return std::nullopt;
  if (found->version != version()) {
    throw InputError(
        fmt::format("resume: expected a run made by zeropoint {}, found run {} made by {}",
                    version(), found->id, found->version));
  }
  return std::move(*found);
}

// Finished rows on their way into the store. What cannot be stored is kept and tried again.
class Keeper {
 public:
  Keeper(Store& store, Run& run, const Progress& progress)
      : store_(store), run_(run), progress_(progress) {}

  void keep(std::size_t index, const StudyRow& row) {
    run_.rows[index] = row;
    waiting_.push_back(index);
    flush();
  }
  void flush() {
    while (!waiting_.empty()) {
      try {
        store_.add(run_.id, waiting_.back(), run_.rows.at(waiting_.back()));
        waiting_.pop_back();
      } catch (const Error& error) {
        if (failure_.empty()) {
          progress_.clear();
          tell(fmt::format("zeropoint: {}; going on, the rows are kept in memory\n", error.what()));
        }
        failure_ = error.what();
        return;
      }
    }
  }
  std::size_t waiting() const { return waiting_.size(); }
  const std::string& failure() const { return failure_; }

 private:
  Store& store_;
  Run& run_;
  const Progress& progress_;
  std::vector<std::size_t> waiting_;
  std::string failure_;
};

struct Plan {
  Run run;
  bool resumed = false;
  std::optional<StudyFiles> files;
  std::vector<StudyCell> all;

  void lay_out() {
    all =
        cells(run.spec, files ? Shape{files->a.rows(), files->a.cols(), files->b.cols()} : Shape{});
    if (!files) check_memory(all);  // files were checked before they were read
  }
};

// What the options ask for, checked before anything is made or written.
Plan new_plan(StudyOptions& options) {
  Plan plan;
  read_distributions(options.spec);
  resolve(options.spec);
  if (options.spec.from_files()) plan.files = read_files(options.spec);
  plan.run.started = now();
  plan.run.version = version();
  plan.run.cpu = cpu_name();
  plan.run.threads = threads();
  plan.run.spec = options.spec;
  // Bare --resume may never come to the default study, which this machine may be too small for.
  if (!options.resume || options.chose_axes) plan.lay_out();
  return plan;
}

void go_on_with(Run earlier, Plan& plan) {
  plan.run = std::move(earlier);
  plan.resumed = true;
  auto& run = plan.run;
  StudySpec as_found = run.spec;
  read_distributions(as_found);
  if (!(as_found == run.spec)) {
    throw InputError(fmt::format(
        "resume: expected the values that run {} drew from, found that a file of them has changed",
        run.id));
  }
  resolve(run.spec);  // it comes from a file
  if (run.spec.from_files() && !plan.files) {
    StudySpec found = run.spec;
    plan.files = read_files(found);
    if (!(found == run.spec)) {
      throw InputError(
          fmt::format("resume: expected the matrices of run {}, found that {} or {} "
                      "has changed",
                      run.id, run.spec.file_a, run.spec.file_b));
    }
  }
}

// Runs what is missing; true if all is there at the end.
bool work_off(Plan& plan, Keeper& keeper, Progress& progress) {
  interrupted = 0;
  const auto before = std::signal(SIGINT, on_interrupt);
  if (before == SIG_IGN) std::signal(SIGINT, SIG_IGN);  // as under nohup: not ours to take
  const auto done = plan.run.rows;
  run_study(plan.all, done, plan.files ? &*plan.files : nullptr,
            [&](std::size_t index, const StudyRow& row) {
              keeper.keep(index, row);
              const auto& cell = plan.all[index];
              progress.step(cost(cell),
                            fmt::format("{} {} cover {}", cell.distribution, cell.n, cell.cover));
              return interrupted == 0;
            });
  std::signal(SIGINT, before == SIG_IGN ? SIG_IGN : SIG_DFL);
  progress.clear();
  return plan.run.rows.size() == plan.all.size();
}

// Writes everything that can be written: one full disk takes no other output along. Returns what
// failed, in words.
std::string deliver(const Run& run, const StudyOptions& options, bool complete) {
  std::string failures;
  const auto attempt = [&](const std::string& path, const auto& text) {
    try {
      write_text(path, text());
      return true;
    } catch (const WorkError& error) {
      failures += (failures.empty() ? "" : "; ") + std::string(error.what());
      return false;
    }
  };
  // Files first: whoever reads standard output may stop reading (| head).
  const auto page = page_path(options.folder);
  const bool has_page = complete && attempt(page, [&] { return to_page(run); });
  const auto json = [&] { return to_json(run); };
  const auto csv = [&] { return to_csv(run); };
  if (!options.json.empty() && options.json != "-") attempt(options.json, json);
  if (!options.csv.empty() && options.csv != "-") attempt(options.csv, csv);
  if (options.json == "-") {
    attempt("-", json);
  } else if (options.csv == "-") {
    attempt("-", csv);
  } else {
    attempt("-", [&] {
      return to_table(run, output_width()) + (complete ? claims_text(run, output_width()) : "") +
             (has_page ? fmt::format("\nThe page with figures: {}\n", page) : "");
    });
  }
  return failures;
}

void run_command(StudyOptions& options) {
  read_axes(options);
  Plan plan = new_plan(options);
  check_distinct({{"--json", options.json}, {"--csv", options.csv}},
                 {{"the store", store_path(options.folder)},
                  {"the page", page_path(options.folder)},
                  {"--a", options.spec.file_a},
                  {"--b", options.spec.file_b}});
  make_folder(options.folder, [&] {
    check_writable(options.json);
    check_writable(options.csv);
  });
  Store store(store_path(options.folder));

  if (options.resume) {
    if (auto earlier = run_to_resume(store, options)) {
      if (!earlier->finished.empty() && !options.chose_axes) {
        tell(fmt::format("nothing to resume: run {} in {} is finished\n", earlier->id,
                         options.folder));
      }
      go_on_with(std::move(*earlier), plan);
    } else {
      tell(fmt::format("nothing to resume in {}: starting anew\n", options.folder));
    }
  }
  if (plan.all.empty() || plan.resumed) plan.lay_out();
  auto& run = plan.run;
  std::erase_if(run.rows, [&](const auto& row) { return row.first >= plan.all.size(); });
  if (!plan.resumed) {
    run.total = plan.all.size();
    store.begin(run);
  }

  double left = 0;
  for (std::size_t i = 0; i < plan.all.size(); ++i) {
    left += run.rows.contains(i) ? 0 : cost(plan.all[i]);
  }
  Progress progress(plan.all.size(), run.rows.size(), left);
  Keeper keeper(store, run, progress);
  bool complete = false;
  std::exception_ptr impossible;  // what ended the study; rows before it are kept
  try {
    complete = work_off(plan, keeper, progress);
  } catch (const Error&) {
    store.finish(run.id, now());  // going on with it would fail again
    if (run.rows.empty()) throw;
    impossible = std::current_exception();
    progress.clear();
  }
  std::string failures;
  if (complete && run.finished.empty()) {
    run.finished = now();
    try {
      if (keeper.waiting() == 0) store.finish(run.id, run.finished);
    } catch (const Error& error) {
      failures = error.what();
    }
  }
  const auto undelivered = deliver(run, options, complete);
  if (!failures.empty() && !undelivered.empty()) failures += "; ";
  failures += undelivered;
  if (impossible) std::rethrow_exception(impossible);
  if (keeper.waiting() > 0) {
    throw WorkError(fmt::format("{} of {} rows could not be stored: {}", keeper.waiting(),
                                run.rows.size(), keeper.failure()));
  }
  if (!complete) {
    throw WorkError(fmt::format(
        "interrupted: {} of {} rows are stored; go on with: zeropoint study --resume -o {}",
        run.rows.size(), plan.all.size(), options.folder));
  }
  if (!failures.empty()) throw WorkError(failures);
}

std::string conventions_help() {
  std::string text = "Conventions (--convention PRESET or PRESET:axis=value:...), presets:\n";
  for (const auto& preset : convention_presets()) {
    text += fmt::format("  {:<18} {}\n", preset.name, preset.title);
  }
  text += "and their axes:\n";
  for (const auto& axis : convention_axes()) {
    text += fmt::format("  {:<18} {}: {}\n", axis.key, fmt::join(axis.values, " | "), axis.title);
  }
  return text;
}

}  // namespace

void add_study_command(CLI::App& app) {
  auto* verb = app.add_subcommand("study", "The report's experiment, and any other such grid");
  auto options = std::make_shared<StudyOptions>();
  auto& spec = options->spec;
  std::string known;
  for (const auto& family : distribution_families()) {
    known += fmt::format("{}{}{}{}", known.empty() ? "" : ", ", family.word,
                         family.argument.empty() ? "" : "=", family.argument);
  }
  std::vector<CLI::Option*> axes;
  const auto axis = [&](CLI::Option* option) {
    axes.push_back(option);
    return option->group("What is studied");
  };
  std::string presets;
  for (const auto& preset : study_presets()) {
    presets += fmt::format("{}{}, {}", presets.empty() ? "" : "; ", preset.name, preset.title);
  }
  auto* preset = axis(verb->add_option("--preset", options->preset,
                                       fmt::format("A study by its name: {}", presets)))
                     ->type_name("NAME");
  auto* distributions_option =
      axis(verb->add_option("--distributions", options->distributions,
                            fmt::format("Distributions of the entries of A and B: {}", known)))
          ->type_name("NAME,...");
  auto* sizes = axis(verb->add_option("--sizes", options->sizes,
                                      "Sizes n of square matrices (10,100,1000,3000)"))
                    ->type_name("N,...");
  auto* cover =
      axis(verb->add_option("--cover", options->covers,
                            "Coverages, above 0.5 up to 1 (0.7,0.9,0.95,0.99,0.999,0.9999,1)"))
          ->type_name("C,...");
  auto* bits = axis(verb->add_option("--bits", options->bits, "Bits of a code, 1 to 16 (8)"))
                   ->type_name("N,...");
  auto* convention = axis(verb->add_option("--convention", options->conventions,
                                           "Conventions, see below (report-code)"))
                         ->type_name("C,...");
  auto* schemes =
      axis(verb->add_option(
               "--schemes", options->schemes,
               "In place of these three: schemes of A and B, or \"A x B\"; the product stays "
               "float32"))
          ->type_name("S,...");
  for (auto* other : {cover, bits, convention}) schemes->excludes(other);
  for (auto* other : {cover, bits, convention}) preset->excludes(other);
  std::vector<std::string> orders;
  for (const auto& order : order_words()) orders.push_back(":" + order);
  axis(verb->add_option("--accumulators", options->accumulators,
                        fmt::format("What sums are held in, a row for each; {}, each with "
                                    "{} (all sums exact)",
                                    fmt::join(accumulator_words(), ", "), fmt::join(orders, ", "))))
      ->type_name("ACC,...");
  axis(verb->add_flag("--ledger", spec.ledger,
                      "Where each error comes from, part by part; schemes have it anyway"));
  auto* seed = axis(verb->add_option("--seed", options->seed, "Seed of the random matrices (0)"))
                   ->check(given())
                   ->type_name("N");
  auto* repeat = axis(verb->add_option("--repeat", options->repeat,
                                       "Seeds to run, from --seed on: mean and standard error (1)"))
                     ->check(given())
                     ->type_name("N");
  auto* generator =
      axis(
          verb->add_option("--generator", spec.generator,
                           "report (its Mersenne Twister), counter (Philox), or auto: report up to "
                           "size 3000 (auto)"))
          ->type_name("NAME");
  auto* a = axis(verb->add_option("--a", spec.file_a, "Your own A, m x k, a .npy file"))
                ->check(given())
                ->type_name("FILE");
  auto* b = axis(verb->add_option("--b", spec.file_b, "Your own B, k x n, a .npy file"))
                ->check(given())
                ->type_name("FILE");
  a->needs(b);
  b->needs(a);
  for (auto* option : {distributions_option, sizes, seed, repeat, generator}) a->excludes(option);

  verb->add_option("--threads", options->threads, "Threads; no result depends on it (one a core)")
      ->check(given())
      ->type_name("N");
  verb->add_option("-o,--output", options->folder,
                   fmt::format("Folder of the page and of the store of runs ({})", kDefaultFolder))
      ->check(given())
      ->type_name("DIR");
  verb->add_option("--json", options->json, "Results as JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->add_option("--csv", options->csv, "Results as CSV; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->add_flag("--resume", options->resume,
                 "Go on with the last run of these settings; with none given, the last unfinished");
  verb->footer(conventions_help());
  verb->callback([options, axes] {
    for (const auto* option : axes) options->chose_axes |= option->count() > 0;
    run_command(*options);
  });
}
