#include "analysis_text.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/words.hpp"
#include "zeropoint/quantize/scheme.hpp"

using namespace zeropoint;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kMostTensors = 40;

std::string number(double x, const char* format) {
  return std::isfinite(x) ? fmt::format(fmt::runtime(format), x) : "-";
}

std::string decibels(double relative_error) {
  if (relative_error == 0) return "exact";
  return number(-20 * std::log10(relative_error), "{:.1f}");
}

std::string shape_text(const std::vector<std::size_t>& shape) {
  return fmt::format("{}", fmt::join(shape, "x"));
}

// Rows of cells, the first column to the left, the others to the right.
class Columns {
 public:
  explicit Columns(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // As many columns as fit; says how many do not.
  std::string text(int width, std::size_t& left_out) const {
    std::vector<std::size_t> widths(rows_[0].size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::size_t columns = 0, total = 0;
    for (; columns < widths.size(); ++columns) {
      total += widths[columns] + (columns == 0 ? 0 : 2);
      if (width > 0 && total > static_cast<std::size_t>(width) && columns > 1) break;
    }
    left_out = widths.size() - columns;
    std::string text;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < columns; ++i) {
        line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i])
                       : fmt::format("  {:>{}}", row[i], widths[i]);
      }
      while (line.ends_with(' ')) line.pop_back();
      text += line + "\n";
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string outliers_text(const WeightProfile& profile) {
  if (profile.outputs.outliers + profile.inputs.outliers == 0) return "none";
  return fmt::format("{}+{}", profile.outputs.outliers, profile.inputs.outliers);
}

std::string tensors_text(const FileAnalysis& analysis, int width) {
  // By the error of the scheme with which they differ most in bits a value: the first, 8 bits.
  std::vector<const AnalyzedWeight*> tried;
  std::size_t kept = 0;
  for (const auto& weight : analysis.weights) {
    weight.kept.empty() ? tried.push_back(&weight) : void(++kept);
  }
  if (tried.empty()) return fmt::format("No tensor to quantize; {} kept.\n", kept);
  const auto worst = [](const AnalyzedWeight& weight) {
    const auto& trial = weight.trials[0];
    return trial.problem.empty() ? trial.relative_error : std::numeric_limits<double>::infinity();
  };
  std::ranges::stable_sort(tried,
                           [&](const auto* a, const auto* b) { return worst(*a) > worst(*b); });
  std::vector<std::string> head = {"tensor", "shape", "type", "sigma", "kurtosis", "outliers"};
  for (const auto& scheme : analysis.schemes) head.push_back(scheme);
  Columns table(head);
  const std::size_t name_width = width > 0 ? static_cast<std::size_t>(std::max(16, width / 4)) : 60;
  for (std::size_t i = 0; i < std::min(tried.size(), kMostTensors); ++i) {
    const AnalyzedWeight& weight = *tried[i];
    std::vector<std::string> row = {shortened(printable(weight.name), name_width),
                                    shape_text(weight.shape),
                                    weight.type,
                                    number(weight.profile.sigma, "{:.3g}"),
                                    number(weight.profile.kurtosis, "{:.1f}"),
                                    outliers_text(weight.profile)};
    for (const auto& trial : weight.trials) {
      row.push_back(trial.problem.empty() ? decibels(trial.relative_error) : "no");
    }
    table.add(std::move(row));
  }
  std::size_t left_out = 0;
  std::string text = table.text(width, left_out);
  if (tried.size() > kMostTensors) {
    text +=
        fmt::format("... and {} more; --json and the page have all\n", tried.size() - kMostTensors);
  }
  text += fmt::format(
      "\nSignal to noise in dB, the worst tensor first{}; outliers, channels of outputs + inputs\n"
      "beyond 6 times the median one; {} kept as {}.\n",
      left_out == 0 ? ""
                    : fmt::format(" ({} schemes beyond this width: the page has them)", left_out),
      kept == 1 ? "1 tensor is" : fmt::format("{} tensors are", kept),
      kept == 1 ? "it is" : "they are");
  return text;
}

std::string schemes_text(const FileAnalysis& analysis, int width) {
  Columns table({"scheme", "size", "of before", "dB", "gap dB", "mixed dB", "misfits"});
  std::vector<std::size_t> order(analysis.schemes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return analysis.totals[i].bytes; });
  const auto before = static_cast<double>(analysis.tensor_bytes);
  for (const std::size_t i : order) {
    const SchemeTotal& total = analysis.totals[i];
    const auto bytes = static_cast<double>(total.bytes);
    table.add({analysis.schemes[i], size_text(bytes), number(100 * bytes / before, "{:.1f} %"),
               decibels(total.error), number(total.gap_db, "{:.1f}"),
               total.mixed.empty() ? "-" : decibels(total.mixed_error),
               total.misfits == 0 ? "" : fmt::format("{}", total.misfits)});
  }
  std::size_t left_out = 0;
  return table.text(width, left_out) +
         "\nOf all tensors together, each value's relative error counting alike; gap, how far "
         "above the\n"
         "least that independent numbers so distributed allow; mixed, the best scheme for each "
         "tensor\n"
         "within the same size; --json and the page have it as options of zeropoint quantize.\n";
}

