// Drawings for pages: marks on axes as SVG, coloured by the page's style sheet.
#include "report/plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <fmt/format.h>

#include "report/html.hpp"

namespace zeropoint::plot {
namespace {

using html::escape;

// The plot's rectangle within the drawing, in its units.
constexpr double kLeft = 62, kRight = 704, kTop = 12, kBottom = 330, kHeight = 374;
constexpr double kLine = 13, kCharacter = 6.2;

struct Tick {
  double at;
  std::string label;
};

// From values to the drawing.
class Scale {
 public:
  Scale(const Axis& axis, double least, double most, double from, double to)
      : axis_(axis), from_(from), to_(to) {
    if (!axis.categories.empty()) {
      lo_ = -0.4;
      hi_ = static_cast<double>(axis.categories.size()) - 0.6;
    } else if (axis.log) {
      lo_ = std::log10(least);
      hi_ = std::log10(most);
      const double margin = std::max(0.04 * (hi_ - lo_), 0.05);
      lo_ -= margin;
      hi_ += margin;
    } else {
      const double margin = std::max(0.05 * (most - least), 1e-3 * std::abs(most));
      lo_ = least - (margin > 0 ? margin : 1);
      hi_ = most + (margin > 0 ? margin : 1);
      if (least >= 0 && lo_ < 0) lo_ = 0;
    }
  }

  double operator()(double value) const {
    return from_ + ((axis_.log ? std::log10(value) : value) - lo_) / (hi_ - lo_) * (to_ - from_);
  }
  bool shows(double value) const { return std::isfinite(value) && (!axis_.log || value > 0); }

  std::vector<Tick> ticks() const {
    std::vector<Tick> all;
    if (!axis_.categories.empty()) {
      for (std::size_t i = 0; i < axis_.categories.size(); ++i) {
        all.push_back({static_cast<double>(i), axis_.categories[i]});
      }
      return all;
    }
    if (axis_.log) {
      // A tick at every 1, 2 and 5 where few decades are shown.
      const double decades = hi_ - lo_;
      for (double decade = std::floor(lo_); decade <= hi_; ++decade) {
        for (const double step : {1.0, 2.0, 5.0}) {
          if (step > 1 && decades > 2.5) continue;
          const double value = step * std::pow(10.0, decade);
          if (std::log10(value) < lo_ || std::log10(value) > hi_) continue;
          all.push_back({value, fmt::format("{:.6g}", value)});
        }
      }
      return all;
    }
    // 1, 2 or 5 times a power of ten, for 4 to 10 ticks.
    double step = std::pow(10.0, std::floor(std::log10(hi_ - lo_)));
    if ((hi_ - lo_) / step < 4) step /= (hi_ - lo_) / step < 2 ? 5 : 2;
    for (double value = std::ceil(lo_ / step) * step; value <= hi_; value += step) {
      all.push_back({value, fmt::format("{:.4g}", std::abs(value) < step / 2 ? 0 : value)});
    }
    return all;
  }

