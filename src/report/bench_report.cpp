#include "zeropoint/report/bench_report.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace zeropoint {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.0f} %", 100 * *share) : "";
}
std::string times(const std::optional<double>& ratio) {
  return ratio ? fmt::format("{:.2f}", *ratio) : "";
}
std::string figure(double value, bool share) {
  return share ? fmt::format("{:.1f} %", 100 * value) : fmt::format("{:.2f}", value);
}
std::string on(int threads) { return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"); }
std::string time_of(double seconds) {
  if (seconds < 1e-6) return fmt::format("{:.0f} ns", seconds * 1e9);
  if (seconds < 1e-3) return fmt::format("{:.4g} us", seconds * 1e6);
  return fmt::format("{:.4g} ms", seconds * 1e3);
}
double spread_of(const Spread& s) { return s.median > 0 ? (s.high - s.low) / s.median : 0; }

std::string bytes_of(std::size_t bytes) {
  return bytes >= std::size_t{1} << 20 ? fmt::format("{} MiB", bytes >> 20)
                                       : fmt::format("{} KiB", bytes >> 10);
}

std::string machine_text(const BenchMachine& machine) {
  std::string text =
      fmt::format("{}, {} core{}", machine.cpu, machine.cores, machine.cores == 1 ? "" : "s");
  for (const auto& cache : machine.caches) {
    text += fmt::format(", L{} {}", cache.level, bytes_of(cache.bytes));
  }
  return text;
}

std::string peak_text(const BenchMachine& machine, const BenchPeaks& peaks) {
  return fmt::format(
      "{}: {} {:.0f} Gop/s, {} {:.0f} Gop/s, memory read {:.1f} GB/s, copy {:.1f} GB/s",
      on(peaks.threads), machine.dot, peaks.dot.median * 1e-9, machine.fma, peaks.fma.median * 1e-9,
      peaks.read.median * 1e-9, peaks.copy.median * 1e-9);
}

// What must be known before any figure is believed.
std::string busy_text(const BenchMachine& machine) {
  constexpr double kQuiet = 0.95;
  std::string text;
  for (const auto& peaks : machine.peaks) {
    if (peaks.undisturbed >= kQuiet) continue;
    text +=
        fmt::format("Other processes took {:.0f} % of a core from {}: these figures say little.\n",
                    100 * (1 - peaks.undisturbed), on(peaks.threads));
  }
  return text;
}

std::string kernels_text(const BenchMachine& machine) {
  std::string text;
  for (const auto& kernel : machine.kernels) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", kernel.name,
                        kernel.supported ? "" : " (not on this processor)");
  }
  return text;
}

struct Count {
  std::size_t met = 0, all = 0;
};
Count count(const std::vector<TargetVerdict>& verdicts) {
  Count c;
  for (const auto& verdict : verdicts) {
    ++c.all;
    if (verdict.met) ++c.met;
  }
  return c;
}

std::string cell(const BenchRow& row) {
  return row.contestant == "onednn_fp32" ? "" : times(row.to_fp32);
}

Json spread_json(const Spread& s) {
  return {{"median", s.median},
          {"lower_quartile", s.low},
          {"upper_quartile", s.high},
          {"count", s.count}};
}
Json optional(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::string target_text(const BenchFormat& row) {
  if (!row.target) return "";
  const bool met = std::min(row.quantize_share, row.dequantize_share) >= *row.target;
  return fmt::format("{:.0f} %: {}", 100 * *row.target, met ? "met" : "missed");
}

// The rows of a shape and thread count follow each other.
bool begins_shape(const std::vector<BenchRow>& rows, std::size_t i) {
  return i == 0 || !(rows[i].shape == rows[i - 1].shape) || rows[i].threads != rows[i - 1].threads;
}

std::string scheme_text(const BenchFormat& row) {
  return row.given ? row.scheme : row.scheme + ", found";
}

constexpr const char* kFormats =
    "Quantizing to formats and back: bytes of float32 and of codes a second, and the share of a\n"
    "copy's speed. Parameters are given, but where they are said to be found: there, finding them\n"
    "is part of quantizing. Results lie in memory that was used before.";

constexpr const char* kHow =
    "Each shape's contestants are called in turn, A B C … A B C …, short calls in batches, and "
    "with them the loop that measures the peak; shares and ratios are medians over the turns. "
    "Before anything is timed, its result is held against the definition: integers and codes "
    "exactly, in 64 rows of products above 256³.";

}  // namespace

