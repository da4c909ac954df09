#include "study/serialize.hpp"

#include <cmath>
#include <limits>

namespace zeropoint {
namespace {

using nlohmann::ordered_json;

// JSON has no infinity (an error against a zero norm); null stands for it.
ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(); }

ordered_json number(const std::optional<double>& x) { return x ? number(*x) : ordered_json(); }

double number_or_infinity(const ordered_json& json) {
  return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

std::optional<double> number_or_none(const ordered_json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<double>());
}

// The three errors under names with a prefix and a suffix.
void put(ordered_json& json, const StudyErrors& error, const std::string& prefix,
         const std::string& suffix) {
  json[prefix + "ground_truth_error" + suffix] = number(error.ground_truth);
  json[prefix + "expected_error" + suffix] = number(error.expected);
  json[prefix + "simulated_error" + suffix] = number(error.simulated);
}

StudyErrors errors_from(const ordered_json& json, const std::string& prefix,
                        const std::string& suffix) {
  return {number_or_infinity(json.at(prefix + "ground_truth_error" + suffix)),
          number_or_infinity(json.at(prefix + "expected_error" + suffix)),
          number_or_infinity(json.at(prefix + "simulated_error" + suffix))};
}

void put(ordered_json& json, QuantParams params, const std::string& prefix,
         const std::string& matrix) {
  json[prefix + "scale_" + matrix] = params.scale;
  json[prefix + "zero_point_" + matrix] = params.zero_point;
}

QuantParams params_from(const ordered_json& json, const std::string& prefix,
                        const std::string& matrix) {
  return {json.at(prefix + "scale_" + matrix).get<float>(),
          json.at(prefix + "zero_point_" + matrix).get<std::int32_t>()};
}

ordered_json to_json(const TensorLedger& ledger) {
  return {{"clipping", number(ledger.clipping)},
          {"rounding", number(ledger.rounding)},
          {"zero_point", number(ledger.zero_point)},
          {"stored_scale", number(ledger.stored_scale)}};
}

TensorLedger tensor_ledger_from(const ordered_json& json) {
  TensorLedger ledger;
  ledger.clipping = number_or_infinity(json.at("clipping"));
  ledger.rounding = number_or_infinity(json.at("rounding"));
  ledger.zero_point = number_or_infinity(json.at("zero_point"));
  ledger.stored_scale = number_or_infinity(json.at("stored_scale"));
  ledger.error = ledger.sum();
  ledger.energy = 1;
  return ledger;
}

// "A", …, "output", and each cross term, counted twice, as "A * B".
std::string part_name(std::size_t i, std::size_t j) {
  const std::string first(kProductPartNames[i]);
  return i == j ? first : first + " * " + std::string(kProductPartNames[j]);
}

ordered_json to_json(const ProductLedger& ledger) {
  ordered_json json;
  for (std::size_t i = 0; i < kProductParts; ++i) {
    json[part_name(i, i)] = number(ledger.inner[i][i]);
  }
  for (std::size_t i = 0; i < kProductParts; ++i) {
    for (std::size_t j = i + 1; j < kProductParts; ++j) {
      json[part_name(i, j)] = number(2 * ledger.inner[i][j]);
    }
  }
  return json;
}

ProductLedger product_ledger_from(const ordered_json& json) {
  ProductLedger ledger;
  for (std::size_t i = 0; i < kProductParts; ++i) {
    for (std::size_t j = i; j < kProductParts; ++j) {
      const double value = number_or_infinity(json.at(part_name(i, j))) / (i == j ? 1 : 2);
      ledger.inner[i][j] = ledger.inner[j][i] = value;
    }
  }
  ledger.error = ledger.sum();
  ledger.energy = 1;
  return ledger;
}

}  // namespace

ordered_json to_json(const StudyRow& row) {
  ordered_json json;
  json["distribution"] = row.distribution;
  json["size"] = row.square() ? ordered_json(row.n) : ordered_json();
  json["m"] = row.m;
  json["k"] = row.k;
  json["n"] = row.n;
  json["cover"] = row.cover;
  json["bits"] = row.bits;
  json["convention"] = row.convention;
  if (!row.scheme.empty()) {
    json["scheme"] = row.scheme;
    json["effective_bits_a"] = row.effective_bits_a;
    json["effective_bits_b"] = row.effective_bits_b;
  }
  if (!row.accumulator.empty()) json["accumulator"] = row.accumulator;
  json["seed"] = row.seed;
  json["generator"] = row.generator;
  put(json, row.error, "", "");
  json["predicted_ground_truth_error"] = number(row.predicted_ground_truth);
  json["predicted_expected_error"] = number(row.predicted_expected);
  json["predicted_scale_y"] = number(row.predicted_scale_y);
  json["predicted_low"] = number(row.predicted_low);
  json["predicted_high"] = number(row.predicted_high);
  const auto outside = row.outside_interval();
  json["outside_interval"] = outside ? ordered_json(*outside) : ordered_json();
  put(json, row.error_float64, "", "_float64");
  put(json, row.a, "", "a");
  put(json, row.b, "", "b");
  put(json, row.y, "", "y");
  json["clipped_a"] = row.clipped_a;
  json["clipped_b"] = row.clipped_b;
  json["clipped_y"] = row.clipped_y;
  json["excess_kurtosis_y"] = row.excess_kurtosis_y;
  json["seconds"] = row.seconds;
  json["seconds_float_product"] = row.seconds_float_product;
  json["seconds_quantized_product"] = row.seconds_quantized_product;
  if (!row.scheme.empty()) {  // in each of them, so that all rows have the same columns
    const auto put_gap = [&](const char* of, const std::optional<Gap>& gap) {
      json["gap"][of] = {{"db", gap ? number(gap->db) : ordered_json()},
                         {"bits", gap ? number(gap->bits) : ordered_json()}};
    };
    put_gap("a", row.gap.a);
    put_gap("b", row.gap.b);
    put_gap("product", row.gap.product);
  }
  if (row.ledger) {
    json["ledger"] = {{"a", to_json(row.ledger->a)},
                      {"b", to_json(row.ledger->b)},
                      {"product", to_json(row.ledger->product)}};
  }
  if (row.published) {
    ordered_json published;
    put(published, row.published->error, "", "");
    const auto difference = [](double here, double there) { return here / there - 1; };
    put(published,
        {difference(row.error.ground_truth, row.published->error.ground_truth),
         difference(row.error.expected, row.published->error.expected),
         difference(row.error.simulated, row.published->error.simulated)},
        "", "_relative_difference");
    put(published, row.published->a, "", "a");
    put(published, row.published->b, "", "b");
    put(published, row.published->y, "", "y");
    json["published"] = published;
  } else {
    json["published"] = nullptr;
  }
  return json;
}