std::string timings_text(const FileAnalysis& analysis, int width) {
  if (analysis.timings.empty()) return "";
  Columns table({"outputs x inputs", "tensors", "rows", "fp32", "int8", "speed-up", ""});
  for (const auto& timing : analysis.timings) {
    for (const auto& each : timing.seconds) {
      const bool is_faster = each.ratio > 1.05;
      table.add({fmt::format("{}x{}", timing.n, timing.k), fmt::format("{}", timing.tensors),
                 fmt::format("{}", each.m), fmt::format("{:.1f} us", 1e6 * each.fp32),
                 fmt::format("{:.1f} us", 1e6 * each.int8), fmt::format("{:.2f}", each.ratio),
                 is_faster ? "" : "int8 will not be faster here"});
    }
  }
  std::size_t left_out = 0;
  std::string text = "\n" + table.text(width, left_out);
  if (analysis.shapes_not_timed > 0) {
    text += fmt::format("{} shapes were not timed.\n", analysis.shapes_not_timed);
  }
  return text +
         "\nA product of so many rows of activations with the matrix, quantized on the way, on "
         "this\n"
         "thread of this machine; fp32 is oneDNN's.\n";
}

Json json_of(double x) { return std::isfinite(x) ? Json(x) : Json(); }

Json json_of(const ChannelOutliers& channels) {
  return {{"channels", channels.channels},
          {"outliers", channels.outliers},
          {"largest_factor", json_of(channels.factor)},
          {"largest", channels.largest},
          {"largest_rms_factor", json_of(channels.rms_factor)},
          {"worst", channels.worst}};
}

Json json_of(const WeightProfile& profile) {
  Json percentiles = Json::object();
  for (std::size_t i = 0; i < kPercentiles.size(); ++i) {
    percentiles[fmt::format("{:g}", 100 * kPercentiles[i])] =
        std::isfinite(profile.min) ? json_of(profile.percentiles[i]) : Json();
  }
  return {{"count", profile.count},
          {"zeros", profile.zeros},
          {"nans", profile.nans},
          {"infinities", profile.infinities},
          {"min", json_of(profile.min)},
          {"max", json_of(profile.max)},
          {"mean", json_of(profile.mean)},
          {"sigma", json_of(profile.sigma)},
          {"kurtosis", json_of(profile.kurtosis)},
          {"entropy", json_of(profile.entropy)},
          {"percentiles", percentiles},
          {"outputs", json_of(profile.outputs)},
          {"inputs", json_of(profile.inputs)},
          {"histogram",
           {{"min", profile.histogram_min},
            {"max", profile.histogram_max},
            {"counts", profile.histogram}}}};
}

