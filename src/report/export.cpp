#include <fmt/format.h>

#include "zeropoint/quantize/convention.hpp"
#include "zeropoint/report/report.hpp"
#include "zeropoint/study/claims.hpp"

#include "study/serialize.hpp"

namespace zeropoint {
namespace {

using nlohmann::ordered_json;

ordered_json meta(const Run& run) {
  ordered_json json;
  json["program"] = "zeropoint";
  json["verb"] = "study";
  json["version"] = run.version;
  json["run"] = run.id;
  json["started"] = run.started;
  json["finished"] = run.finished.empty() ? ordered_json() : ordered_json(run.finished);
  json["rows_expected"] = run.total;
  json["cpu"] = run.cpu;
  json["threads"] = run.threads;
  json["settings"] = to_json(run.spec);
  ordered_json conventions;
  for (const auto& name : run.spec.conventions) {
    conventions[name] = full_form(parse_convention(name));
  }
  json["conventions"] = conventions;
  return json;
}

ordered_json to_json(const Statistic& statistic) {
  return {{"mean", statistic.mean}, {"standard_error", statistic.standard_error}};
}

// A CSV field: quoted if it holds what would split it.
std::string field(const ordered_json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  const auto text = value.get<std::string>();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

// The published figures, which JSON nests, become columns of their own.
ordered_json flat(const ordered_json& row) {
  ordered_json result = row;
  const ordered_json published = result.at("published");
  result.erase("published");
  for (const char* name :
       {"ground_truth_error", "expected_error", "simulated_error",
        "ground_truth_error_relative_difference", "expected_error_relative_difference",
        "simulated_error_relative_difference", "scale_a", "zero_point_a", "scale_b", "zero_point_b",
        "scale_y", "zero_point_y"}) {
    result[std::string("published_") + name] =
        published.is_null() ? ordered_json() : published.at(name);
  }
  if (result.contains("gap")) {
    const ordered_json gap = result.at("gap");
    result.erase("gap");
    for (const auto& [of, each] : gap.items()) {
      for (const auto& [unit, value] : each.items()) {
        result[fmt::format("gap_{}_{}", of, unit)] = value;
      }
    }
  }
  if (result.contains("ledger")) {
    const ordered_json ledger = result.at("ledger");
    result.erase("ledger");
    for (const auto& [of, parts] : ledger.items()) {
      for (const auto& [part, value] : parts.items()) {
        result[fmt::format("ledger_{}_{}", of, part)] = value;
      }
    }
  }
  return result;
}

}  // namespace

std::string to_json(const Run& run) {
  const auto table = run.table();
  ordered_json json;
  json["meta"] = meta(run);
  json["results"] = ordered_json::array();
  for (const auto& row : table) json["results"].push_back(to_json(row));
  json["summary"] = ordered_json::array();
  for (const auto& group : summarize(table)) {
    const auto& row = table[group.first_row];
    json["summary"].push_back(
        {{"distribution", row.distribution},
         {"m", row.m},
         {"k", row.k},
         {"n", row.n},
         {"cover", row.cover},
         {"bits", row.bits},
         {"convention", row.convention},
         {"seeds", group.count},
         {"ground_truth_error", to_json(group.error.ground_truth)},
         {"expected_error", to_json(group.error.expected)},
         {"simulated_error", to_json(group.error.simulated)},
         {"ground_truth_error_float64", to_json(group.error_float64.ground_truth)},
         {"expected_error_float64", to_json(group.error_float64.expected)},
         {"simulated_error_float64", to_json(group.error_float64.simulated)},
         {"scale_y", to_json(group.scale_y)}});
  }
  json["claims"] = ordered_json::array();
  for (const auto& claim : judge_claims(table)) {
    ordered_json witnesses = ordered_json::array();
    for (const auto& witness : claim.witnesses) {
      witnesses.push_back(
          {{"row", witness.row}, {"supports", witness.supports}, {"why", witness.why}});
    }
    json["claims"].push_back({{"number", claim.number},
                              {"claim", claim.claim},
                              {"rule", claim.test},
                              {"verdict", to_string(claim.verdict)},
                              {"evidence", claim.evidence},
                              {"witnesses", witnesses}});
  }
  return json.dump(2) + "\n";
}

std::string to_csv(const Run& run) {
  std::string csv;
  for (const auto& row : run.table()) {
    const auto json = flat(to_json(row));
    std::string names;
    std::string values;
    for (const auto& [name, value] : json.items()) {
      names += (names.empty() ? "" : ",") + name;
      values += (&value == &json.front() ? "" : ",") + field(value);
    }
    if (csv.empty()) csv = names + "\r\n";
    csv += values + "\r\n";
  }
  return csv;
}

}  // namespace zeropoint
