// What is left of a study that is killed, interrupted or runs out of disk, and how it goes on.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/error.hpp"
#include "zeropoint/study/store.hpp"

#include "support/command.hpp"
#include "support/study_output.hpp"

namespace zeropoint::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class Resume : public CommandTest {
 protected:
  /// What the store in a folder holds; nothing while it is being made.
  std::vector<zeropoint::Run> stored(const std::string& name = "out") const {
    try {
      return Store::existing((in_folder(name) / "runs.sqlite").string()).runs();
    } catch (const Error&) {
      return {};
    }
  }
  std::size_t stored_rows(const std::string& name = "out") const {
    const auto runs = stored(name);
    return runs.empty() ? 0 : runs.front().rows.size();
  }
  /// Starts a study and kills it as soon as `rows` more are stored; false if it ended before.
  bool kill_after(const Arguments& arguments, std::size_t rows, int signal = SIGKILL) const {
    const auto before = stored_rows();
    Process process(arguments, here());
    if (!wait_until(process, [&] { return stored_rows() >= before + rows; })) return false;
    process.send(signal);
    return process.wait().signal == signal;
  }
  Launch here() const {
    Launch launch;
    launch.folder = folder();
    return launch;
  }
  /// The same study in another folder, never interrupted.
  void expect_as_uninterrupted(const Arguments& axes, const Outcome& resumed) const {
    const auto whole = printed(Arguments{"study", "-o", "whole", "--json", "whole.json"} + axes);
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(timeless_table(resumed.out), timeless_table(whole));
    const auto shown = printed({"runs", "show", "1", "-o", "out", "--json", "-"});
    EXPECT_EQ(timeless_results(shown), timeless_results(contents(in_folder("whole.json"))));
    EXPECT_EQ(table_rows(resumed.out), table_rows(printed({"runs", "show", "1", "-o", "out"})));
  }
  /// Heading, rows and notes; the verdicts after them also weigh seconds.
  static std::string timeless_table(const std::string& out) {
    const auto text = timeless_text(out);
    const auto end = text.find("The report's claims");
    EXPECT_NE(end, std::string::npos) << out;
    return text.substr(0, end);
  }
};

const Arguments kStudy = {"study", "-o", "out"};

// About two seconds: long beside the milliseconds from a stored row to the signal.
const Arguments kLong = {"--sizes", "500,520",  "--cover", "0.8,0.9,0.99,1", "--bits",
                         "8,12",    "--repeat", "2",       "--threads",      "1"};

TEST_F(Resume, AfterKillNine) {
  int kills = 0;
  for (const std::size_t rows : {2U, 5U, 1U, 7U}) {
    kills += kill_after(kStudy + kLong + Arguments{"--resume"}, rows) ? 1 : 0;
  }
  EXPECT_GE(kills, 1) << "the study was too fast to be killed";
  ASSERT_EQ(stored().size(), 1U);
  const auto run = stored().front();
  EXPECT_GE(run.rows.size(), 15U);
  EXPECT_EQ(run.total, 64U);
  if (run.rows.size() < run.total) {
    EXPECT_THAT(printed({"runs", "-o", "out"}),
                HasSubstr(fmt::format("{} of 64 rows", run.rows.size())));
    EXPECT_THAT(printed({"runs", "show", "1", "-o", "out"}), HasSubstr("not finished"));
  }
  // With no option that decides results, the last unfinished run is meant.
  const auto resumed = this->run({"study", "-o", "out", "--resume"});
  EXPECT_EQ(resumed.err, "");
  EXPECT_THAT(resumed.out, HasSubstr("run 1, 64 of 64 rows"));
  EXPECT_TRUE(fs::exists(in_folder("out/study.html")));
  expect_as_uninterrupted(kLong, resumed);
  EXPECT_EQ(stored().size(), 1U);
}

// At moments that nothing chose: also while the store or the run is being made.
TEST_F(Resume, AfterKillsAtAnyMoment) {
  const Arguments axes = {"--sizes", "60",  "--cover",  "0.7,0.9,1",
                          "--bits",  "4,8", "--repeat", "4"};
  std::mt19937 random(7);
  for (int i = 0; i < 12; ++i) {
    Process process(kStudy + axes + Arguments{"--resume"}, here());
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    process.send(SIGKILL);
    process.wait();
  }
  expect_as_uninterrupted(axes, run(kStudy + axes + Arguments{"--resume"}));
  EXPECT_EQ(stored().size(), 1U);
}

