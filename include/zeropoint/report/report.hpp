#pragma once
#include <string>

#include "zeropoint/study/store.hpp"

namespace zeropoint {

/// The run as JSON, {"meta": …, "results": [row, …], "summary": …, "claims": …}; stable names.
std::string to_json(const Run& run);

/// The rows as CSV (RFC 4180), one header line, the same names as in JSON.
std::string to_csv(const Run& run);

/// The rows as a table for a terminal of `width` columns (0: as wide as it takes); what does not
/// fit is left out, the details first, and it says so. With several seeds, mean ± standard error.
std::string to_table(const Run& run, int width = 0);

/// The verdicts as text for a terminal of `width` columns, 100 at most (0: 100), after an empty
/// line; nothing for a study of schemes, which the claims are not about.
std::string claims_text(const Run& run, int width = 0);

/// One self-contained HTML page: figures, table, settings, verdicts. Opens without a network.
std::string to_page(const Run& run);

}  // namespace zeropoint
