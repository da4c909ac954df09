// Runs the commands that README.md and docs/ show and holds what they print against what is shown.
//
// In a ```console block, `$ zeropoint …` is a command and the lines after it are what it prints, on
// both streams. A line that is … (or ...) stands for any number of lines, and … within a line for
// any characters: seconds, paths, figures of this machine. Commands of one document run in order in
// one temporary folder, in which a small model.safetensors lies. Other commands (`$ ./run.sh`, `$
// cmake …`) are for the reader alone.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/tensor_files.hpp"

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

struct Command {
  int line;
  std::string text;
  Lines expected;
};

std::string trim_end(std::string text) {
  text.erase(text.find_last_not_of(" \t\r") + 1);
  return text;
}

std::vector<Command> read_commands(std::istream& document) {
  std::vector<Command> commands;
  bool in_console = false;
  std::string text;
  for (int line = 1; std::getline(document, text); ++line) {
    text = trim_end(text);
    if (text.starts_with("```")) {
      in_console = !in_console && text == "```console";
    } else if (in_console && text.starts_with("$ ")) {
      commands.push_back({line, text.substr(2), {}});
    } else if (in_console && !commands.empty()) {
      // A trailing backslash goes on in the next line, as a shell has it.
      std::string& command = commands.back().text;
      if (commands.back().expected.empty() && command.ends_with('\\')) {
        command += "\n" + text;
      } else {
        commands.back().expected.push_back(text);
      }
    }
  }
  std::erase_if(commands, [](const Command& c) { return !c.text.starts_with("zeropoint "); });
  for (Command& command : commands) {
    while (!command.expected.empty() && command.expected.back().empty())
      command.expected.pop_back();
  }
  return commands;
}

const std::array<std::string, 2> ellipses = {"…", "..."};

bool is_ellipsis(const std::string& text) { return text == ellipses[0] || text == ellipses[1]; }

/// Whether `text` is `pattern`, in which … stands for any characters.
bool line_matches(std::string_view pattern, std::string_view text) {
  const auto wild = pattern.find(ellipses[0]);
  if (wild == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, wild))) return false;
  const std::string_view rest = pattern.substr(wild + ellipses[0].size());
  for (std::size_t begin = wild; begin <= text.size(); ++begin) {
    if (line_matches(rest, text.substr(begin))) return true;
  }
  return false;
}

/// Whether lines[l…] are pattern[p…], in which a line … stands for any lines.
bool matches(const Lines& pattern, const Lines& lines, std::size_t p = 0, std::size_t l = 0) {
  for (; p < pattern.size(); ++p, ++l) {
    if (is_ellipsis(pattern[p])) {
      for (std::size_t begin = l; begin <= lines.size(); ++begin) {
        if (matches(pattern, lines, p + 1, begin)) return true;
      }
      return false;
    }
    if (l == lines.size() || !line_matches(pattern[p], lines[l])) return false;
  }
  return l == lines.size();
}

struct Outcome {
  int status;
  Lines lines;
};

std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Runs `command` by the shell in `folder`, with the command under test first on the path.
Outcome run(const std::string& command, const fs::path& folder) {
  const std::string line = "cd " + shell_quoted(folder) +
                           " && PATH=" + shell_quoted(fs::path(ZEROPOINT_COMMAND).parent_path()) +
                           ":\"$PATH\" && export PATH NO_COLOR=1 COLUMNS=100 && { " + command +
                           "\n} 2>&1 </dev/null";
  std::FILE* pipe = popen(line.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  if (pipe == nullptr) return {-1, {}};
  std::string output;
  std::array<char, 4096> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, {}};
  std::istringstream in(output);
  for (std::string text; std::getline(in, text);) outcome.lines.push_back(trim_end(text));
  while (!outcome.lines.empty() && outcome.lines.back().empty()) outcome.lines.pop_back();
  return outcome;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

std::vector<fs::path> documents() {
  const fs::path root = ZEROPOINT_SOURCE_DIR;
  std::vector<fs::path> found;
  if (fs::exists(root / "README.md")) found.push_back(root / "README.md");
  if (fs::exists(root / "docs")) {
    for (const auto& entry : fs::directory_iterator(root / "docs")) {
      if (entry.path().extension() == ".md") found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

class Docs : public testing::TestWithParam<fs::path> {
 protected:
  Docs()
      : folder_(fs::path(testing::TempDir()) /
                ("zeropoint-docs-" + std::to_string(std::random_device{}()))) {
    fs::create_directories(folder_);
    using zeropoint::testing::named_tensor;
    zeropoint::testing::write_tensors(
        (folder_ / "model.safetensors").string(),
        {named_tensor("embed.weight", {512, 256}, 1),
         named_tensor("conv.weight", {64, 32, 3, 3}, 2), named_tensor("head.weight", {100, 250}, 3),
         named_tensor("head.bias", {100}, 4)});
  }
  ~Docs() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_P(Docs, CommandsPrintWhatIsShown) {
  std::ifstream in(GetParam());
  for (const Command& command : read_commands(in)) {
    const Outcome outcome = run(command.text, folder_);
    EXPECT_TRUE(matches(command.expected, outcome.lines))
        << GetParam().string() << ":" << command.line << ": $ " << command.text << "\nshown:\n"
        << joined(command.expected) << "printed:\n"
        << joined(outcome.lines);
    // A documented refusal shows its message; a command shown without output must have worked.
    if (command.expected.empty()) {
      EXPECT_EQ(outcome.status, 0) << command.text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Docs, testing::ValuesIn(documents()), [](const auto& document) {
  std::string name = document.param.stem().string();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Docs);

TEST(DocsMatcher, LinesStandForThemselves) {
  EXPECT_TRUE(matches({"a", "b"}, {"a", "b"}));
  EXPECT_FALSE(matches({"a"}, {"a", "b"}));
  EXPECT_FALSE(matches({"a", "b"}, {"a"}));
  EXPECT_FALSE(matches({"a"}, {"b"}));
  EXPECT_TRUE(matches({}, {}));
}

TEST(DocsMatcher, AnEllipsisStandsForAnyLines) {
  EXPECT_TRUE(matches({"a", "…", "z"}, {"a", "b", "c", "z"}));
  EXPECT_TRUE(matches({"a", "...", "z"}, {"a", "z"}));
  EXPECT_TRUE(matches({"…"}, {}));
  EXPECT_FALSE(matches({"a", "…", "z"}, {"a", "b"}));
}

TEST(DocsMatcher, AnEllipsisWithinALineStandsForAnyCharacters) {
  EXPECT_TRUE(line_matches("took … s (… rows)", "took 1.25 s (8 rows)"));
  EXPECT_FALSE(line_matches("took … s", "took 1.25 m"));
  EXPECT_TRUE(line_matches("…", ""));
}

TEST(DocsMatcher, ReadsConsoleBlocksOnly) {
  std::istringstream document(
      "$ zeropoint no\n```cpp\n$ zeropoint no\n```\n```console\n$ ls\nfile\n"
      "$ zeropoint bits \\\n  1\none\n\ntwo\n\n```\n");
  const std::vector<Command> commands = read_commands(document);
  ASSERT_EQ(commands.size(), 1U);
  EXPECT_EQ(commands[0].text, "zeropoint bits \\\n  1");
  EXPECT_EQ(commands[0].expected, (Lines{"one", "", "two"}));
  EXPECT_EQ(commands[0].line, 8);
}

}  // namespace