 private:
  const Axis& axis_;
  double lo_, hi_, from_, to_;
};

struct Extent {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
  void add(double value, bool log) {
    if (!std::isfinite(value) || (log && !(value > 0))) return;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  bool empty() const { return least > most; }
};

std::string vertical_rule(double x, double from, double to, std::string_view label) {
  return fmt::format(
      "<path class=\"grid\" d=\"M{0:.1f} {1}V{2}\"/><text x=\"{0:.1f}\" y=\"{3}\" "
      "text-anchor=\"middle\">{4}</text>\n",
      x, from, to, to + 17, escape(label));
}

std::string frame(const Axis& x, const Axis& y, const Scale& at_x, const Scale& at_y) {
  std::string svg;
  for (const auto& tick : at_y.ticks()) {
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        kLeft, at_y(tick.at), kRight, kLeft - 7, at_y(tick.at) + 4, escape(tick.label));
  }
  for (const auto& tick : at_x.ticks()) {
    svg += vertical_rule(at_x(tick.at), kTop, kBottom, tick.label);
  }
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text transform=\"translate(13 "
      "{}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
      (kLeft + kRight) / 2, kBottom + 37, escape(x.title), (kTop + kBottom) / 2, escape(y.title));
  return svg;
}

struct Label {
  double x, y;  ///< of the point
  std::string text;
  double text_x = 0, text_y = 0;
};

// Labels stand to the right of their points, or to the left near the edge; those that would lie on
// others move away, the nearest free place first.
void place(std::vector<Label>& labels) {
  // Of many, those that find no place nearby are left to the pointer; else all are written, from
  // the top.
  constexpr std::size_t kMany = 24;
  const double farthest = labels.size() > kMany ? 30 : kBottom;
  if (labels.size() <= kMany) {
    std::ranges::sort(labels, [](const Label& a, const Label& b) { return a.y < b.y; });
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    auto& label = labels[i];
    const double width = kCharacter * static_cast<double>(label.text.size());
    label.text_x = label.x + 8;
    if (label.text_x + width > kRight + 12) label.text_x = label.x - 8 - width;
    const auto is_free = [&](double y) {
      if (y < kTop + 8 || y > kBottom - 2) return false;
      if (std::ranges::any_of(labels, [&](const Label& other) {
            return other.x > label.text_x - 5 && other.x < label.text_x + width + 5 &&
                   std::abs(other.y + 4 - y) < 9 && &other != &label;
          })) {
        return false;
      }
      return std::ranges::none_of(
          labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(i), [&](const Label& other) {
            const double its = kCharacter * static_cast<double>(other.text.size());
            return label.text_x < other.text_x + its + 6 &&
                   other.text_x < label.text_x + width + 6 && std::abs(y - other.text_y) < kLine;
          });
    };
    label.text_y = -1;
    for (double away = 0; away < farthest; away += 3) {
      if (is_free(label.y + 4 + away)) {
        label.text_y = label.y + 4 + away;
        break;
      }
      if (is_free(label.y + 4 - away)) {
        label.text_y = label.y + 4 - away;
        break;
      }
    }
  }
}

std::string written(std::vector<Label> labels) {
  place(labels);
  std::string svg;
  for (const auto& label : labels) {
    if (label.text_y < 0) continue;
    if (std::abs(label.text_y - 4 - label.y) > 6) {  // a label that was moved points back
      const bool right = label.text_x > label.x;
      svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", label.x,
                         label.y, label.x + (right ? 7 : -7), label.text_y - 4);
    }
    svg += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", label.text_x,
                       label.text_y, escape(label.text));
  }
  return svg;
}

std::string polyline(const Series& series, const Scale& at_x, const Scale& at_y) {
  std::string path;
  bool drawing = false;
  for (const auto& p : series.points) {
    if (!at_x.shows(p.x) || !at_y.shows(p.y)) {
      drawing = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", drawing ? "L" : "M", at_x(p.x), at_y(p.y));
    drawing = true;
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"curve c{}{}\" d=\"{}\"/>\n", series.color,
                     series.mark == Mark::dashed ? " dashed" : "", path);
}

std::string key(std::string_view name, std::string_view css) {
  return fmt::format("<span class=\"key\"><span class=\"swatch {}\"></span>{}</span> ", css,
                     escape(name));
}

bool has_line(Mark mark) {
  return mark == Mark::line || mark == Mark::dashed || mark == Mark::line_and_points;
}

}  // namespace

