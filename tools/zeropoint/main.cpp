#include <algorithm>
#include <exception>
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

namespace {

constexpr int kFailed = 1;
constexpr int kWrongInput = 2;

// What is said on standard error is one line, whatever it is made of.
int refuse(std::string message, int status) {
  std::ranges::replace(message, '\n', ' ');
  fmt::print(stderr, "zeropoint: {}\n", message);
  return status;
}

// The known word that was probably meant, if the parser met one that it does not know.
std::string suggestion(CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* verb = &app;
  for (const auto* sub : app.get_subcommands()) verb = sub;
  std::vector<std::string> names;
  for (const auto* option : verb->get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const auto* sub : verb->get_subcommands({})) names.push_back(sub->get_name());
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (const auto& argument : arguments) {
    const auto word = argument.substr(0, argument.find('='));
    const bool is_known = std::ranges::find(names, word) != names.end();
    const bool is_word = verb == &app || word.starts_with("--");
    if (is_word && !is_known && word.size() > 2) {
      return fmt::format(" (did you mean {}?)", zeropoint::nearest_word(word, known));
    }
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "zeropoint tells you what quantization will cost you, and then does it.\n"
      "Each verb explains itself: zeropoint VERB --help."};
  app.name("zeropoint");
  app.set_version_flag("--version", std::string("zeropoint ") + zeropoint::version());
  app.require_subcommand(0, 1);
  add_study_command(app);
  add_bits_command(app);
  add_runs_command(app);

  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (arguments.empty()) {
    fmt::print(stderr, "{}", app.help());
    return kWrongInput;
  }
  shield_negative_values(arguments);
  try {
    auto reversed = arguments;
    std::ranges::reverse(reversed);  // as CLI11 takes them
    app.parse(reversed);
    if (app.get_subcommands().empty())
      return refuse("expected a verb; zeropoint --help lists them", kWrongInput);
    finish_output();
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ExtrasError& error) {
    return refuse(error.what() + suggestion(app, arguments), kWrongInput);
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
