// Holds every #include of the library and the command against src/layers.txt and
// src/third_party.txt, so that a layer never leans on one to its right by accident.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Table = std::vector<std::pair<std::string, std::set<std::string>>>;

/// Rows `name: word word …`; '#' begins a comment.
Table read_table(const fs::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path << " cannot be read";
  Table table;
  for (std::string line; std::getline(in, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream words(line.substr(colon + 1));
    std::set<std::string> set;
    for (std::string word; words >> word;) set.insert(word);
    table.emplace_back(line.substr(0, colon), std::move(set));
  }
  return table;
}

struct Include {
  int line;
  bool angled;
  std::string name;
};

std::vector<Include> read_includes(const fs::path& file) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::ifstream in(file);
  std::vector<Include> includes;
  std::string text;
  for (int line = 1; std::getline(in, text); ++line) {
    std::smatch match;
    if (std::regex_search(text, match, pattern))
      includes.push_back({line, match[1] == "<", match[2]});
  }
  return includes;
}

bool is_source(const fs::path& path) {
  return path.extension() == ".hpp" || path.extension() == ".cpp";
}

class Checker {
 public:
  explicit Checker(const fs::path& root)
      : root_(root),
        layers_(read_table(root / "src/layers.txt")),
        third_party_(read_table(root / "src/third_party.txt")) {
    // A layer may name only layers above it in the table: no cycle can then be written down.
    std::set<std::string> known;
    for (const auto& [layer, allowed] : layers_) {
      for (const std::string& other : allowed) {
        if (!known.contains(other))
          say("src/layers.txt", 0, layer + " names " + other + ", which does not stand above it");
      }
      known.insert(layer);
    }
    check_folder("include/zeropoint", true);
    check_folder("src", false);
    if (fs::exists(root_ / "tools")) check_layer("tools", root_ / "tools", false);
  }

  int files = 0;
  std::vector<std::string> violations;

 private:
  /// Folders of `where` are layers.
  void check_folder(const fs::path& where, bool is_public) {
    if (!fs::exists(root_ / where)) return;
    for (const auto& entry : fs::directory_iterator(root_ / where)) {
      if (entry.is_directory()) check_layer(entry.path().filename(), entry.path(), is_public);
    }
  }

  void check_layer(const std::string& layer, const fs::path& folder, bool is_public) {
    const auto row = find(layers_, layer);
    if (row == layers_.end()) {
      return say(fs::relative(folder, root_), 0, "is no layer of src/layers.txt");
    }
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      ++files;
      for (const Include& include : read_includes(entry.path())) {
        const std::string wrong = include.angled ? check_angled(include.name, layer, is_public)
                                                 : check_quoted(include.name, *row);
        if (!wrong.empty()) say(fs::relative(entry.path(), root_), include.line, wrong);
      }
    }
  }

  std::string check_quoted(std::string name, const Table::value_type& row) const {
    const std::string quoted = '"' + name + '"';
    if (name.find("..") != std::string::npos) return quoted + " climbs out of its folder";
    if (name == "zeropoint/zeropoint.hpp") {
      return row.first == "tools" ? "" : quoted + " is for users and the command, not for layers";
    }
    if (name.starts_with("zeropoint/")) name.erase(0, std::string("zeropoint/").size());
    const auto slash = name.find('/');
    if (slash == std::string::npos) return "";  // its own folder
    const std::string other = name.substr(0, slash);
    if (other == row.first || row.second.contains(other)) return "";
    return quoted + ": " + row.first + " may not include " + other;
  }

  std::string check_angled(const std::string& name, const std::string& layer,
                           bool is_public) const {
    const std::string quoted = '<' + name + '>';
    if (name.starts_with("zeropoint/")) return quoted + " wants quotes";
    if (name.find_first_of("/.") == std::string::npos) return "";  // the standard library
    for (const auto& [prefix, allowed] : third_party_) {
      if (!name.starts_with(prefix)) continue;
      if (is_public) return quoted + ": a public header brings the standard library alone";
      return allowed.contains(layer) ? "" : quoted + " is confined by src/third_party.txt";
    }
    return quoted + " has no row in src/third_party.txt";
  }

  static Table::const_iterator find(const Table& table, const std::string& name) {
    return std::find_if(table.begin(), table.end(),
                        [&](const auto& row) { return row.first == name; });
  }

  void say(const fs::path& file, int line, const std::string& what) {
    violations.push_back(file.string() + ":" + std::to_string(line) + ": " + what);
  }

  fs::path root_;
  Table layers_, third_party_;
};

