#include <atomic>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/io/npy.hpp"
#include "zeropoint/report/report.hpp"
#include "zeropoint/study/store.hpp"
#include "zeropoint/theory/distribution.hpp"

#include "commands.hpp"
#include "files.hpp"
#include "progress.hpp"

using namespace zeropoint;

namespace {

struct StudyOptions {
  StudySpec spec;
  std::vector<std::int64_t> sizes;
  int threads = 0;
  std::string folder = kDefaultFolder;
  std::string json, csv;
  bool resume = false;
  bool chose_axes = false;  ///< any option that decides results was given
};

// Set by Ctrl-C: the row in work is finished and kept, then the study stops.
volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);  // a second Ctrl-C ends at once
}

std::string now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

StudyFiles read_files(StudySpec& spec) {
  StudyFiles files{read_npy(spec.file_a), read_npy(spec.file_b)};
  if (files.a.cols() != files.b.rows()) {
    throw InputError(fmt::format(
        "study: expected as many columns in --a as rows in --b, found "
        "{}x{} in {} and {}x{} in {}",
        files.a.rows(), files.a.cols(), spec.file_a, files.b.rows(), files.b.cols(), spec.file_b));
  }
  spec.digest_a = digest(files.a);
  spec.digest_b = digest(files.b);
  return files;
}