TEST_F(Resume, AfterAKillBeforeTheFirstRow) {
  const Arguments axes = {"--sizes",         "900",     "--cover",   "0.9,1",
                          "--distributions", "uniform", "--threads", "1"};
  {
    Process process(kStudy + axes, here());
    EXPECT_TRUE(wait_until(process, [&] { return !stored().empty(); }));
    process.send(SIGKILL);
    process.wait();
  }
  EXPECT_EQ(stored().size(), 1U);
  EXPECT_THAT(printed({"runs", "-o", "out"}), HasSubstr(" of 2 rows"));
  printed({"runs", "show", "1", "-o", "out"});
  expect_as_uninterrupted(axes, run(kStudy + axes + Arguments{"--resume"}));
  EXPECT_EQ(stored().size(), 1U);
}

TEST_F(Resume, AfterCtrlC) {
  Process process(kStudy + kLong, here());
  ASSERT_TRUE(wait_until(process, [&] { return stored_rows() >= 3; }));
  process.send(SIGINT);
  const auto outcome = process.wait();
  ASSERT_EQ(outcome.signal, 0);
  const auto rows = stored_rows();
  EXPECT_GE(rows, 3U);
  if (rows < 64) {
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err,
              fmt::format("zeropoint: interrupted: {} of 64 rows are stored; go on with: "
                          "zeropoint study --resume -o out\n",
                          rows));
    EXPECT_THAT(outcome.out, HasSubstr(fmt::format("run 1, {} of 64 rows", rows)));
    EXPECT_FALSE(fs::exists(in_folder("out/study.html")));
  }
  expect_as_uninterrupted(kLong, run({"study", "-o", "out", "--resume", "--threads", "2"}));
}

TEST_F(Resume, WithNothingToResumeItStartsAnew) {
  const Arguments axes = {"--sizes", "5", "--cover", "0.9,1", "--resume"};
  const auto fresh = run(kStudy + axes);
  EXPECT_EQ(fresh.status, 0);
  EXPECT_EQ(fresh.err, "nothing to resume in out: starting anew\n");
  EXPECT_THAT(fresh.out, HasSubstr("run 1, 4 of 4 rows"));

  // A finished run is printed again; other settings are another run.
  const auto again = run(kStudy + axes);
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(again.out, fresh.out) << "even seconds: nothing ran";
  const auto other = run(kStudy + Arguments{"--sizes", "5", "--cover", "0.9", "--resume"});
  EXPECT_EQ(other.err, fresh.err);
  EXPECT_THAT(other.out, HasSubstr("run 2, 2 of 2 rows"));
  EXPECT_EQ(run(kStudy + axes).out, fresh.out);
  EXPECT_EQ(stored().size(), 2U);
  // Without settings it is the newest, and nothing else is begun.
  const auto bare = run({"study", "-o", "out", "--resume"});
  EXPECT_EQ(bare.err, "nothing to resume: run 2 in out is finished\n");
  EXPECT_EQ(bare.out, other.out);
  EXPECT_EQ(stored().size(), 2U);
  // The same settings in other words are the same settings.
  EXPECT_EQ(
      run(kStudy + axes +
          Arguments{"--convention", "report-code:sign=signed", "--bits", "08", "--threads", "1"})
          .out,
      fresh.out);
}

TEST_F(Resume, OfTheUsersOwnMatrices) {
  put(in_folder("a.npy"), npy(2, 3, {1, -2, 3, 4, 5, 6}));
  put(in_folder("b.npy"), npy(3, 2, {1, 2, 3, -4, 5, 6}));
  const Arguments files = {"--a", "a.npy", "--b", "b.npy"};
  const auto first = printed(kStudy + files);
  EXPECT_EQ(printed(kStudy + files + Arguments{"--resume"}), first);
  // Other contents under the same name are another study.
  put(in_folder("b.npy"), npy(3, 2, {1, 2, 3, -4, 5, 7}));
  const auto other = run(kStudy + files + Arguments{"--resume"});
  EXPECT_EQ(other.status, 0);
  EXPECT_THAT(other.out, HasSubstr("run 2, 7 of 7 rows"));
}

TEST_F(Resume, TwoStudiesAtOnceIntoOneFolder) {
  std::vector<std::unique_ptr<Process>> processes;
  for (const char* size : {"40", "41", "42"}) {
    processes.push_back(
        std::make_unique<Process>(kStudy + Arguments{"--sizes", size, "--repeat", "3"}, here()));
  }
  for (auto& process : processes) {
    const auto outcome = process->wait();
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
  }
  ASSERT_EQ(stored().size(), 3U);
  for (const auto& run : stored()) {
    EXPECT_EQ(run.rows.size(), 42U);
    EXPECT_NE(run.finished, "");
  }
}

// ---- a full disk, and outputs that fail ----

const Arguments kSmall = {"--sizes", "8,12", "--bits", "4,8"};  // 56 rows, about 90 KB stored

