#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/report/analysis_page.hpp"
#include "zeropoint/weights/analyze.hpp"

#include "analysis_text.hpp"
#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "progress.hpp"

using namespace zeropoint;

namespace {

struct Options {
  std::vector<std::string> files, schemes;
  std::string only, out = kDefaultFolder, json, threads;
  bool no_timing = false;
};

void run(const Options& options) {
  if (!options.threads.empty()) set_threads(read_whole(options.threads, "--threads", 1, 4096));
  AnalyzeOptions how;
  if (!options.schemes.empty()) how.schemes = read_list(options.schemes, "--schemes");
  for (const auto& scheme : how.schemes) parse_scheme(scheme);
  how.only = options.only;
  if (options.no_timing) how.timing_seconds = 0;
  std::vector<NamedFile> inputs;
  for (const auto& file : options.files) inputs.push_back({"a file that is read", file});
  check_distinct({{"--json", options.json}}, inputs);
  check_writable(options.json);
  std::vector<WeightFile> files;
  for (const auto& path : options.files) files.push_back(open_weights(path));
  make_folder(options.out, [&] {
    std::vector<FileAnalysis> analyses;
    for (std::size_t i = 0; i < files.size(); ++i) {
      {
        ProgressOfBytes progress("analyzing " + printable(options.files[i]));
        analyses.push_back(analyze(
            files[i], how, [&](std::uint64_t done, std::uint64_t all) { progress.at(done, all); }));
      }
      if (options.json != "-") {
        write_text("-", (i == 0 ? "" : "\n") + to_text(analyses.back(), output_width()));
      }
    }
    if (!options.json.empty()) write_text(options.json, to_json(analyses));
    const auto page = std::filesystem::path(options.out) / "analysis.html";
    write_text(page.string(), analysis_page(analyses));
    if (options.json != "-") {
      std::error_code error;
      const auto shown = std::filesystem::absolute(page, error).lexically_normal().string();
      write_text("-", fmt::format("\nThe page with figures: {}\n", shown));
    }
  });
}

}  // namespace

void add_analyze_command(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "analyze", "A model's tensors under many schemes: which each survives, and what it costs");
  const auto options = std::make_shared<Options>();
  verb->add_option("FILE", options->files,
                   "Tensors: .npy, .npz, safetensors (or a folder with a set of them), GGUF, ONNX")
      ->required()
      ->check(given())
      ->type_name("");
  verb->add_option("--schemes", options->schemes,
                   "Schemes to try; zeropoint schemes tells of them (seventeen)")
      ->allow_extra_args(false)
      ->check(given())
      ->type_name("S,...");
  verb->add_option("--only", options->only,
                   "Tensors whose names match, of any number of axes (those of at least two)")
      ->check(given())
      ->type_name("REGEX");
  verb->add_option("--out", options->out, fmt::format("Folder of the page ({})", kDefaultFolder))
      ->check(given())
      ->type_name("FOLDER");
  verb->add_flag("--no-timing", options->no_timing, "Times no products");
  verb->add_option("--threads", options->threads, "Threads (all)")->check(given())->type_name("N");
  verb->add_option("--json", options->json, "As JSON; - is standard output, alone")
      ->check(given())
      ->type_name("FILE");
  verb->callback([options] { run(*options); });
}
