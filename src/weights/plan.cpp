#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"
#include "zeropoint/core/parallel.hpp"
#include "zeropoint/core/words.hpp"
#include "zeropoint/weights/quantize_file.hpp"

#include "weights/encoding.hpp"
#include "weights/name_pattern.hpp"

namespace zeropoint {
namespace {

constexpr std::string_view kKeep = "keep";

// A scheme, or none for "keep".
std::optional<Scheme> scheme_or_keep(const std::string& text, std::string_view option) {
  if (text == kKeep) return std::nullopt;
  try {
    return parse_scheme(text);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", option, error.what()));
  }
}

struct Rules {
  explicit Rules(const QuantizeOptions& options)
      : scheme(scheme_or_keep(options.scheme, "--scheme")) {
    for (const auto& [pattern, text] : options.overrides) {
      overrides.emplace_back(NamePattern(pattern, "--override"),
                             scheme_or_keep(text, "--override"));
    }
    if (!options.only.empty()) only.emplace(options.only, "--only");
    if (!options.fallback.empty()) fallback = scheme_or_keep(options.fallback, "--fallback");
  }
  std::optional<Scheme> scheme;
  std::vector<std::pair<NamePattern, std::optional<Scheme>>> overrides;
  std::optional<NamePattern> only;
  std::optional<std::optional<Scheme>> fallback;
};

// Sets the scheme, or why there is none.
void choose(const Rules& rules, PlannedWeight& planned) {
  const Weight& weight = *planned.weight;
  if (!weight.is_numbers()) {
    planned.reason = "no numbers to quantize";
    return;
  }
  const auto take = [&](const std::optional<Scheme>& scheme, std::string_view kept) {
    planned.scheme = scheme;
    if (!scheme) planned.reason = kept;
  };
  for (auto at = rules.overrides.rbegin(); at != rules.overrides.rend(); ++at) {
    if (at->first.matches(weight.name)) return take(at->second, "--override");
  }
  if (rules.only) {
    if (rules.only->matches(weight.name)) return take(rules.scheme, "keep");
    planned.reason = "--only";
  } else if (weight.shape.size() < 2) {
    planned.reason = weight.shape.empty() ? "a single number" : "one axis";
  } else {
    take(rules.scheme, "keep");
  }
}

constexpr std::string_view kNoNumbers = "NaN, infinite or beyond float32";

// How many values are not finite.
std::size_t not_finite(std::span<const float> x) {
  constexpr std::size_t kGrain = std::size_t{1} << 16;
  std::vector<std::size_t> counts((x.size() + kGrain - 1) / kGrain);
  parallel_for(x.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    std::size_t count = 0;
#pragma omp simd reduction(+ : count)
    for (std::size_t i = begin; i < end; ++i) count += !(std::abs(x[i]) <= 3.4028235e38F);
    counts[begin / kGrain] = count;
  });
  std::size_t all = 0;
  for (const std::size_t count : counts) all += count;
  return all;
}

void keep(const WeightFile& file, const Container& target, PlannedWeight& planned) {
  const Weight& weight = *planned.weight;
  planned.type = weight.type;
  planned.bytes = weight.bytes;
  if (weight.is_quantized) {
    const bool fits = (weight.scheme && target.name == "safetensors") ||
                      (!weight.scheme && file.file().container() == target.name);
    if (!fits) {
      planned.problem =
          fmt::format("is {}, which {} cannot hold as it is", weight.type, target.name);
    }
    return;
  }
  const StoredTensor& stored = *weight.stored;
  planned.problem = target.wrong_tensor({stored.name, stored.shape, stored.type});
  if (planned.problem.empty() || stored.type->kind != TensorKind::floating) return;
  // All floating types that some container lacks are within float32.
  const TensorType& wide = tensor_type("F32");
  planned.problem = target.wrong_tensor({stored.name, stored.shape, &wide});
  if (!planned.problem.empty()) return;
  planned.kept_as = &wide;
  planned.type = wide.name;
  planned.bytes = wide.stored_bytes(weight.count);
}

void encode_as(const Container& target, bool fake, PlannedWeight& planned) {
  const Encoding encoding = encoding_of(target.name, *planned.weight, *planned.scheme, fake);
  for (const auto& tensor : encoding.tensors) {
    if (const std::string wrong = target.wrong_tensor(tensor); !wrong.empty()) {
      throw InputError(wrong);
    }
  }
  planned.bytes = encoding.bytes();
  planned.type = short_form(*planned.scheme);
  if (fake) planned.type = fmt::format("{} as {}", encoding.tensors[0].type->name, planned.type);
}

}  // namespace