TEST_F(Resume, AfterADiskThatFilledUpAmidTheRows) {
  auto full = here();
  full.largest_file = 50'000;
  const auto outcome = run(kStudy + kSmall + Arguments{"--json", "r.json"}, full);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_EQ(table_rows(outcome.out).size(), 56U) << "the table has every row";
  EXPECT_THAT(outcome.err, HasSubstr("rows could not be stored"));
  EXPECT_EQ(lines_of(outcome.err).size(), 2U) << outcome.err;  // when it happened, and at the end
  const auto rows = stored_rows();
  EXPECT_GT(rows, 0U);
  EXPECT_LT(rows, 56U);
  EXPECT_FALSE(fs::exists(in_folder("r.json")));
  for (const auto& entry : fs::recursive_directory_iterator(folder())) {
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr(".part")));
  }
  EXPECT_THAT(printed({"runs", "-o", "out"}), HasSubstr(fmt::format("{} of 56 rows", rows)));
  EXPECT_EQ(table_rows(printed({"runs", "show", "1", "-o", "out"})).size(), rows);
  expect_as_uninterrupted(kSmall, run({"study", "-o", "out", "--resume"}));
}

TEST_F(Resume, AfterADiskThatFilledUpAmidTheOutputs) {
  auto full = here();
  full.largest_file = 160'000;  // the store and the CSV fit, JSON and page do not
  const Arguments files = {"--csv", "r.csv", "--json", "r.json"};
  put(in_folder("r.json"), "an earlier one");
  const auto outcome = run(kStudy + kSmall + files + Arguments{"--repeat", "1"}, full);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(table_rows(outcome.out).size(), 56U);
  expect_one_line(outcome.err, kSmall);
  EXPECT_THAT(outcome.err, HasSubstr("study.html: cannot be written: "));
  EXPECT_THAT(outcome.err, Not(HasSubstr(".part")));
  EXPECT_EQ(lines_of(contents(in_folder("r.csv"))).size(), 57U);
  EXPECT_FALSE(fs::exists(in_folder("out/study.html")));
  EXPECT_EQ(stored_rows(), 56U);
  const auto earlier = contents(in_folder("r.json"));
  EXPECT_TRUE(earlier == "an earlier one" || nlohmann::json::accept(earlier));
  const auto resumed = run(kStudy + files + Arguments{"--resume"} + kSmall);
  EXPECT_EQ(timeless_results(contents(in_folder("r.json"))).size(), 56U);
  expect_as_uninterrupted(kSmall, resumed);
}

TEST_F(Resume, ADiskWithoutRoomForAStoreIsSaid) {
  auto full = here();
  full.largest_file = 2000;  // less than a page of the store
  const auto outcome = run(kStudy + kSmall, full);
  EXPECT_EQ(outcome.status, 1);
  expect_one_line(outcome.err, kSmall);
  EXPECT_EQ(run(kStudy + kSmall).status, 0);
}

TEST_F(Resume, StandardStreamsThatFail) {
  const Arguments axes = {"--sizes", "5", "--cover", "1"};
  for (const Arguments& arguments :
       {kStudy + axes, kStudy + axes + Arguments{"--json", "-"},
        kStudy + axes + Arguments{"--csv", "-"}, Arguments{"runs", "-o", "out"},
        Arguments{"runs", "-o", "out", "--json", "-"}, Arguments{"runs", "-o", "out", "show", "1"},
        Arguments{"runs", "-o", "out", "export", "1", "--page", "-"}, Arguments{"--help"},
        Arguments{"study", "--help"}, Arguments{"--version"}}) {
    auto full = here();
    full.out = "/dev/full";
    const auto lost = run(arguments, full);
    EXPECT_EQ(lost.status, 1) << shown(arguments);
    EXPECT_EQ(lost.err, "zeropoint: standard output: cannot be written: No space left on device\n");
    auto closed = here();
    closed.closed = {1};
    const auto gone = run(arguments, closed);
    EXPECT_EQ(gone.status, 1) << shown(arguments);
    expect_one_line(gone.err, arguments);
  }
  EXPECT_TRUE(fs::exists(in_folder("out/study.html"))) << "what did not fail is there";
  EXPECT_EQ(stored_rows(), 2U);
  auto deaf = here();
  deaf.closed = {0, 2};
  EXPECT_EQ(run(kStudy + axes, deaf).status, 0);
  EXPECT_EQ(run({"study", "--sizes", "0"}, deaf).status, 2);
  EXPECT_EQ(run({}, deaf).status, 2);
  deaf.closed = {0, 1, 2};
  EXPECT_EQ(run(kStudy + axes, deaf).status, 1);
  EXPECT_EQ(run({"study", "--nothing"}, deaf).status, 2);
  const auto device = run(kStudy + axes + Arguments{"--json", "/dev/full"});
  EXPECT_EQ(device.status, 1);
  EXPECT_EQ(table_rows(device.out).size(), 2U);
  EXPECT_EQ(device.err, "zeropoint: /dev/full: cannot be written: No space left on device\n");
}