std::string to_table(const BenchResult& result) {
  const BenchMachine& machine = result.machine;
  std::string text = machine_text(machine) + "\nkernel " + machine.kernel + "\n";
  for (const auto& peaks : machine.peaks) text += peak_text(machine, peaks) + "\n";
  text += busy_text(machine);
  text +=
      "\nop = one multiplication or addition; peak: of the instruction, in the same turns;\n"
      "x fp32, x int8, x lowp: times as fast as oneDNN's float32, its int8, gemmlowp\n";
  for (std::size_t i = 0; i < result.products.size(); ++i) {
    const BenchRow& row = result.products[i];
    if (begins_shape(result.products, i)) {
      text += fmt::format("\n{:<36} {:>10} {:>6} {:>9} {:>6} {:>7} {:>7} {:>7}\n",
                          to_string(row.shape) + ", " + on(row.threads), "time", "+-", "Gop/s",
                          "peak", "x fp32", "x int8", "x lowp");
    }
    text += fmt::format("  {:<34} {:>10} {:>6} {:>9.1f} {:>6} {:>7} {:>7} {:>7}\n", row.title,
                        time_of(row.seconds.median),
                        fmt::format("{:.0f} %", 50 * spread_of(row.seconds)), row.ops * 1e-9,
                        percent(row.of_peak), cell(row), times(row.to_onednn_int8),
                        times(row.to_gemmlowp));
    if (row.b_bytes && !row.peer) {
      text += fmt::format("    {:<32} B at {:.1f} GB/s, {} of reading as many bytes\n", "",
                          *row.b_bytes * 1e-9, percent(row.of_read));
    }
  }
  text += fmt::format("\n{:<20} {:>10} {:>9} {:>8}  {}\n", "elementwise", "time", "GB/s", "ratio",
                      "to");
  for (const auto& row : result.elementwise) {
    text += fmt::format("{:<20} {:>10} {:>9.1f} {:>8.2f}  {}, {}\n", row.name,
                        time_of(row.seconds.median), row.bytes * 1e-9, row.ratio, row.against,
                        on(row.threads));
  }
  text += fmt::format("\n{}\n{:<24} {:>6} {:>9} {:>6} {:>9} {:>6}  {}\n", kFormats, "format",
                      "bits", "to, GB/s", "copy", "from", "copy", "target");
  for (const auto& row : result.formats) {
    text +=
        fmt::format("{:<24} {:>6.4g} {:>9.1f} {:>6} {:>9.1f} {:>6}  {}\n", scheme_text(row),
                    row.bits, row.quantize_bytes * 1e-9, percent(row.quantize_share),
                    row.dequantize_bytes * 1e-9, percent(row.dequantize_share), target_text(row));
  }
  const auto slow = not_faster_than_fp32(result);
  text += slow.empty()
              ? "\nint8 is faster than fp32 at every shape here.\n"
              : fmt::format("\nint8 is NOT faster than fp32 here: {}.\n", fmt::join(slow, "; "));
  const auto verdicts = judge_targets(result);
  const auto [met, all] = count(verdicts);
  if (all > 0) text += fmt::format("\n{} of {} targets met. Missed:\n", met, all);
  if (all > 0 && met == all) text += "  none\n";
  for (const auto& verdict : verdicts) {
    if (verdict.met) continue;
    text +=
        fmt::format("  {}\n    {}: {}, wanted {}\n", verdict.target, verdict.where,
                    figure(verdict.found, verdict.share), figure(verdict.expected, verdict.share));
  }
  return text;
}