TEST(Layers, IncludesFollowTheTables) {
  const Checker checker(ZEROPOINT_SOURCE_DIR);
  EXPECT_THAT(checker.violations, IsEmpty());
  EXPECT_GT(checker.files, 40);  // a checker that looks at nothing finds nothing
}

TEST(Layers, EveryLayerIsThere) {
  const fs::path root = ZEROPOINT_SOURCE_DIR;
  for (const auto& [layer, allowed] : read_table(root / "src/layers.txt")) {
    EXPECT_TRUE(fs::is_directory(layer == "tools" ? root / layer : root / "src" / layer)) << layer;
  }
}

/// A made-up tree that breaks what the tests above would otherwise only be trusted to see.
class MadeUpTree : public testing::Test {
 protected:
  MadeUpTree()
      : root_(fs::path(testing::TempDir()) /
              ("zeropoint-layers-" + std::to_string(std::random_device{}()))) {
    write("src/layers.txt", "# a comment\ncore:\nformats: core\ntools: core formats\n");
    write("src/third_party.txt", "boost/: formats  # and nobody else\nsqlite3.h: core\n");
  }
  ~MadeUpTree() override { fs::remove_all(root_); }

  void write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::vector<std::string> violations() { return Checker(root_).violations; }

  fs::path root_;
};

TEST_F(MadeUpTree, WhatTheTablesAllowPasses) {
  write("include/zeropoint/core/a.hpp", "#include <vector>\n");
  write("include/zeropoint/formats/b.hpp", "#include \"zeropoint/core/a.hpp\"\n");
  write("src/formats/b.cpp",
        "#include <boost/math.hpp>\n#include \"b.hpp\"\n#include \"core/x.hpp\"\n");
  write("tools/zeropoint/main.cpp",
        "#include \"zeropoint/zeropoint.hpp\"\n#include \"main.hpp\"\n");
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(MadeUpTree, ALayerToTheRightIsCaught) {
  write("include/zeropoint/core/a.hpp", "\n  #  include \"zeropoint/formats/b.hpp\"\n");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("core/a.hpp:2: \"zeropoint/formats/b.hpp\": core "
                                                  "may not include formats")));
}

TEST_F(MadeUpTree, APrivateHeaderToTheRightIsCaught) {
  write("src/core/a.cpp", "#include \"formats/b.hpp\"\n");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("core may not include formats")));
}

TEST_F(MadeUpTree, TheUmbrellaIsNotForLayers) {
  write("src/core/a.cpp", "#include \"zeropoint/zeropoint.hpp\"\n");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("for users")));
}

TEST_F(MadeUpTree, PathsThatClimbAreCaught) {
  write("src/core/a.cpp", "#include \"../formats/b.hpp\"\n");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("climbs")));
}

TEST_F(MadeUpTree, ConfinedHeadersAreCaught) {
  write("src/core/a.cpp",
        "#include <sqlite3.h>\n#include <boost/math.hpp>\n#include <unknown/x.h>\n");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("a.cpp:2: <boost/math.hpp> is confined"),
                                        HasSubstr("a.cpp:3: <unknown/x.h> has no row")));
}

TEST_F(MadeUpTree, APublicHeaderBringsNoThirdParty) {
  write("include/zeropoint/core/a.hpp", "#include <sqlite3.h>\n");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("public header")));
}

TEST_F(MadeUpTree, AFolderWithoutARowIsCaught) {
  write("src/extra/a.cpp", "");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("src/extra:0: is no layer")));
}

TEST_F(MadeUpTree, ATableWithACycleIsCaught) {
  write("src/layers.txt", "core: formats\nformats: core\n");
  EXPECT_THAT(violations(), ElementsAre(HasSubstr("core names formats")));
}

}  // namespace