// ---- stores that are none ----

TEST_F(Resume, OtherFilesInTheStoresPlaceAreRefused) {
  const auto refused = [&](const std::string& name, const std::string& bytes,
                           const std::string& said) {
    fs::create_directories(in_folder(name));
    put(in_folder(name) / "runs.sqlite", bytes);
    const Arguments axes = {"study", "-o", name, "--sizes", "4"};
    for (const Arguments& arguments :
         {axes, axes + Arguments{"--resume"}, Arguments{"runs", "-o", name},
          Arguments{"runs", "-o", name, "show", "1"},
          Arguments{"runs", "-o", name, "export", "1", "--json", "-"}}) {
      EXPECT_THAT(refusal(arguments), HasSubstr("runs.sqlite: expected a store of")) << name;
      EXPECT_THAT(refusal(arguments), HasSubstr(said)) << name;
      EXPECT_EQ(contents(in_folder(name) / "runs.sqlite"), bytes) << name;
    }
  };
  printed({"study", "-o", "good", "--sizes", "4"});
  const auto good = contents(in_folder("good/runs.sqlite"));
  refused("garbage", "this is no database, and it is longer than any magic number", "another kind");
  // Bytes of SQLite's header: the user's version (60) and the application's id (68), big-endian.
  auto changed = good;
  changed[63] = 2;
  refused("newer", changed, "expected a store of version 1, found version 2");
  changed = good;
  changed[68] = 1;
  refused("other", changed, "another SQLite database");
  refused("cut", good.substr(0, 4096), "damaged");
  changed = good;
  std::fill(changed.begin() + 4096, changed.end(), '\xA5');
  refused("overwritten", changed, "damaged");

  // An empty file is a store whose first transaction was never made.
  fs::create_directories(in_folder("empty"));
  put(in_folder("empty/runs.sqlite"), "");
  EXPECT_THAT(refusal({"runs", "-o", "empty"}), HasSubstr("found an empty file"));
  printed({"study", "-o", "empty", "--sizes", "4"});
  EXPECT_THAT(printed({"runs", "-o", "empty"}), HasSubstr("14 rows"));
}

TEST_F(Resume, ADamagedRowCountsAsMissing) {
  const Arguments axes = {"--sizes", "6", "--cover", "0.9,1"};
  printed(kStudy + axes);
  auto bytes = contents(in_folder("out/runs.sqlite"));
  const auto row = bytes.find("{\"distribution\":\"normal\"");
  ASSERT_NE(row, std::string::npos);
  bytes[row] = '[';
  put(in_folder("out/runs.sqlite"), bytes);
  EXPECT_THAT(printed({"runs", "-o", "out"}), HasSubstr("3 of 4 rows"));
  EXPECT_EQ(table_rows(printed({"runs", "show", "1", "-o", "out"})).size(), 3U);
  printed({"runs", "export", "1", "-o", "out", "--json", "-"});
  expect_as_uninterrupted(axes, run(kStudy + axes + Arguments{"--resume"}));

  bytes = contents(in_folder("out/runs.sqlite"));
  bytes[bytes.find("{\"distributions\":")] = '[';
  put(in_folder("out/runs.sqlite"), bytes);
  EXPECT_THAT(refusal({"runs", "-o", "out"}), HasSubstr("settings of run 1"));
}

// A process killed within a transaction leaves SQLite's journal, which the next reader plays back.
TEST_F(Resume, RunsReadsAStoreWithAJournalLeftBehind) {
  printed(kStudy + Arguments{"--sizes", "4"});
  const auto pages = fs::file_size(in_folder("out/runs.sqlite")) / 4096;
  std::string journal = "\xD9\xD5\x05\xF9\x20\xA1\x63\xD7";  // its magic number
  const auto word = [&](std::uint64_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) journal += static_cast<char>(value >> shift & 255);
  };
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{1}, pages, std::uint64_t{512}, std::uint64_t{4096}}) {
    word(value);  // records, nonce, pages before, sector, page size
  }
  journal.resize(512, '\0');
  put(in_folder("out/runs.sqlite-journal"), journal);
  EXPECT_THAT(printed({"runs", "-o", "out"}), HasSubstr("14 rows"));
}

}  // namespace
}  // namespace zeropoint::testing
