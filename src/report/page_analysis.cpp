// The page of `zeropoint analyze`.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/machine.hpp"
#include "zeropoint/report/analysis_page.hpp"

#include "report/embedded.hpp"
#include "report/figure.hpp"
#include "report/html.hpp"
#include "report/plot.hpp"
#include "report/template.hpp"

namespace zeropoint {
namespace {

using html::escape;
using html::number;
using Json = nlohmann::json;

double decibels(double error) { return error > 0 ? -20 * std::log10(error) : kNone; }

// Names from files in any bytes, in UTF-8 for the page.
std::string utf8(const std::string& text) {
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(quoted).get<std::string>();
}
std::string shown(const std::string& text) { return escape(utf8(text)); }

std::string pareto_figure(const FileAnalysis& analysis, int figure_number) {
  plot::Series points{"one scheme for all tensors", plot::Mark::labelled, 0, {}};
  plot::Series front{"a scheme for each tensor", plot::Mark::line, 1, {}};
  const auto values = std::accumulate(
      analysis.weights.begin(), analysis.weights.end(), 0.0, [](double sum, const auto& weight) {
        return sum + (weight.kept.empty() ? static_cast<double>(weight.count) : 0.0);
      });
  if (values == 0) return "";
  double least = 1e300, most = 0;
  for (std::size_t i = 0; i < analysis.totals.size(); ++i) {
    const auto& total = analysis.totals[i];
    const double megabytes = 1e-6 * static_cast<double>(total.bytes);
    least = std::min(least, megabytes);
    most = std::max(most, megabytes);
    points.points.push_back({megabytes, decibels(total.error), analysis.schemes[i]});
  }
  // Thousands of steps look like hundreds.
  const std::size_t stride = std::max<std::size_t>(analysis.front.size() / 300, 1);
  for (std::size_t i = 0; i < analysis.front.size(); i += stride) {
    const double megabytes = 1e-6 * static_cast<double>(analysis.front[i].bytes);
    if (megabytes > most * 1.02) break;
    front.points.push_back({megabytes, decibels(analysis.front[i].error)});
  }
  return page::figure(figure_number, "What each scheme keeps, against the size of the tensors",
                      plot::chart("Signal to noise against size", {"size of all tensors, MB"},
                                  {"signal to noise of all tensors, dB"}, {front, points}));
}

std::string schemes_table(const FileAnalysis& analysis) {
  if (analysis.front.empty()) return "<p class=\"note\">No tensor to quantize.</p>";
  std::vector<std::size_t> order(analysis.schemes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return analysis.totals[i].bytes; });
  std::string text =
      "<div class=\"scroll\"><table class=\"data\"><caption>All tensors together, by size</caption>"
      "<thead><tr><th scope=\"col\" class=\"text\">scheme</th><th scope=\"col\">size</th>"
      "<th scope=\"col\">of before</th><th scope=\"col\">dB</th>"
      "<th scope=\"col\">gap, dB</th><th scope=\"col\">gap, bits</th>"
      "<th scope=\"col\">mixed, dB</th><th scope=\"col\">does not fit</th></tr></thead><tbody>";
  for (const std::size_t i : order) {
    const auto& total = analysis.totals[i];
    const auto bytes = static_cast<double>(total.bytes);
    const auto db = [](double error) {
      return error > 0 ? fmt::format("{:.1f}", decibels(error)) : std::string("exact");
    };
    const auto fixed = [](double x, int decimals) {
      return std::isfinite(x) ? fmt::format("{:.{}f}", x, decimals) : std::string("–");
    };
    text += fmt::format(
        "<tr><th scope=\"row\" class=\"text\">{}</th><td>{}</td><td>{:.1f} %</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape(analysis.schemes[i]), size_text(bytes),
        100 * bytes / static_cast<double>(analysis.tensor_bytes), db(total.error),
        fixed(total.gap_db, 1), fixed(total.gap_bits, 2),
        total.mixed.empty() ? "–" : db(total.mixed_error),
        total.misfits == 0 ? "" : fmt::format("{}", total.misfits));
  }
  return text + "</tbody></table></div>";
}

std::string tensors_table(const FileAnalysis& analysis) {
  std::string text =
      "<div class=\"scroll\"><table class=\"data tensors\"><thead><tr>"
      "<th scope=\"col\" class=\"text\">tensor</th><th scope=\"col\">shape</th>"
      "<th scope=\"col\">type</th><th scope=\"col\">values</th><th scope=\"col\">σ</th>"
      "<th scope=\"col\">kurtosis</th><th scope=\"col\">outlier channels</th>";
  for (const auto& scheme : analysis.schemes) {
    text += fmt::format("<th scope=\"col\">{}</th>", escape(scheme));
  }
  text += "</tr></thead><tbody>";
  // Those that were tried first.
  std::vector<std::size_t> order(analysis.weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {},
                           [&](std::size_t i) { return !analysis.weights[i].kept.empty(); });
  for (const std::size_t i : order) {
    const auto& weight = analysis.weights[i];
    const auto& profile = weight.profile;
    const auto real = [](double x, int digits) {
      return std::isfinite(x) ? number(x, digits) : std::string("–");
    };
    const auto sorted_by = [](double x) {
      return std::isfinite(x) ? fmt::format(" data-value=\"{:.9g}\"", x) : std::string();
    };
    const std::size_t outliers = profile.outputs.outliers + profile.inputs.outliers;
    text += fmt::format(
        "<tr data-index=\"{}\"><th scope=\"row\" class=\"text\">{}</th>"
        "<td data-value=\"{}\">{}</td><td>{}</td><td data-value=\"{}\">{}</td><td{}>{}</td>"
        "<td{}>{}</td><td data-value=\"{}\">{}</td>",
        i, shown(weight.name), weight.count, fmt::join(weight.shape, "×"), shown(weight.type),
        weight.count, weight.count, sorted_by(profile.sigma), real(profile.sigma, 3),
        sorted_by(profile.kurtosis), real(profile.kurtosis, 3), outliers,
        outliers == 0 ? std::string("–")
                      : fmt::format("{} + {}", profile.outputs.outliers, profile.inputs.outliers));
    if (!weight.kept.empty()) {
      text += fmt::format("<td class=\"kept\" colspan=\"{}\">kept: {}</td></tr>",
                          analysis.schemes.size(), escape(weight.kept));
      continue;
    }
    for (const auto& trial : weight.trials) {
      if (!trial.problem.empty()) {
        text += fmt::format("<td class=\"no\" title=\"{}\">no</td>", shown(trial.problem));
      } else if (trial.relative_error == 0) {
        text += "<td data-value=\"999\">exact</td>";
      } else {
        const std::string gap = std::isfinite(trial.gap_db)
                                    ? fmt::format(", {:.1f} dB or {:.2f} bits above the bound",
                                                  trial.gap_db, trial.gap_bits)
                                    : "";
        text += fmt::format("<td{} title=\"{:.3g} bits a value, error {:.3g}{}\">{:.1f}</td>",
                            sorted_by(trial.sqnr_db), trial.bits, trial.relative_error, gap,
                            trial.sqnr_db);
      }
    }
    text += "</tr>";
  }
  return text + "</tbody></table></div>";
}

std::string timings_table(const FileAnalysis& analysis) {
  if (analysis.timings.empty()) return "";
  std::string text =
      "<h3>Products with these matrices, on this machine</h3><p class=\"note\">Activations of so "
      "many rows times the matrix, in float32 by oneDNN and in int8, quantized on the way, the "
      "weights packed before; one thread, medians, taken in turn.</p><div class=\"scroll\"><table "
      "class=\"data\"><thead><tr><th scope=\"col\">outputs × inputs</th><th "
      "scope=\"col\">tensors</th><th scope=\"col\">rows</th><th scope=\"col\">fp32, µs</th><th "
      "scope=\"col\">int8, µs</th><th scope=\"col\">speed-up</th><th "
      "scope=\"col\"></th></tr></thead><tbody>";
  for (const auto& timing : analysis.timings) {
    for (const auto& each : timing.seconds) {
      text += fmt::format(
          "<tr><td>{} × {}</td><td>{}</td><td>{}</td><td>{:.1f}</td><td>{:.1f}</td><td>{:.2f}"
          "</td><td class=\"text{}</td></tr>",
          timing.n, timing.k, timing.tensors, each.m, 1e6 * each.fp32, 1e6 * each.int8, each.ratio,
          each.ratio > 1.05 ? "\">" : " slower\">int8 will not be faster here");
    }
  }
  text += "</tbody></table></div>";
  if (analysis.shapes_not_timed > 0) {
    text += fmt::format("<p class=\"note\">{} further shapes were not timed.</p>",
                        analysis.shapes_not_timed);
  }
  return text;
}

// As many digits as can be seen: a page of thousands of tensors is to stay small.
Json drawn(double x) {
  return std::isfinite(x) ? Json(std::strtod(fmt::format("{:.5g}", x).c_str(), nullptr)) : Json();
}

// A word of a command, as a shell takes it.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=:.,/";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

Json mixtures_of(const FileAnalysis& analysis) {
  Json mixtures = Json::array();
  for (std::size_t i = 0; i < analysis.totals.size(); ++i) {
    const SchemeTotal& total = analysis.totals[i];
    if (total.mixed.empty()) continue;
    std::string command = "zeropoint quantize " + quoted(analysis.path);
    for (const auto& word : quantize_options(analysis, i)) {
      command += (word.starts_with("--") ? " \\\n  " : " ") + quoted(word);
    }
    mixtures.push_back({{"scheme", i},
                        {"size", size_text(static_cast<double>(total.mixed_bytes))},
                        {"db", drawn(decibels(total.mixed_error))},
                        {"command", command + " \\\n  -o quantized.safetensors"}});
  }
  return mixtures;
}

Json channels_of(const ChannelOutliers& channels) {
  return {{"outliers", channels.outliers},
          {"factor", drawn(channels.factor)},
          {"worst", channels.worst}};
}

Json percentiles_of(const WeightProfile& profile) {
  Json percentiles = Json::array();
  for (std::size_t i = 0; i < kPercentiles.size() && std::isfinite(profile.min); ++i) {
    percentiles.push_back({100 * kPercentiles[i], drawn(profile.percentiles[i])});
  }
  return percentiles;
}

// What the script draws from. '<' cannot end the element that holds it.
std::string data_of(const FileAnalysis& analysis) {
  Json tensors = Json::array();
  for (const auto& weight : analysis.weights) {
    Json trials = Json::array();
    for (const auto& trial : weight.trials) {
      Json each = {
          {"problem", trial.problem}, {"db", drawn(trial.sqnr_db)}, {"bits", drawn(trial.bits)}};
      if (trial.ledger_values > 0 && trial.ledger.error > 0) {
        const auto& ledger = trial.ledger;
        each["ledger"] = {
            drawn(ledger.clipping / ledger.error), drawn(ledger.rounding / ledger.error),
            drawn(ledger.zero_point / ledger.error), drawn(ledger.stored_scale / ledger.error)};
      }
      for (const float level : trial.grid) each["grid"].push_back(drawn(level));
      trials.push_back(std::move(each));
    }
    const auto& profile = weight.profile;
    tensors.push_back({{"name", weight.name},
                       {"type", weight.type},
                       {"shape", weight.shape},
                       {"sigma", drawn(profile.sigma)},
                       {"mean", drawn(profile.mean)},
                       {"min", drawn(profile.min)},
                       {"max", drawn(profile.max)},
                       {"kurtosis", drawn(profile.kurtosis)},
                       {"percentiles", percentiles_of(profile)},
                       {"outputs", channels_of(profile.outputs)},
                       {"inputs", channels_of(profile.inputs)},
                       {"best", weight.best},
                       {"zeros", profile.zeros},
                       {"bad", profile.nans + profile.infinities},
                       {"trials", trials},
                       {"histogram",
                        {{"min", profile.histogram_min},
                         {"max", profile.histogram_max},
                         {"counts", profile.histogram}}}});
  }
  const Json data = {
      {"schemes", analysis.schemes}, {"mixtures", mixtures_of(analysis)}, {"tensors", tensors}};
  const std::string text = data.dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string safe;
  for (const char c : text) safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return safe;
}

std::string file_section(const FileAnalysis& analysis, int& figure_number) {
  std::string options;
  for (std::size_t i = 0; i < analysis.schemes.size(); ++i) {
    options += fmt::format("<option value=\"{}\">{}</option>", i, escape(analysis.schemes[i]));
  }
  std::size_t tried = 0;
  for (const auto& weight : analysis.weights) tried += weight.kept.empty();
  return fmt::format(
      "<section class=\"file wide\"><h2>{}</h2><dl "
      "class=\"facts\"><div><dt>container</dt><dd>{}</dd>"
      "</div><div><dt>tensors</dt><dd>{}, {} of them tried</dd></div><div><dt>size</dt><dd>{}</dd>"
      "</div><div><dt>took</dt><dd>{:.2f} s, {}/s</dd></div></dl>{}{}"
      "<details class=\"mixtures script-only\"><summary>A scheme for each tensor, as a "
      "command</summary><label>no larger than<select></select></label> <span "
      "class=\"count\"></span><pre tabindex=\"0\"><code></code></pre></details>"
      "<h3>Tensors</h3><p class=\"note\">Signal to noise in dB by each scheme; a click on a row "
      "shows its numbers and where the error comes from.</p><div class=\"filter script-only\">"
      "<label>name matches<input type=\"search\" placeholder=\"regular expression\"></label>"
      "<label>only below, dB<input type=\"number\" step=\"1\"></label>"
      "<label>by<select>{}</select></label><span class=\"count\"></span></div>"
      "<fieldset class=\"columns script-only\"><legend>columns</legend></fieldset>"
      "<div class=\"detail script-only\" hidden></div>{}{}"
      "<script type=\"application/json\">{}</script></section>\n",
      shown(analysis.path), escape(analysis.container), analysis.weights.size(), tried,
      size_text(static_cast<double>(analysis.tensor_bytes)), analysis.seconds,
      size_text(static_cast<double>(analysis.tensor_bytes) / std::max(analysis.seconds, 1e-9)),
      pareto_figure(analysis, figure_number++), schemes_table(analysis), options,
      tensors_table(analysis), timings_table(analysis), data_of(analysis));
}

}  // namespace

std::string analysis_page(const std::vector<FileAnalysis>& analyses) {
  std::string files, names;
  int figure_number = 1;
  for (const auto& analysis : analyses) {
    files += file_section(analysis, figure_number);
    const std::string name = analysis.path.substr(analysis.path.find_last_of('/') + 1);
    names += (names.empty() ? "" : ", ") + shown(name.empty() ? analysis.path : name);
  }
  return page::fill(
      page::joined(embedded::analysis_html()),
      {{"version", escape(version())},
       {"title", names},
       {"lede",
        "Which scheme each tensor survives, what it costs in bytes and in time, and how far "
        "that is from what is possible."},
       {"css", page::joined(embedded::page_css())},
       {"own_css", page::joined(embedded::analysis_css())},
       {"js", page::joined(embedded::analysis_js())},
       {"files", files}});
}

}  // namespace zeropoint
