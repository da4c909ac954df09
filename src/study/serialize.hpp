#pragma once
#include <nlohmann/json.hpp>

#include "zeropoint/study/row.hpp"
#include "zeropoint/study/study.hpp"

namespace zeropoint {

/// The one place that names a row's fields, in the store, in --json and in --csv alike. Numbers
/// come back to the last bit; infinity is null.
nlohmann::ordered_json to_json(const StudyRow& row);
StudyRow row_from_json(const nlohmann::ordered_json& json);

nlohmann::ordered_json to_json(const StudySpec& spec);
StudySpec spec_from_json(const nlohmann::ordered_json& json);

}  // namespace zeropoint
