#include "study/errors.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "zeropoint/core/parallel.hpp"

namespace zeropoint {
namespace {

constexpr std::size_t kGrain = 1 << 16;

// ‖difference‖² and ‖whole‖² of one error, element by element.
struct Squares {
  double difference = 0;
  double whole = 0;

  double ratio() const {
    if (difference == 0) return 0;
    return whole > 0 ? std::sqrt(difference / whole) : std::numeric_limits<double>::infinity();
  }
};

// `terms(i)` gives the two float32 numbers whose squares are summed.
template <class Terms>
Squares sum_float64(std::size_t count, const Terms& terms) {
  std::vector<Squares> pieces((count + kGrain - 1) / kGrain);
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    Squares sum;
    for (std::size_t i = begin; i < end; ++i) {
      const auto [difference, whole] = terms(i);
      sum.difference += double{difference} * double{difference};
      sum.whole += double{whole} * double{whole};
    }
    pieces[begin / kGrain] = sum;
  });
  Squares total;
  for (const auto& piece : pieces) {
    total.difference += piece.difference;
    total.whole += piece.whole;
  }
  return total;
}

// The report's library summed squares in float32 in the eight lanes of one vector register. The
// rounding of these long sums is part of the published figures.
template <class Terms>
Squares sum_float32x8(std::size_t count, const Terms& terms) {
  constexpr std::size_t kLanes = 8;
  std::array<float, kLanes> difference{};
  std::array<float, kLanes> whole{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto [d, w] = terms(i + lane);
      difference[lane] += d * d;
      whole[lane] += w * w;
    }
  }
  Squares total;
  for (; i < count; ++i) {
    const auto [d, w] = terms(i);
    total.difference += d * d;
    total.whole += w * w;
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    total.difference += difference[lane];
    total.whole += whole[lane];
  }
  return total;
}

struct Terms {
  float difference;
  float whole;
};

}  // namespace

double relative_error(const Matrix<float>& y, const Matrix<float>& other) {
  return sum_float64(y.size(),
                     [&](std::size_t i) {
                       return Terms{y.data()[i] - other.data()[i], y.data()[i]};
                     })
      .ratio();
}

BothNorms study_errors(const Matrix<float>& y, const QTensor& yq, const QTensor& pq) {
  BothNorms result;
  const QuantParams params = yq.params();
  const auto compare = [&]<class Code>(const Matrix<Code>& truth, const Matrix<Code>& product) {
    const float* real = y.data();
    const Code* from_truth = truth.data();
    const Code* from_product = product.data();
    const auto ground = [=](std::size_t i) {
      return Terms{real[i] - dequantize(from_product[i], params), real[i]};
    };
    const auto expected = [=](std::size_t i) {
      const float d = dequantize(from_truth[i], params);
      return Terms{d - dequantize(from_product[i], params), d};
    };
    const auto simulated = [=](std::size_t i) {
      return Terms{static_cast<float>(from_truth[i] - from_product[i]),
                   static_cast<float>(from_truth[i])};
    };
    const std::size_t count = y.size();
    result.float64 = {sum_float64(count, ground).ratio(), sum_float64(count, expected).ratio(),
                      sum_float64(count, simulated).ratio()};
    // One chain of sums each: they cannot be cut in pieces, but run side by side.
    parallel_for(
        3, 1,
        [&](std::size_t which, std::size_t) {
          auto& e = result.float32x8;
          if (which == 0) e.ground_truth = sum_float32x8(count, ground).ratio();
          if (which == 1) e.expected = sum_float32x8(count, expected).ratio();
          if (which == 2) e.simulated = sum_float32x8(count, simulated).ratio();
        },
        static_cast<double>(count));
  };
  yq.visit_codes([&]<class Code>(const Matrix<Code>& truth) {
    pq.visit_codes([&]<class Other>(const Matrix<Other>& product) {
      if constexpr (std::is_same_v<Code, Other>) compare(truth, product);
    });
  });
  return result;
}

double excess_kurtosis(const Matrix<float>& y) {
  const auto values = y.values();
  const std::size_t pieces = (values.size() + kGrain - 1) / kGrain;
  const auto count = static_cast<double>(values.size());
  const auto mean_of = [&](const auto& f) {
    std::vector<double> sums(pieces);
    parallel_for(values.size(), kGrain, [&](std::size_t begin, std::size_t end) {
      double sum = 0;
      for (std::size_t i = begin; i < end; ++i) sum += f(double{values[i]});
      sums[begin / kGrain] = sum;
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    return total / count;
  };
  if (values.size() < 2) return 0;
  const double mean = mean_of([](double x) { return x; });
  const double second = mean_of([=](double x) { return (x - mean) * (x - mean); });
  const double fourth = mean_of([=](double x) { return std::pow((x - mean) * (x - mean), 2); });
  return second > 0 ? fourth / (second * second) - 3 : 0;
}

}  // namespace zeropoint
