// R. E. A. C. Paley, "On orthogonal matrices", J. Math. Phys. 12 (1933): the quadratic character χ
// of a finite field of q elements makes Hadamard matrices of order q + 1 for q = 3 (mod 4), and
// 2(q + 1) for q = 1 (mod 4).
#include "transforms/paley.hpp"

#include <array>
#include <cassert>

namespace zeropoint {
namespace {

// q = p^degree. No prime power up to 343 that is needed has a degree above 3.
struct PrimePower {
  std::size_t p = 0;
  int degree = 0;  // 0: none
};

PrimePower prime_power(std::size_t q) {
  if (q < 3) return {};
  std::size_t p = 2;
  while (p * p <= q && q % p != 0) ++p;
  if (q % p != 0) p = q;
  std::size_t left = q;
  int degree = 0;
  for (; left % p == 0; left /= p) ++degree;
  return left == 1 && p != 2 && degree <= 3 ? PrimePower{p, degree} : PrimePower{};
}

// An element is a polynomial over the integers modulo p, its coefficients the digits of a number.
using Coefficients = std::array<std::size_t, 3>;

class Field {
 public:
  explicit Field(PrimePower of) : p_(of.p), degree_(static_cast<std::size_t>(of.degree)) {
    for (std::size_t i = 0; i < degree_; ++i) size_ *= p_;
    if (degree_ > 1) find_modulus();
    is_square_.assign(size_, false);
    for (std::size_t e = 1; e < size_; ++e) is_square_[square(e)] = true;
  }

  std::size_t size() const { return size_; }
  // χ(a − b).
  int character(std::size_t a, std::size_t b) const {
    if (a == b) return 0;
    const auto of_a = digits(a), of_b = digits(b);
    Coefficients difference{};
    for (std::size_t i = 0; i < degree_; ++i) difference[i] = (of_a[i] + p_ - of_b[i]) % p_;
    return is_square_[number(difference)] ? 1 : -1;
  }

 private:
  Coefficients digits(std::size_t e) const {
    Coefficients c{};
    for (std::size_t i = 0; i < degree_; ++i, e /= p_) c[i] = e % p_;
    return c;
  }
  std::size_t number(const Coefficients& c) const {
    std::size_t e = 0;
    for (std::size_t i = degree_; i-- > 0;) e = e * p_ + c[i];
    return e;
  }

  // x^degree = modulus_(x). Of degree 2 or 3, a polynomial without roots is irreducible.
  void find_modulus() {
    for (std::size_t e = 0; e < size_; ++e) {
      modulus_ = digits(e);
      bool has_root = false;
      for (std::size_t x = 0; x < p_ && !has_root; ++x) {
        std::size_t value = 0, power = 1;
        for (std::size_t i = 0; i < degree_; ++i, power = power * x % p_) {
          value = (value + modulus_[i] * power) % p_;
        }
        has_root = value == power;
      }
      if (!has_root) return;
    }
    assert(false && "there is one for every degree");
  }

  std::size_t square(std::size_t e) const {
    const auto c = digits(e);
    std::array<std::size_t, 5> product{};
    for (std::size_t i = 0; i < degree_; ++i) {
      for (std::size_t j = 0; j < degree_; ++j) product[i + j] += c[i] * c[j];
    }
    for (std::size_t i = 2 * degree_ - 2; i >= degree_ && degree_ > 1; --i) {
      for (std::size_t j = 0; j < degree_; ++j) {
        product[i - degree_ + j] += product[i] % p_ * modulus_[j];
      }
    }
    Coefficients rest{};
    for (std::size_t i = 0; i < degree_; ++i) rest[i] = product[i] % p_;
    return number(rest);
  }

  std::size_t p_, degree_, size_ = 1;
  Coefficients modulus_{};
  std::vector<bool> is_square_;
};

// The field that makes a matrix of that order by either construction.
PrimePower first_construction(std::size_t order) {
  return order % 4 == 0 ? prime_power(order - 1) : PrimePower{};
}
PrimePower second_construction(std::size_t order) {
  if (order % 4 != 0 || (order / 2 - 1) % 4 != 1) return {};
  return prime_power(order / 2 - 1);
}

}  // namespace

bool has_paley_order(std::size_t order) {
  if (order < 4 || order > kLargestPaley) return false;
  return first_construction(order).degree > 0 || second_construction(order).degree > 0;
}

std::vector<std::int8_t> paley_matrix(std::size_t order) {
  assert(has_paley_order(order));
  std::vector<std::int8_t> matrix(order * order);
  const auto set = [&](std::size_t i, std::size_t j, int value) {
    matrix[i * order + j] = static_cast<std::int8_t>(value);
  };
  const auto second = second_construction(order);
  const bool is_second = second.degree > 0;
  const Field field(is_second ? second : first_construction(order));
  // χ bordered by ones, with 0 on the diagonal: symmetric in the second construction, skew in the
  // first.
  const auto bordered = [&](std::size_t i, std::size_t j) {
    if (i == j) return 0;
    if (i == 0) return 1;
    if (j == 0) return is_second ? 1 : -1;
    return field.character(i - 1, j - 1);
  };
  for (std::size_t i = 0; i <= field.size(); ++i) {
    for (std::size_t j = 0; j <= field.size(); ++j) {
      const int value = bordered(i, j);
      if (!is_second) {
        set(i, j, i == j ? 1 : value);
        continue;
      }
      set(2 * i, 2 * j, i == j ? 1 : value);
      set(2 * i, 2 * j + 1, i == j ? -1 : value);
      set(2 * i + 1, 2 * j, i == j ? -1 : value);
      set(2 * i + 1, 2 * j + 1, i == j ? -1 : -value);
    }
  }
  return matrix;
}

}  // namespace zeropoint