// The run to go on with, if there is one: the newest with these settings or, if none were given,
// the newest that is not finished.
std::optional<Run> run_to_resume(const Store& store, const StudyOptions& options) {
  for (auto& run : store.runs()) {
    const bool fits = options.chose_axes ? run.spec == options.spec : run.finished.empty();
    if (!fits) continue;
    if (run.version != version()) {
      throw InputError(
          fmt::format("resume: expected a run made by zeropoint {}, found run {} made "
                      "by {}",
                      version(), run.id, run.version));
    }
    return std::move(run);
  }
  return std::nullopt;
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
      } catch (const WorkError& error) {
        if (failure_.empty()) {
          progress_.clear();
          fmt::print(stderr, "zeropoint: {}; going on, the rows are kept in memory\n",
                     error.what());
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

void run_command(StudyOptions& options) {
  if (options.json == "-" && options.csv == "-") {
    throw InputError("study: expected one of --json - and --csv -, found both");
  }
  set_threads(std::min(options.threads, 4096));
  if (!options.sizes.empty()) options.spec.sizes.clear();
  for (const auto size : options.sizes) {
    if (size <= 0) {
      throw InputError(fmt::format("sizes: expected positive whole numbers, found {}", size));
    }
    options.spec.sizes.push_back(static_cast<std::size_t>(size));
  }
  resolve(options.spec);
  std::optional<StudyFiles> files;
  if (options.spec.from_files()) files = read_files(options.spec);
  const auto shape = [&] {
    return files ? Shape{files->a.rows(), files->a.cols(), files->b.cols()} : Shape{};
  };
  check_memory(cells(options.spec, shape()));
  check_writable(options.json);
  check_writable(options.csv);
  make_folder(options.folder);
  Store store(store_path(options.folder));

  Run run;
  std::optional<Run> earlier;
  if (options.resume) {
    earlier = run_to_resume(store, options);
    if (!earlier) fmt::print(stderr, "nothing to resume in {}: starting anew\n", options.folder);
  }
  if (earlier) {
    run = std::move(*earlier);
    if (run.spec.from_files() && !files) {
      StudySpec found = run.spec;
      files = read_files(found);
      if (!(found == run.spec)) {
        throw InputError(
            fmt::format("resume: expected the matrices of run {}, found that {} or {} "
                        "has changed",
                        run.id, run.spec.file_a, run.spec.file_b));
      }
    }
  } else {
    run.started = now();
    run.version = version();
    run.cpu = cpu_name();
    run.threads = threads();
    run.spec = options.spec;
  }
  const auto all = cells(run.spec, shape());
  check_memory(all);
  if (!earlier) {
    run.total = all.size();
    store.begin(run);
  }

  double left = 0;
  for (std::size_t i = 0; i < all.size(); ++i) left += run.rows.contains(i) ? 0 : cost(all[i]);
  Progress progress(all.size() - run.rows.size(), left);
  Keeper keeper(store, run, progress);
  interrupted = 0;
  std::signal(SIGINT, on_interrupt);
  const auto done = run.rows;
  run_study(all, done, files ? &*files : nullptr, [&](std::size_t index, const StudyRow& row) {
    keeper.keep(index, row);
    const auto& cell = all[index];
    progress.step(cost(cell), fmt::format("{} {} cover {}", cell.distribution, cell.n, cell.cover));
    return interrupted == 0;
  });
  std::signal(SIGINT, SIG_DFL);
  progress.clear();

  const bool complete = run.rows.size() == all.size();
  if (complete && run.finished.empty()) {
    run.finished = now();
    if (keeper.waiting() == 0) store.finish(run.id, run.finished);
  }

  const bool to_stdout = options.json == "-" || options.csv == "-";
  if (!to_stdout) {
    fmt::print("{}\n{}", to_table(run, output_width()), claims_text(run, output_width()));
    finish_output();
  }
  if (!options.json.empty()) write_text(options.json, to_json(run));
  if (!options.csv.empty()) write_text(options.csv, to_csv(run));
  if (keeper.waiting() > 0) {
    throw WorkError(fmt::format("{} of {} rows could not be stored: {}", keeper.waiting(),
                                run.rows.size(), keeper.failure()));
  }
  if (!complete) {
    throw WorkError(fmt::format("interrupted: {} of {} rows are stored in {}; go on with --resume",
                                run.rows.size(), all.size(), store_path(options.folder)));
  }
  const auto page = std::filesystem::absolute(std::filesystem::path(options.folder) / "study.html")
                        .lexically_normal();
  write_text(page.string(), to_page(run));
  if (!to_stdout) fmt::print("\nThe page with figures: {}\n", page.string());
}

// What CLI11 would otherwise say of a number out of range is long and not about the range.
CLI::Validator whole_number(std::int64_t least) {
  return {[least](std::string& text) {
            std::int64_t value = 0;
            const bool is_number = CLI::detail::lexical_cast(text, value) && value >= least;
            return is_number ? std::string()
                             : fmt::format("expected a whole number of {} or more, found {}", least,
                                           text);
          },
          ""};
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
  for (const auto& each : distributions()) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", each.name);
  }
  std::vector<CLI::Option*> axes;
  const auto axis = [&](CLI::Option* option) {
    axes.push_back(option);
    return option->group("What is studied");
  };
  auto* distributions_option =
      axis(verb->add_option("--distributions", spec.distributions,
                            fmt::format("Distributions of the entries of A and B: {}", known)))
          ->delimiter(',')
          ->type_name("NAME,...");
  auto* sizes = axis(verb->add_option("--sizes", options->sizes,
                                      "Sizes n of square matrices (10,100,1000,3000)"))
                    ->delimiter(',')
                    ->type_name("N,...");
  axis(verb->add_option("--cover", spec.covers,
                        "Coverages, above 0.5 up to 1 (0.7,0.9,0.95,0.99,0.999,0.9999,1)"))
      ->delimiter(',')
      ->type_name("C,...");
  axis(verb->add_option("--bits", spec.bits, "Bits of a code, 2 to 16 (8)"))
      ->delimiter(',')
      ->type_name("N,...");
  axis(verb->add_option("--convention", spec.conventions, "Conventions, see below (report-code)"))
      ->delimiter(',')
      ->type_name("C,...");
  auto* seed = axis(verb->add_option("--seed", spec.seed, "Seed of the random matrices (0)"))
                   ->check(whole_number(0))
                   ->type_name("N");
  auto* repeat = axis(verb->add_option("--repeat", spec.repeat,
                                       "Seeds to run, from --seed on: mean and standard error (1)"))
                     ->type_name("N");
  auto* generator =
      axis(
          verb->add_option("--generator", spec.generator,
                           "report (its Mersenne Twister), counter (Philox), or auto: report up to "
                           "size 3000 (auto)"))
          ->type_name("NAME");
  auto* a = axis(verb->add_option("--a", spec.file_a, "Your own A, m x k, a .npy file"))
                ->type_name("FILE");
  auto* b = axis(verb->add_option("--b", spec.file_b, "Your own B, k x n, a .npy file"))
                ->type_name("FILE");
  a->needs(b);
  b->needs(a);
  for (auto* option : {distributions_option, sizes, seed, repeat, generator}) a->excludes(option);

  verb->add_option("--threads", options->threads, "Threads; no result depends on it (one a core)")
      ->check(whole_number(1))
      ->type_name("N");
  verb->add_option("-o,--output", options->folder,
                   fmt::format("Folder of the page and of the store of runs ({})", kDefaultFolder))
      ->type_name("DIR");
  verb->add_option("--json", options->json, "Results as JSON; - is standard output, alone")
      ->type_name("FILE");
  verb->add_option("--csv", options->csv, "Results as CSV; - is standard output, alone")
      ->type_name("FILE");
  verb->add_flag("--resume", options->resume,
                 "Go on with the last run of these settings; with none given, the last unfinished");
  verb->footer(conventions_help());
  verb->callback([options, axes] {
    for (const auto* option : axes) options->chose_axes |= option->count() > 0;
    run_command(*options);
  });
}