Json json_of(const SchemeTrial& trial, const std::string& scheme) {
  if (!trial.problem.empty()) return {{"scheme", scheme}, {"problem", trial.problem}};
  const double error = trial.ledger.error;
  const auto share = [&](double part) { return error > 0 ? json_of(part / error) : Json(); };
  return {{"scheme", scheme},
          {"problem", nullptr},
          {"bytes", trial.bytes},
          {"bits", json_of(trial.bits)},
          {"relative_error", json_of(trial.relative_error)},
          {"sqnr_db", json_of(trial.sqnr_db)},
          {"gap_db", json_of(trial.gap_db)},
          {"gap_bits", json_of(trial.gap_bits)},
          {"normal_gap_db", json_of(trial.normal_gap_db)},
          {"ledger",
           {{"values", trial.ledger_values},
            {"clipping", share(trial.ledger.clipping)},
            {"rounding", share(trial.ledger.rounding)},
            {"zero_point", share(trial.ledger.zero_point)},
            {"stored_scale", share(trial.ledger.stored_scale)}}},
          {"grid", trial.grid}};
}

Json json_of(const FileAnalysis& analysis) {
  Json weights = Json::array(), totals = Json::array(), front = Json::array(),
       timings = Json::array();
  std::vector<std::string> tried;
  for (const auto& weight : analysis.weights) {
    Json trials = Json::array(), best = Json::array();
    for (std::size_t i = 0; i < weight.trials.size(); ++i) {
      trials.push_back(json_of(weight.trials[i], analysis.schemes[i]));
    }
    for (const std::size_t i : weight.best) best.push_back(analysis.schemes[i]);
    weights.push_back({{"name", weight.name},
                       {"type", weight.type},
                       {"shape", weight.shape},
                       {"bytes", weight.bytes},
                       {"kept", weight.kept.empty() ? Json() : Json(weight.kept)},
                       {"profile", json_of(weight.profile)},
                       {"schemes", trials},
                       {"best", best}});
    if (weight.kept.empty()) tried.push_back(weight.name);
  }
  for (std::size_t i = 0; i < analysis.totals.size(); ++i) {
    const SchemeTotal& total = analysis.totals[i];
    Json mixed = Json::object();
    for (std::size_t t = 0; t < total.mixed.size(); ++t) {
      mixed[tried[t]] =
          total.mixed[t] == analysis.schemes.size() ? "keep" : analysis.schemes[total.mixed[t]];
    }
    totals.push_back({{"scheme", analysis.schemes[i]},
                      {"bytes", total.bytes},
                      {"relative_error", json_of(total.error)},
                      {"gap_db", json_of(total.gap_db)},
                      {"gap_bits", json_of(total.gap_bits)},
                      {"misfits", total.misfits},
                      {"mixed",
                       {{"bytes", total.mixed_bytes},
                        {"relative_error", json_of(total.mixed_error)},
                        {"schemes", mixed},
                        {"quantize_options", quantize_options(analysis, i)}}}});
  }
  for (const auto& point : analysis.front) {
    front.push_back({{"bytes", point.bytes}, {"relative_error", json_of(point.error)}});
  }
  for (const auto& timing : analysis.timings) {
    for (const auto& each : timing.seconds) {
      timings.push_back({{"outputs", timing.n},
                         {"inputs", timing.k},
                         {"tensors", timing.tensors},
                         {"rows", each.m},
                         {"fp32_seconds", each.fp32},
                         {"int8_seconds", each.int8},
                         {"speed_up", each.ratio}});
    }
  }
  return {{"file", analysis.path},
          {"container", analysis.container},
          {"file_bytes", analysis.file_bytes},
          {"tensor_bytes", analysis.tensor_bytes},
          {"seconds", analysis.seconds},
          {"schemes", totals},
          {"front", front},
          {"tensors", weights},
          {"timings", timings},
          {"shapes_not_timed", analysis.shapes_not_timed}};
}

}  // namespace

std::string to_text(const FileAnalysis& analysis, int width) {
  std::string text =
      fmt::format("{}: {}, {} tensors, {}\n\n", printable(analysis.path), analysis.container,
                  analysis.weights.size(), size_text(static_cast<double>(analysis.tensor_bytes)));
  text += tensors_text(analysis, width);
  if (analysis.front.empty()) return text;
  text += "\n" + schemes_text(analysis, width);
  return text + timings_text(analysis, width);
}

std::string to_json(const std::vector<FileAnalysis>& analyses) {
  Json files = Json::array();
  for (const auto& analysis : analyses) files.push_back(json_of(analysis));
  return Json{{"files", files}}.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}