std::string to_json(const BenchResult& result) {
  const BenchMachine& machine = result.machine;
  Json json;
  json["version"] = machine.version;
  json["started"] = machine.started;
  json["seconds"] = result.seconds;
  Json& m = json["machine"];
  m["cpu"] = machine.cpu;
  m["cores"] = machine.cores;
  m["kernel"] = machine.kernel;
  m["kernels"] = Json::array();
  for (const auto& kernel : machine.kernels) {
    m["kernels"].push_back({{"name", kernel.name}, {"supported", kernel.supported}});
  }
  m["caches"] = Json::array();
  for (const auto& cache : machine.caches) {
    m["caches"].push_back({{"level", cache.level}, {"bytes", cache.bytes}});
  }
  m["read_bytes"] = machine.read_bytes;
  m["peaks"] = Json::array();
  for (const auto& peaks : machine.peaks) {
    m["peaks"].push_back({{"threads", peaks.threads},
                          {"undisturbed", peaks.undisturbed},
                          {"dot_instruction", machine.dot},
                          {"dot_ops_per_second", spread_json(peaks.dot)},
                          {"fma_instruction", machine.fma},
                          {"fma_ops_per_second", spread_json(peaks.fma)},
                          {"read_bytes_per_second", spread_json(peaks.read)},
                          {"copy_bytes_per_second", spread_json(peaks.copy)}});
  }
  json["products"] = Json::array();
  for (const auto& row : result.products) {
    json["products"].push_back({{"m", row.shape.m},
                                {"k", row.shape.k},
                                {"n", row.shape.n},
                                {"threads", row.threads},
                                {"contestant", row.contestant},
                                {"title", row.title},
                                {"output", row.output},
                                {"packed", row.packed},
                                {"peer", row.peer},
                                {"seconds", spread_json(row.seconds)},
                                {"ops_per_second", row.ops},
                                {"of_peak", optional(row.of_peak)},
                                {"b_bytes_per_second", optional(row.b_bytes)},
                                {"of_read", optional(row.of_read)},
                                {"times_onednn_fp32", optional(row.to_fp32)},
                                {"times_onednn_int8", optional(row.to_onednn_int8)},
                                {"times_gemmlowp", optional(row.to_gemmlowp)}});
  }
  json["elementwise"] = Json::array();
  for (const auto& row : result.elementwise) {
    json["elementwise"].push_back({{"name", row.name},
                                   {"against", row.against},
                                   {"count", row.count},
                                   {"threads", row.threads},
                                   {"seconds", spread_json(row.seconds)},
                                   {"against_seconds", spread_json(row.against_seconds)},
                                   {"bytes_per_second", row.bytes},
                                   {"ratio", row.ratio}});
  }
  json["formats"] = Json::array();
  for (const auto& row : result.formats) {
    json["formats"].push_back({{"scheme", row.scheme},
                               {"parameters", row.given ? "given" : "found"},
                               {"bits", row.bits},
                               {"count", row.count},
                               {"threads", row.threads},
                               {"quantize_seconds", spread_json(row.quantize_seconds)},
                               {"quantize_bytes_per_second", row.quantize_bytes},
                               {"quantize_of_copy", row.quantize_share},
                               {"dequantize_seconds", spread_json(row.dequantize_seconds)},
                               {"dequantize_bytes_per_second", row.dequantize_bytes},
                               {"dequantize_of_copy", row.dequantize_share},
                               {"target", optional(row.target)}});
  }
  json["targets"] = Json::array();
  for (const auto& verdict : judge_targets(result)) {
    json["targets"].push_back({{"target", verdict.target},
                               {"where", verdict.where},
                               {"expected", verdict.expected},
                               {"found", verdict.found},
                               {"met", verdict.met}});
  }
  json["not_faster_than_fp32"] = not_faster_than_fp32(result);
  return json.dump(2) + "\n";
}

