#include "zeropoint/study/store.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zeropoint/core/error.hpp"

#include "study/serialize.hpp"

namespace zeropoint {
namespace {

namespace fs = std::filesystem;

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              (std::string("zeropoint-") + info->name() + "-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  ~StoreTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name = "runs.sqlite") const {
    return (folder_ / name).string();
  }
  fs::path folder_;
};

StudyRow row(double error) {
  StudyRow r;
  r.distribution = "uniform";
  r.m = r.k = r.n = 10;
  r.convention = "report-code";
  r.generator = "report";
  r.error = r.error_float64 = {error, error / 3, 0.1};
  r.predicted_ground_truth = error * 1.01;
  r.a = {0.0034107668F, 11};
  r.b = {1e-38F, -40};
  r.y = {3e38F, 0};
  r.seconds = 1.0 / 3;
  return r;
}

Run new_run() {
  zeropoint::Run run;
  run.started = "2026-01-02T03:04:05Z";
  run.version = "9.9.9";
  run.cpu = "a processor";
  run.threads = 7;
  run.total = 56;
  run.spec.sizes = {10, 20};
  run.spec.seed = 18446744073709551615ULL;
  run.spec.covers = {0.1 + 0.6};
  return run;
}

TEST_F(StoreTest, GivesBackWhatItWasGivenToTheLastBit) {
  zeropoint::Run run = new_run();
  const StudyRow first = row(std::nextafter(0.1, 1.0));
  {
    Store store(path());
    store.begin(run);
    store.add(run.id, 0, first);
    store.add(run.id, 41, row(std::numeric_limits<double>::denorm_min()));
  }
  const zeropoint::Run again = Store::existing(path()).load(run.id);
  EXPECT_EQ(again.id, run.id);
  EXPECT_EQ(again.started, run.started);
  EXPECT_EQ(again.finished, "");
  EXPECT_EQ(again.version, run.version);
  EXPECT_EQ(again.cpu, run.cpu);
  EXPECT_EQ(again.threads, run.threads);
  EXPECT_EQ(again.total, run.total);
  EXPECT_TRUE(again.spec == run.spec);
  ASSERT_EQ(again.rows.size(), 2U);
  const StudyRow& back = again.rows.at(0);
  EXPECT_EQ(back.error.ground_truth, first.error.ground_truth);
  EXPECT_EQ(back.seconds, first.seconds);
  EXPECT_EQ(back.a, first.a);
  EXPECT_EQ(back.b, first.b);
  EXPECT_EQ(back.y, first.y);
  EXPECT_EQ(to_json(back).dump(), to_json(first).dump());
  EXPECT_EQ(again.rows.at(41).error.ground_truth, std::numeric_limits<double>::denorm_min());
}

TEST_F(StoreTest, ListsRunsNewestFirstAndNotesTheirEnd) {
  Store store(path());
  zeropoint::Run first = new_run();
  zeropoint::Run second = new_run();
  store.begin(first);
  store.begin(second);
  EXPECT_LT(first.id, second.id);
  store.finish(second.id, "2026-01-02T04:00:00Z");
  const auto runs = store.runs();
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].id, second.id);
  EXPECT_EQ(runs[0].finished, "2026-01-02T04:00:00Z");
  EXPECT_EQ(runs[1].finished, "");
  EXPECT_THROW(store.load(99), InputError);
  EXPECT_THROW(store.load(0), InputError);
  EXPECT_THROW(store.load(-1), InputError);
}

TEST_F(StoreTest, EachRowIsCommittedByItself) {
  Store writer(path());
  zeropoint::Run run = new_run();
  writer.begin(run);
  for (std::size_t i = 0; i < 5; ++i) {
    writer.add(run.id, i, row(0.1));
    // Another connection sees it at once, though the writer is still open.
    EXPECT_EQ(Store::existing(path()).load(run.id).rows.size(), i + 1);
  }
}

TEST_F(StoreTest, WritersWaitForEachOther) {
  const auto write = [&](double error) {
    Store store(path());
    zeropoint::Run run = new_run();
    store.begin(run);
    for (std::size_t i = 0; i < 20; ++i) store.add(run.id, i, row(error));
  };
  std::thread one(write, 1.0);
  std::thread two(write, 2.0);
  one.join();
  two.join();
  const auto runs = Store::existing(path()).runs();
  ASSERT_EQ(runs.size(), 2U);
  for (const auto& run : runs) {
    ASSERT_EQ(run.rows.size(), 20U);
    for (const auto& [index, each] : run.rows) {
      EXPECT_EQ(each.error.ground_truth, run.rows.at(0).error.ground_truth);
    }
  }
}

TEST_F(StoreTest, RefusesWhatIsNotAStore) {
  EXPECT_THROW(Store::existing(path("none")), InputError);
  EXPECT_THROW(Store::existing(folder_.string()), InputError);
  std::ofstream(path("text")) << std::string(5000, 'x');
  EXPECT_THROW(Store{path("text")}, InputError);
  EXPECT_THROW(Store::existing(path("text")), InputError);
  EXPECT_THROW(Store{folder_.string()}, InputError);
  EXPECT_THROW(Store{path("no/such/folder")}, WorkError);
}

TEST(Serialize, InfinityAndAbsenceComeBack) {
  StudyRow r = row(std::numeric_limits<double>::infinity());
  r.predicted_expected = std::nullopt;
  r.published = PublishedRow{{1, 2, 3}, {0.5F, 1}, {0.25F, 2}, {0.125F, 3}};
  const auto text = to_json(r).dump();
  EXPECT_EQ(text.find("inf"), std::string::npos);
  const StudyRow back = row_from_json(nlohmann::ordered_json::parse(text));
  EXPECT_TRUE(std::isinf(back.error.ground_truth));
  EXPECT_FALSE(back.predicted_expected);
  ASSERT_TRUE(back.published);
  EXPECT_EQ(back.published->error.simulated, 3);
  EXPECT_EQ(back.published->y, (QuantParams{0.125F, 3}));
}

}  // namespace
}  // namespace zeropoint
