#pragma once
#include <string>

/// `zeropoint diff A B`.
struct DiffFilesOptions {
  std::string a, b, only, json, sort = "error", limit = "40";
};
void diff_files(const DiffFilesOptions& options);