std::string to_markdown(const BenchResult& result) {
  const BenchMachine& machine = result.machine;
  std::string text = fmt::format(
      "# Performance\nWritten by `zeropoint bench --markdown`, version {}, {}.\n\n"
      "- Machine: {}\n- Kernel: `{}`; of {}\n",
      machine.version, machine.started, machine_text(machine), machine.kernel,
      kernels_text(machine));
  for (const auto& peaks : machine.peaks) {
    text += fmt::format("- Peaks on {}\n", peak_text(machine, peaks));
  }
  if (const auto busy = busy_text(machine); !busy.empty()) text += "\n" + busy;
  text += fmt::format("\n{}\n", kHow);
  text +=
      "\nGop/s: 10⁹ multiplications and additions a second. Peak: share of the instruction's "
      "peak (float32: of FMA's). fp32, int8, gemmlowp: how many times as fast as oneDNN's "
      "float32 product, its int8 product with run-time zero points, and gemmlowp's. ±: half "
      "the distance of the quartiles.\n";
  const auto verdicts = judge_targets(result);
  const auto [met, all] = count(verdicts);
  text += fmt::format("\n## Where it loses\n{} of {} targets are met. The others:\n\n", met, all);
  if (met < all) text += "| target | where | wanted | found |\n|---|---|---|---|\n";
  for (const auto& verdict : verdicts) {
    if (verdict.met) continue;
    text +=
        fmt::format("| {} | {} | {} | {} |\n", verdict.target, verdict.where,
                    figure(verdict.expected, verdict.share), figure(verdict.found, verdict.share));
  }
  const auto slow = not_faster_than_fp32(result);
  text += slow.empty() ? "\nInt8 is faster than oneDNN's float32 at every shape.\n"
                       : fmt::format("\nInt8 is not faster than oneDNN's float32 at {}.\n",
                                     fmt::join(slow, ", "));
  text += "\n## Products\n";
  for (std::size_t i = 0; i < result.products.size(); ++i) {
    const BenchRow& row = result.products[i];
    if (begins_shape(result.products, i)) {
      text += fmt::format(
          "\n**{}**, {}\n\n| | time | ± | Gop/s | peak | fp32 | int8 | gemmlowp | B "
          "read |\n|---|---|---|---|---|---|---|---|---|\n",
          to_string(row.shape), on(row.threads));
    }
    text += fmt::format(
        "| {} | {} | {:.0f} % | {:.1f} | {} | {} | {} | {} | {} |\n", row.title,
        time_of(row.seconds.median), 50 * spread_of(row.seconds), row.ops * 1e-9,
        percent(row.of_peak), cell(row), times(row.to_onednn_int8), times(row.to_gemmlowp),
        row.b_bytes ? fmt::format("{:.1f} GB/s, {}", *row.b_bytes * 1e-9, percent(row.of_read))
                    : "");
  }
  text +=
      "\n## Elementwise\n\n| | threads | time | GB/s | ratio | to |\n|---|---|---|---|---|---|\n";
  for (const auto& row : result.elementwise) {
    text += fmt::format("| {}, {} numbers | {} | {} | {:.1f} | {:.2f} | {} |\n", row.name,
                        row.count, row.threads, time_of(row.seconds.median), row.bytes * 1e-9,
                        row.ratio, row.against);
  }
  text += fmt::format("\n## Formats\n{}", kFormats);
  if (!result.formats.empty()) text += " On " + on(result.formats.front().threads) + ".";
  text +=
      "\n\n| | bits | numbers | quantize, GB/s | of a copy | dequantize, GB/s | of a copy | target "
      "|\n|---|---|---|---|---|---|---|---|\n";
  for (const auto& row : result.formats) {
    text +=
        fmt::format("| {} | {:.4g} | {} | {:.1f} | {} | {:.1f} | {} | {} |\n", scheme_text(row),
                    row.bits, row.count, row.quantize_bytes * 1e-9, percent(row.quantize_share),
                    row.dequantize_bytes * 1e-9, percent(row.dequantize_share), target_text(row));
  }
  return text;
}

}  // namespace zeropoint