std::string chart(std::string_view label, const Axis& x, const Axis& y,
                  const std::vector<Series>& series) {
  Extent extent_x, extent_y;
  for (const auto& each : series) {
    for (const auto& p : each.points) {
      extent_x.add(p.x, x.log);
      for (const double value : {p.y, p.lo, p.hi}) extent_y.add(value, y.log);
    }
  }
  if (extent_x.empty() || extent_y.empty()) {
    return "<p class=\"note\">There is nothing to draw.</p>\n";
  }
  const Scale at_x(x, extent_x.least, extent_x.most, kLeft, kRight);
  const Scale at_y(y, extent_y.least, extent_y.most, kBottom, kTop);
  std::string svg =
      fmt::format("<svg class=\"plot\" viewBox=\"0 0 720 {}\" role=\"img\" aria-label=\"{}\">\n",
                  kHeight, escape(label));
  svg += frame(x, y, at_x, at_y);
  std::vector<Label> labels;
  std::string keys;
  for (const auto& each : series) {
    if (has_line(each.mark)) svg += polyline(each, at_x, at_y);
    for (const auto& p : each.points) {
      if (!at_x.shows(p.x) || !at_y.shows(p.y)) continue;
      const double px = at_x(p.x), py = at_y(p.y);
      if (at_y.shows(p.lo) && at_y.shows(p.hi)) {
        svg += fmt::format("<path class=\"whisker c{}\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>", each.color,
                           px, at_y(p.lo), at_y(p.hi));
      }
      if (each.mark == Mark::line || each.mark == Mark::dashed) continue;
      svg += fmt::format("<circle class=\"c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\">{}</circle>\n",
                         each.color, px, py,
                         p.name.empty() ? "" : "<title>" + escape(p.name) + "</title>");
      if (each.mark == Mark::labelled) labels.push_back({px, py, p.name});
    }
    if (!each.name.empty()) {
      keys += key(each.name, fmt::format("{} c{}",
                                         each.mark == Mark::dashed ? "line dashed"
                                         : has_line(each.mark)     ? "line"
                                                                   : "dot",
                                         each.color));
    }
  }
  svg += written(std::move(labels)) + "</svg>\n";
  return svg + (keys.empty() ? "" : "<p class=\"legend\">" + keys + "</p>\n");
}

std::string stacked_bars(std::string_view label, const std::string& title,
                         const std::vector<std::string>& parts, const std::vector<Bar>& bars) {
  constexpr double kRow = 22, kNames = 250;
  double least = 0, most = 0;
  for (const auto& bar : bars) {
    double below = 0, above = 0;
    for (const double part : bar.parts) {
      if (std::isfinite(part)) (part < 0 ? below : above) += part;
    }
    least = std::min(least, below);
    most = std::max(most, above);
  }
  if (!(most > least)) return "<p class=\"note\">There is nothing to draw.</p>\n";
  const Axis axis{title};
  const Scale at(axis, least, most, kNames, kRight);
  const double bottom = kTop + kRow * static_cast<double>(bars.size());
  std::string svg =
      fmt::format("<svg class=\"plot\" viewBox=\"0 0 720 {}\" role=\"img\" aria-label=\"{}\">\n",
                  bottom + 44, escape(label));
  for (const auto& tick : at.ticks()) svg += vertical_rule(at(tick.at), kTop, bottom, tick.label);
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                     (kNames + kRight) / 2, bottom + 37, escape(title));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double top = kTop + kRow * static_cast<double>(i);
    svg += fmt::format("<text class=\"name\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                       kNames - 8, top + 15, escape(bars[i].name));
    double below = 0, above = 0;
    for (std::size_t part = 0; part < bars[i].parts.size(); ++part) {
      const double value = bars[i].parts[part];
      if (!std::isfinite(value) || value == 0) continue;
      double& from = value < 0 ? below : above;
      const double a = at(from), b = at(from + value);
      from += value;
      svg += fmt::format(
          "<rect class=\"c{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\">"
          "<title>{}: {:.4g}</title></rect>\n",
          part % 8, std::min(a, b), top + 3, std::abs(b - a), kRow - 6,
          part < parts.size() ? escape(parts[part]) : "", value);
    }
  }
  std::string keys;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    keys += key(parts[part], fmt::format("block c{}", part % 8));
  }
  return svg + "</svg>\n<p class=\"legend\">" + keys + "</p>\n";
}

}  // namespace zeropoint::plot
