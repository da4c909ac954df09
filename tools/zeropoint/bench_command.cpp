#include <fstream>
#include <iterator>
#include <memory>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "zeropoint/bench/bench.hpp"
#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/gemm/kernels.hpp"
#include "zeropoint/report/bench_report.hpp"

#include "arguments.hpp"
#include "commands.hpp"
#include "files.hpp"

using namespace zeropoint;

namespace {

struct BenchOptions {
  std::string shapes, kernel, json, markdown;
  std::vector<std::string> threads;
  std::string seconds;
  bool quick = false;
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("--shapes: expected a file, cannot read {}", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

BenchSpec spec_of(const BenchOptions& options) {
  BenchSpec spec;
  spec.quick = options.quick;
  spec.shapes = options.shapes.empty() ? default_shapes(options.quick)
                                       : read_shapes(contents(options.shapes), options.shapes);
  set_threads(0);
  spec.threads = {1};
  if (!options.threads.empty()) {
    spec.threads.clear();
    for (const auto& count : read_list(options.threads, "--threads")) {
      spec.threads.push_back(read_whole<int>(count, "--threads", 1, 1024));
    }
  } else if (threads() > 1) {
    spec.threads.push_back(threads());
  }
  spec.seconds = options.quick ? 6 : 90;
  if (!options.seconds.empty()) {
    spec.seconds = read_real(options.seconds, "--seconds");
    if (!(spec.seconds > 0 && spec.seconds <= 86'400)) {
      throw InputError(fmt::format("--seconds: expected a number above 0, at most 86400; found {}",
                                   options.seconds));
    }
  }
  return spec;
}

void bench(const BenchOptions& options) {
  check_distinct({{"--json", options.json}, {"--markdown", options.markdown}},
                 {{"--shapes", options.shapes}});
  check_writable(options.json);
  check_writable(options.markdown);
  if (!options.kernel.empty()) set_kernel(options.kernel);
  const BenchSpec spec = spec_of(options);
  const bool shown = isatty(STDERR_FILENO) != 0;
  const auto result =
      run_bench(spec, [&](std::size_t step, std::size_t steps, const std::string& what) {
        if (!shown) return;
        const double left =
            spec.seconds * static_cast<double>(steps - step) / static_cast<double>(steps);
        tell(fmt::format("\r\x1b[K{}/{}  {}, about {:.0f} s left", step + 1, steps, what, left));
      });
  if (shown) tell("\r\x1b[K");
  if (!options.json.empty()) write_text(options.json, to_json(result));
  if (!options.markdown.empty()) write_text(options.markdown, to_markdown(result));
  if (options.json != "-" && options.markdown != "-") write_text("-", to_table(result));
}

}  // namespace

void add_bench_command(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "bench", "This machine: the quantized product against its peak, against fp32, against peers");
  auto options = std::make_shared<BenchOptions>();
  const auto text = [&](const char* name, std::string& value, const char* type, const char* help) {
    verb->add_option(name, value, help)->check(given())->type_name(type);
  };
  text("--shapes", options->shapes, "FILE",
       "Shapes, one a line: m k n, or mxkxn (squares, layers and awkward ones)");
  verb->add_option("--threads", options->threads, "Thread counts (1, and one a core)")
      ->check(given())
      ->type_name("N,...");
  text("--kernel", options->kernel, "NAME", "The kernel (the fastest that is supported)");
  text("--seconds", options->seconds, "S", "Seconds of timing, about (90)");
  verb->add_flag("--quick", options->quick, "A few shapes, a few seconds");
  text("--json", options->json, "FILE", "As JSON; - is standard output, alone");
  text("--markdown", options->markdown, "FILE", "As docs/performance.md; - is standard output");
  verb->callback([options] { bench(*options); });
}