StudyRow row_from_json(const ordered_json& json) {
  StudyRow row;
  row.distribution = json.at("distribution");
  row.m = json.at("m");
  row.k = json.at("k");
  row.n = json.at("n");
  row.cover = json.at("cover");
  row.bits = json.at("bits");
  row.convention = json.at("convention");
  row.scheme = json.value("scheme", "");
  row.accumulator = json.value("accumulator", "");
  row.effective_bits_a = json.value("effective_bits_a", 0.0);
  row.effective_bits_b = json.value("effective_bits_b", 0.0);
  row.seed = json.at("seed");
  row.generator = json.at("generator");
  row.error = errors_from(json, "", "");
  row.predicted_ground_truth = number_or_none(json.at("predicted_ground_truth_error"));
  row.predicted_expected = number_or_none(json.at("predicted_expected_error"));
  row.predicted_scale_y = number_or_none(json.at("predicted_scale_y"));
  // Runs from before there were intervals have none.
  row.predicted_low = number_or_none(json.value("predicted_low", ordered_json()));
  row.predicted_high = number_or_none(json.value("predicted_high", ordered_json()));
  row.error_float64 = errors_from(json, "", "_float64");
  row.a = params_from(json, "", "a");
  row.b = params_from(json, "", "b");
  row.y = params_from(json, "", "y");
  row.clipped_a = json.at("clipped_a");
  row.clipped_b = json.at("clipped_b");
  row.clipped_y = json.at("clipped_y");
  row.excess_kurtosis_y = json.at("excess_kurtosis_y");
  row.seconds = json.at("seconds");
  row.seconds_float_product = json.at("seconds_float_product");
  row.seconds_quantized_product = json.at("seconds_quantized_product");
  if (json.contains("gap")) {
    const auto gap_from = [&](const char* of) -> std::optional<Gap> {
      const auto& gap = json.at("gap").value(of, ordered_json());
      if (gap.is_null() || gap.at("db").is_null()) return std::nullopt;
      return Gap{number_or_infinity(gap.at("db")), number_or_infinity(gap.at("bits"))};
    };
    row.gap = {gap_from("a"), gap_from("b"), gap_from("product")};
  }
  if (json.contains("ledger")) {
    const auto& ledger = json.at("ledger");
    row.ledger = RowLedger{tensor_ledger_from(ledger.at("a")), tensor_ledger_from(ledger.at("b")),
                           product_ledger_from(ledger.at("product"))};
  }
  if (const auto& published = json.at("published"); !published.is_null()) {
    row.published = PublishedRow{errors_from(published, "", ""), params_from(published, "", "a"),
                                 params_from(published, "", "b"), params_from(published, "", "y")};
  }
  return row;
}

ordered_json to_json(const StudySpec& spec) {
  ordered_json json;
  json["distributions"] = spec.distributions;
  json["sizes"] = spec.sizes;
  json["covers"] = spec.covers;
  json["bits"] = spec.bits;
  json["conventions"] = spec.conventions;
  if (!spec.schemes.empty()) json["schemes"] = spec.schemes;
  if (!spec.accumulators.empty()) json["accumulators"] = spec.accumulators;
  if (spec.ledger) json["ledger"] = true;
  json["seed"] = spec.seed;
  json["repeat"] = spec.repeat;
  json["generator"] = spec.generator;
  json["file_a"] = spec.file_a;
  json["file_b"] = spec.file_b;
  json["digest_a"] = spec.digest_a;
  json["digest_b"] = spec.digest_b;
  if (!spec.value_digests.empty()) json["value_digests"] = spec.value_digests;
  return json;
}

StudySpec spec_from_json(const ordered_json& json) {
  StudySpec spec;
  json.at("distributions").get_to(spec.distributions);
  json.at("sizes").get_to(spec.sizes);
  json.at("covers").get_to(spec.covers);
  json.at("bits").get_to(spec.bits);
  json.at("conventions").get_to(spec.conventions);
  spec.schemes = json.value("schemes", std::vector<std::string>());
  spec.accumulators = json.value("accumulators", std::vector<std::string>());
  spec.ledger = json.value("ledger", false);
  json.at("seed").get_to(spec.seed);
  json.at("repeat").get_to(spec.repeat);
  json.at("generator").get_to(spec.generator);
  json.at("file_a").get_to(spec.file_a);
  json.at("file_b").get_to(spec.file_b);
  json.at("digest_a").get_to(spec.digest_a);
  json.at("digest_b").get_to(spec.digest_b);
  spec.value_digests = json.value("value_digests", std::map<std::string, std::string>());
  return spec;
}

}  // namespace zeropoint
