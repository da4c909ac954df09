#pragma once
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint::plot {

/// An axis; its ends follow from what is drawn. With `categories`, values are indices into them.
struct Axis {
  std::string title;
  bool log = false;
  std::vector<std::string> categories = {};
};

struct Point {
  double x, y;
  std::string name = {};  ///< shown when pointed at; written beside it if the mark is `labelled`
  /// A vertical interval, if both are numbers.
  double lo = std::numeric_limits<double>::quiet_NaN();
  double hi = std::numeric_limits<double>::quiet_NaN();
};

enum class Mark { line, dashed, line_and_points, points, labelled };

struct Series {
  std::string name;  ///< in the legend; without one it has no place there
  Mark mark;
  int color;  ///< 0 to 7
  std::vector<Point> points;
};

/// A drawing with axes, and its legend: HTML with an SVG that needs no script. Points that are not
/// finite (on a logarithmic axis: not positive) are left out. `label` says in words what it shows.
std::string chart(std::string_view label, const Axis& x, const Axis& y,
                  const std::vector<Series>& series);

/// One bar, cut into parts of either sign: the positive ones stand to the right of zero, one after
/// the other, the negative ones to its left.
struct Bar {
  std::string name;
  std::vector<double> parts;
};
/// Horizontal bars below one another, a color a part. `title` names the axis.
std::string stacked_bars(std::string_view label, const std::string& title,
                         const std::vector<std::string>& parts, const std::vector<Bar>& bars);

}  // namespace zeropoint::plot
