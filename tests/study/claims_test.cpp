#include "zeropoint/study/claims.hpp"

#include <cmath>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zeropoint {
namespace {

using testing::HasSubstr;
using testing::Not;

// A study in which every claim holds; tests spoil what they are about.
std::vector<StudyRow> ideal(const std::function<void(StudyRow&)>& spoil = [](StudyRow&) {}) {
  std::vector<StudyRow> rows;
  for (const char* distribution : {"uniform", "normal"}) {
    for (const std::size_t size : {10, 100, 1000}) {
      for (const double cover : {0.9, 0.99, 1.0}) {
        StudyRow row;
        row.distribution = distribution;
        row.m = row.k = row.n = size;
        row.cover = cover;
        row.convention = "report-code";
        row.error_float64.ground_truth = cover == 0.9 ? 0.09 : cover == 0.99 ? 0.05 : 0.01;
        row.y.scale = static_cast<float>(0.01 * std::sqrt(size));
        row.clipped_a = row.clipped_b = 1 - cover;
        row.excess_kurtosis_y = 0.01;
        row.seconds_float_product = 0.2;
        row.seconds_quantized_product = 0.1;
        spoil(row);
        rows.push_back(row);
      }
    }
  }
  return rows;
}

ClaimVerdict claim(int number, const std::vector<StudyRow>& rows) {
  const auto claims = judge_claims(rows);
  EXPECT_EQ(claims.size(), 7U);
  const auto& found = claims.at(static_cast<std::size_t>(number) - 1);
  EXPECT_EQ(found.number, number);
  EXPECT_FALSE(found.claim.empty());
  EXPECT_FALSE(found.test.empty());
  EXPECT_FALSE(found.evidence.empty());
  for (const auto& witness : found.witnesses) EXPECT_LT(witness.row, rows.size());
  return found;
}

Verdict verdict(int number, const std::function<void(StudyRow&)>& spoil) {
  return claim(number, ideal(spoil)).verdict;
}

TEST(Claims, AllHoldInTheIdealStudy) {
  for (int number = 1; number <= 6; ++number) {
    EXPECT_EQ(claim(number, ideal()).verdict, Verdict::holds) << number;
  }
  // Its second half is about data that are not independent.
  EXPECT_EQ(claim(7, ideal()).verdict, Verdict::in_part);
}

TEST(Claims, NothingIsSaidOfNoRows) {
  for (int number = 1; number <= 7; ++number) {
    EXPECT_EQ(claim(number, {}).verdict, Verdict::not_tested) << number;
  }
}

TEST(Claims, ErrorThatDriftsWithSize) {
  const auto drifts = [](const StudyRow& row) { return row.n == 1000 ? 1.3 : 1.0; };
  EXPECT_EQ(verdict(1, [&](StudyRow& r) { r.error_float64.ground_truth *= drifts(r); }),
            Verdict::does_not_hold);
  const auto at_one = ideal([&](StudyRow& r) {
    if (r.cover == 1 && r.distribution == "normal") r.error_float64.ground_truth *= drifts(r);
  });
  const auto found = claim(1, at_one);
  EXPECT_EQ(found.verdict, Verdict::in_part);
  EXPECT_THAT(found.evidence, HasSubstr("normal, cover 1: 0.01 at size 100, 0.013 at size 1000"));
  EXPECT_THAT(found.evidence, HasSubstr("+30 %"));
  EXPECT_THAT(found.evidence, Not(HasSubstr("uniform")));
  // Small matrices may scatter as they like.
  EXPECT_EQ(verdict(1,
                    [](StudyRow& r) {
                      if (r.n == 10) r.error_float64.ground_truth *= 5;
                    }),
            Verdict::holds);
}

TEST(Claims, ErrorThatRisesWithCoverage) {
  const auto found = claim(2, ideal([](StudyRow& r) {
                             if (r.cover == 1 && r.distribution == "normal" && r.n == 1000) {
                               r.error_float64.ground_truth = 0.06;
                             }
                           }));
  EXPECT_EQ(found.verdict, Verdict::in_part);
  EXPECT_THAT(found.evidence, HasSubstr("11 of 12"));
  EXPECT_THAT(found.evidence, HasSubstr("normal, size 1000: 0.05 at 0.99, 0.06 at 1 (+20 %)"));
  EXPECT_EQ(verdict(2, [](StudyRow& r) { r.error_float64.ground_truth = r.cover; }),
            Verdict::does_not_hold);
}

TEST(Claims, PoorResolutionIsObservedOrNot) {
  const auto rise = [](StudyRow& r) {
    if (r.cover == 1) r.error_float64.ground_truth = 0.06;
  };
  EXPECT_EQ(verdict(3, rise), Verdict::does_not_hold);
  EXPECT_EQ(verdict(3, [&](StudyRow& r) { r.distribution == "normal" ? rise(r) : void(); }),
            Verdict::in_part);
}

TEST(Claims, ScaleThatGrowsOtherwise) {
  EXPECT_EQ(verdict(4, [](StudyRow& r) { r.y.scale = 0.5F; }), Verdict::does_not_hold);
  const auto found = claim(4, ideal([](StudyRow& r) {
                             if (r.cover == 1) r.y.scale = static_cast<float>(std::pow(r.n, 0.6));
                           }));
  EXPECT_EQ(found.verdict, Verdict::in_part);
  EXPECT_THAT(found.evidence, HasSubstr("uniform, cover 1: n^0.600"));
}

TEST(Claims, MajorityThatIsNotEnough) {
  const auto found = claim(5, ideal([](StudyRow& r) {
                             if (r.cover == 0.9) r.error_float64.ground_truth = 0.3;
                           }));
  EXPECT_EQ(found.verdict, Verdict::in_part);
  EXPECT_THAT(found.evidence, HasSubstr("A majority is not enough"));
  // Rows that clip more than half say nothing about a majority.
  EXPECT_EQ(verdict(5,
                    [](StudyRow& r) {
                      if (r.cover != 0.9) return;
                      r.error_float64.ground_truth = 0.3;
                      r.clipped_a = 0.6;
                    }),
            Verdict::holds);
  EXPECT_EQ(verdict(5,
                    [](StudyRow& r) {
                      r.error_float64.ground_truth = 0.3;
                      r.excess_kurtosis_y = 3;
                    }),
            Verdict::does_not_hold);
}

TEST(Claims, CostIsJudgedAtTheLargestSize) {
  EXPECT_EQ(verdict(6,
                    [](StudyRow& r) {
                      if (r.n == 1000) r.seconds_quantized_product = 0.3;
                    }),
            Verdict::in_part);
  EXPECT_EQ(verdict(6,
                    [](StudyRow& r) {
                      if (r.n == 10) r.seconds_quantized_product = 0.3;
                    }),
            Verdict::holds);
}

TEST(Claims, WhetherGivenDataAreIidIsNotKnown) {
  auto rows = ideal();
  for (auto& row : rows) row.distribution = "file";
  const auto found = claim(7, rows);
  EXPECT_EQ(found.verdict, Verdict::not_tested);
  EXPECT_THAT(found.evidence, HasSubstr("The given matrices: error 0.01 at the best coverage, 1"));
  EXPECT_EQ(verdict(7, [](StudyRow& r) { r.error_float64.ground_truth = 0.4; }),
            Verdict::does_not_hold);
}

TEST(Claims, ChanceIsNotTakenForAnEffectOfSize) {
  const auto drifting = [](double predicted) {
    return ideal([=](StudyRow& r) {
      r.predicted_ground_truth = 0.01;
      if (r.n == 100 && r.cover == 1) {
        r.error_float64.ground_truth *= 1.16;
        r.predicted_ground_truth = predicted;
      }
    });
  };
  for (const double predicted : {0.0094, 0.01, 0.0105}) {
    const auto found = claim(1, drifting(predicted));
    EXPECT_EQ(found.verdict, Verdict::in_part);
    EXPECT_THAT(found.evidence, HasSubstr("4 of 6 curves stay level"));
    EXPECT_THAT(found.evidence, HasSubstr("Undecided, more seeds (--repeat) would tell: uniform"));
  }
  EXPECT_THAT(claim(1, drifting(0.0113)).evidence, HasSubstr("Not level: uniform"));
}

TEST(Claims, SeveralWidthsAndConventionsAreNamed) {
  auto rows = ideal();
  for (auto row : ideal()) {
    row.convention = "onnx";
    row.bits = 4;
    if (row.cover == 1) row.error_float64.ground_truth = 0.06;
    rows.push_back(row);
  }
  EXPECT_THAT(claim(2, rows).evidence, HasSubstr("uniform, size 1000, 4 bits, onnx: 0.05"));
  EXPECT_THAT(claim(7, rows).evidence, HasSubstr("Normal, 8 bits, report-code: error 0.01"));
  EXPECT_THAT(claim(7, rows).evidence, HasSubstr("Normal, 4 bits, onnx: error 0.05"));
}

TEST(Claims, ShortTimesAreNotJudged) {
  EXPECT_EQ(verdict(6, [](StudyRow& r) { r.seconds_float_product = 5e-4; }), Verdict::not_tested);
}

TEST(Claims, EachProductIsJudgedOnce) {
  auto rows = ideal([](StudyRow& r) { r.excess_kurtosis_y = 0.5; });
  EXPECT_THAT(claim(5, rows).evidence, HasSubstr("not always normal: excess kurtosis uniform, size "
                                                 "100: 0.500; uniform, size 1000: 0.500; normal"));
}

}  // namespace
}  // namespace zeropoint