double PlannedWeight::sqnr_db() const { return -20 * std::log10(relative_error.value_or(1)); }

std::size_t QuantizePlan::problems() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(weights, [](const auto& each) { return !each.problem.empty(); }));
}

std::size_t QuantizePlan::quantized() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      weights, [](const auto& each) { return each.scheme && each.problem.empty(); }));
}

QuantizePlan plan_quantization(const WeightFile& file, const QuantizeOptions& options, bool reads,
                               const BytesProgress& progress) {
  const Container& target = container(options.container);
  if (target.create == nullptr) {
    throw InputError(fmt::format("{} is read only", target.name));
  }
  if (!options.fake && (target.name == "npy" || target.name == "npz")) {
    throw InputError(
        fmt::format("{} holds plain numbers: expected --fake, which writes what the codes stand "
                    "for, found none",
                    target.name));
  }
  const Rules rules(options);
  QuantizePlan plan;
  plan.options = options;
  std::uint64_t all = 0, done = 0;
  for (const auto& weight : file.weights()) {
    PlannedWeight& planned = plan.weights.emplace_back();
    planned.weight = &weight;
    choose(rules, planned);
    plan.bytes_before += weight.bytes;
    if (planned.scheme) all += weight.bytes;
  }
  const bool is_onnx_again = file.file().container() == "onnx" && target.name == "onnx";
  for (auto& planned : plan.weights) {
    const Weight& weight = *planned.weight;
    std::string why;
    const bool is_wanted = planned.scheme.has_value();
    if (is_wanted) {
      // A second attempt is the fallback's.
      const bool is_onnx_codes =
          weight.is_quantized && !weight.scheme && weight.stored->type->kind != TensorKind::blocks;
      if (weight.is_quantized && !options.requantize) {
        planned.problem =
            fmt::format("is quantized already ({}): --requantize does it again", weight.type);
      } else if (is_onnx_codes && is_onnx_again) {
        planned.problem = "is behind a DequantizeLinear of the graph, which is not taken out again";
      } else {
        try {
          encode_as(target, options.fake, planned);
          if (reads && weight.count == 0) why = "has no numbers";
          if (reads && weight.count != 0) {
            const std::size_t bad = not_finite(file.load(weight).values());
            if (bad != 0)
              why = fmt::format("{} of {} numbers are {}", bad, weight.count, kNoNumbers);
          }
        } catch (const InputError& error) {
          why = error.what();
        }
        done += weight.bytes;
        if (progress) progress(done, all);
      }
    }
    if (!why.empty() && !rules.fallback) planned.problem = why;
    if (!why.empty() && rules.fallback) {
      planned.fell_back = why;
      planned.scheme = *rules.fallback;
      if (!planned.scheme) planned.reason = "--fallback";
      try {
        if (planned.scheme && why.find(kNoNumbers) != std::string::npos) {
          planned.problem = why + "; the fallback cannot hold them either";
        }
        if (planned.scheme) encode_as(target, options.fake, planned);
      } catch (const InputError& error) {
        planned.problem = fmt::format("fits neither: {}", error.what());
      }
    }
    if (!planned.scheme && planned.problem.empty()) keep(file, target, planned);
    plan.bytes_after += planned.problem.empty() ? planned.bytes : weight.bytes;
  }

  // Names of parts must not be those of others; but a graph may well use one scale twice.
  std::map<std::string, const StoredTensor*, std::less<>> taken;
  for (auto& planned : plan.weights) {
    if (!planned.problem.empty()) continue;
    const auto take = [&](const std::string& name, const StoredTensor* kept) {
      const auto [at, is_new] = taken.emplace(name, kept);
      if (is_new || (kept != nullptr && at->second == kept)) return;
      planned.problem = fmt::format("needs the name '{}', which is taken", printable(name));
    };
    if (planned.scheme) {
      for (const auto& tensor :
           encoding_of(options.container, *planned.weight, *planned.scheme, options.fake).tensors) {
        take(tensor.name, nullptr);
      }
    } else {
      for (const StoredTensor* part : file.parts(*planned.weight)) take(part->name, part);
    }
  }
  return plan;
}

}  // namespace zeropoint
