#include <algorithm>
#include <csignal>
#include <exception>
#include <fcntl.h>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/machine.hpp"
#include "zeropoint/core/words.hpp"

#include "bits_command.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "help.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kWrongInput = 2;

// What is said on standard error is one line that drives no terminal, whatever it is made of.
int refuse(std::string message, int status) {
  std::ranges::replace_if(
      message, [](unsigned char c) { return c < ' ' || c == 0x7F; }, ' ');
  tell(fmt::format("zeropoint: {}\n", message));
  return status;
}

// What is said of the first word that the parser could not place, with the nearest that it knows.
std::string not_known(const CLI::App& app) {
  std::string where;
  std::vector<const CLI::App*> verbs = {&app};
  while (!verbs.back()->get_subcommands().empty()) {
    verbs.push_back(verbs.back()->get_subcommands().front());
    where += (where.empty() ? "" : " ") + verbs.back()->get_name();
  }
  if (!where.empty()) where += ": ";

  const auto extra = app.remaining(true);
  const std::string word = extra.empty() ? "" : extra.front().substr(0, extra.front().find('='));
  const bool is_option = word.size() > 1 && word.starts_with('-');
  std::vector<std::string> names;
  if (is_option) {
    for (const auto* verb : verbs) {
      for (const auto* option : verb->get_options()) {
        for (const auto& name : option->get_lnames()) names.push_back("--" + name);
      }
      if (!verb->get_fallthrough() && verb != verbs.back()) names.clear();
    }
  } else {
    for (const auto* sub : verbs.back()->get_subcommands({})) names.push_back(sub->get_name());
  }
  if (names.empty()) return fmt::format("{}expected nothing more, found '{}'", where, word);
  const std::vector<std::string_view> known(names.begin(), names.end());
  return fmt::format(
      "{}expected {}, found '{}' (did you mean {}?)", where,
      is_option ? "an option that it has" : fmt::format("one of {}", zeropoint::join_words(known)),
      word, zeropoint::nearest_word(word, known));
}

// CLI11 would take the next argument for the value that is missing.
void check_values(const std::vector<std::string>& arguments) {
  for (const auto& argument : arguments) {
    if (argument == "--") return;
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      throw zeropoint::InputError(fmt::format("expected a value after {}, found none", argument));
    }
  }
}

void run(CLI::App& app, const std::vector<std::string>& arguments) {
  check_values(arguments);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
    app.parse(reversed);
    if (app.get_subcommands().empty()) {
      throw zeropoint::InputError("expected a verb, found none; zeropoint --help lists them");
    }
  } catch (const CLI::Success& help) {
    app.exit(help);
  }
  finish_output();
}

// A standard stream that is closed must not become the first file that is opened: writing to it
// has to fail.
void reserve_standard_streams() {
  for (const int stream : {0, 1, 2}) {
    if (fcntl(stream, F_GETFD) == -1) open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_streams();
  // A file at its size limit is a full disk, not an end without a word.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App app{
      "zeropoint tells you what quantization will cost you, and then does it.\n"
      "Each verb explains itself: zeropoint VERB --help."};
  app.name("zeropoint");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", std::string("zeropoint ") + zeropoint::version());
  app.require_subcommand(0, 1);
  add_study_command(app);
  add_limits_command(app);
  add_bits_command(app);
  add_formats_command(app);
  add_schemes_command(app);
  add_analyze_command(app);
  add_quantize_command(app);
  add_diff_command(app);
  add_bench_command(app);
  add_runs_command(app);

  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (arguments.empty()) {
    tell(app.help());
    return kWrongInput;
  }
  shield_negative_values(arguments);
  try {
    run(app, arguments);
    return 0;
  } catch (const CLI::ExtrasError&) {
    return refuse(not_known(app), kWrongInput);
  } catch (const CLI::ParseError& error) {
    return refuse(error.what(), kWrongInput);
  } catch (const zeropoint::InputError& error) {
    return refuse(error.what(), kWrongInput);
  } catch (const std::bad_alloc&) {
    return refuse("out of memory", kFailed);
  } catch (const std::exception& error) {
    return refuse(error.what(), kFailed);
  }
}
