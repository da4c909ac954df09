#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// Writes the whole text or leaves what was there: into a new file beside it, then renamed. "-" is
/// standard output. Throws zeropoint::WorkError.
void write_text(const std::string& path, std::string_view text);

/// Throws zeropoint::InputError if `path` (unless it is "-" or empty) cannot be written.
void check_writable(const std::string& path);

/// Throws zeropoint::InputError if two of these files to write are one, or one is an input.
struct NamedFile {
  std::string what, path;
};
void check_distinct(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& others);

/// Makes the folder if it is missing, calls `then`, and takes back what it made if that throws.
/// Throws zeropoint::InputError if the folder cannot hold files.
void make_folder(const std::string& path, const std::function<void()>& then);

/// The store of runs in a folder of results.
std::string store_path(const std::string& folder);

/// The page in a folder of results.
std::string page_path(const std::string& folder);

/// Prints on standard error. Whether anybody can read it is no matter of success.
void tell(std::string_view text);

/// Flushes standard output; throws zeropoint::WorkError if something printed was lost.
void finish_output();

/// Columns of the terminal that the stream (1: standard output, 2: error) is; 0 if it is none.
int width_of(int stream);
inline int output_width() { return width_of(1); }

constexpr const char* kDefaultFolder = "zeropoint-out";
