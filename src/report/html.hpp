#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace zeropoint::html {

/// `text` as HTML content or as a quoted attribute's value.
std::string escape(std::string_view text);

/// A number for running text: `digits` significant ones, a true minus sign.
std::string number(double value, int digits);

/// A cell: nothing, a text (escaped when written) or a number.
using Value = std::variant<std::monostate, std::string, double>;

/// A column of a table. Numbers of one column share their count of decimals, so that their
/// points stand below one another.
struct Column {
  std::string group;  ///< heading over neighbouring columns of the same group; may be empty
  std::string head;   ///< HTML
  std::string title;  ///< the heading in words
  int digits = 0;     ///< significant digits that the smallest number keeps; 0 for integers
  int decimals = -1;  ///< if not negative, the count of decimals instead
  std::function<Value(std::size_t)> value;
};

struct Table {
  std::string id;
  std::string caption;  ///< HTML
  std::string row_id;   ///< prefix of the rows' ids, which count from 1; may be empty
  std::vector<Column> columns;
  std::size_t rows = 0;
};

/// The table in a box of its own that scrolls. The first column heads its row.
std::string render(const Table& table);

}  // namespace zeropoint::html
