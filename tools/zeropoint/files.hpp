#pragma once
#include <string>
#include <string_view>

/// Writes the whole text or leaves what was there: into a new file beside it, then renamed. "-" is
/// standard output. Throws zeropoint::WorkError.
void write_text(const std::string& path, std::string_view text);

/// Throws zeropoint::InputError if `path` (unless it is "-" or empty) cannot be written.
void check_writable(const std::string& path);

/// Makes the folder if it is missing; throws zeropoint::InputError if it cannot hold files.
void make_folder(const std::string& path);

/// The store of runs in a folder of results.
std::string store_path(const std::string& folder);

/// Flushes standard output; throws zeropoint::WorkError if something printed was lost.
void finish_output();

/// Columns of the terminal that standard output is; 0 if it is none.
int output_width();

constexpr const char* kDefaultFolder = "zeropoint-out";
