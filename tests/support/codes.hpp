#pragma once
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "zeropoint/gemm/operand.hpp"
#include "zeropoint/gemm/reference.hpp"

#include "support/matrices.hpp"

namespace zeropoint::testing {

enum class CodeType { int8, uint8, int16, uint16 };
inline constexpr CodeType kCodeTypes[] = {CodeType::int8, CodeType::uint8, CodeType::int16,
                                          CodeType::uint16};
inline constexpr CodeType k8BitTypes[] = {CodeType::int8, CodeType::uint8};

inline bool has_8_bits(CodeType type) { return type == CodeType::int8 || type == CodeType::uint8; }

inline std::string_view name_of(CodeType type) {
  constexpr std::string_view kNames[] = {"int8", "uint8", "int16", "uint16"};
  return kNames[static_cast<std::size_t>(type)];
}

/// Calls `body` with a code of that type.
template <class Body>
auto with_code_of(CodeType type, const Body& body) {
  switch (type) {
    case CodeType::int8:
      return body(std::int8_t{});
    case CodeType::uint8:
      return body(std::uint8_t{});
    case CodeType::int16:
      return body(std::int16_t{});
    case CodeType::uint16:
      break;
  }
  return body(std::uint16_t{});
}

/// Codes anywhere, or all of them the same.
enum class Values { any, least, most, zero };
inline constexpr Values kConstants[] = {Values::least, Values::most, Values::zero};

template <class Code>
Code code_of(Values values, std::mt19937_64& random) {
  switch (values) {
    case Values::least:
      return std::numeric_limits<Code>::min();
    case Values::most:
      return std::numeric_limits<Code>::max();
    case Values::zero:
      return 0;
    case Values::any:
      break;
  }
  return any_code<Code>(random);
}

/// A matrix of codes whose type is chosen when it is made.
class AnyCodes {
 public:
  AnyCodes(CodeType type, std::size_t rows, std::size_t cols, Layout layout, Values values,
           std::mt19937_64& random)
      : codes_(with_code_of(type, [&]<class Code>(Code) {
          return Variant(
              LaidOut<Code>(rows, cols, layout, [&] { return code_of<Code>(values, random); }));
        })) {}

  /// visit(matrix view)
  template <class Visit>
  auto with_view(const Visit& visit) const {
    return std::visit([&](const auto& codes) { return visit(codes.view()); }, codes_);
  }
  CodesView view() const {
    return with_view([](const auto& codes) { return CodesView(codes); });
  }

 private:
  using Variant = std::variant<LaidOut<std::int8_t>, LaidOut<std::uint8_t>, LaidOut<std::int16_t>,
                               LaidOut<std::uint16_t>>;
  Variant codes_;
};

/// One number for a whole operand, or one for each of its rows or columns.
template <class T>
struct AllOrEach {
  T all{};
  std::vector<T> each = {};

  T operator[](std::size_t i) const { return each.empty() ? all : each[i]; }
  template <class Parameter>
  Parameter as() const {
    return each.empty() ? Parameter(all) : Parameter(each);
  }
};
using ZeroPointsOf = AllOrEach<std::int32_t>;

/// S by three loops, element by element where zero points differ.
template <class A, class B>
Matrix<std::int64_t> sums_by_definition(MatrixView<const A> a, const ZeroPointsOf& zero_a,
                                        MatrixView<const B> b, const ZeroPointsOf& zero_b) {
  Matrix<std::int64_t> sums(a.rows, b.cols);
  if (zero_a.each.empty() && zero_b.each.empty()) {
    triple_loop_product<A, B>(a, b, zero_a.all, zero_b.all, sums.view());
    return sums;
  }
  for (std::size_t i = 0; i < a.rows; ++i) {
    MatrixView<const A> row = a;
    row.data += static_cast<std::ptrdiff_t>(i) * a.row_stride;
    row.rows = 1;
    for (std::size_t j = 0; j < b.cols; ++j) {
      MatrixView<const B> column = b;
      column.data += static_cast<std::ptrdiff_t>(j) * b.col_stride;
      column.cols = 1;
      triple_loop_product<A, B>(row, column, zero_a[i], zero_b[j], {&sums(i, j), 1, 1, 1, 1});
    }
  }
  return sums;
}

inline Matrix<std::int64_t> sums_by_definition(const AnyCodes& a, const ZeroPointsOf& zero_a,
                                               const AnyCodes& b, const ZeroPointsOf& zero_b) {
  return a.with_view([&]<class A>(MatrixView<const A> view_a) {
    return b.with_view([&]<class B>(MatrixView<const B> view_b) {
      return sums_by_definition<A, B>(view_a, zero_a, view_b, zero_b);
    });
  });
}

}  // namespace zeropoint::testing
