#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "zeropoint/study/row.hpp"
#include "zeropoint/study/study.hpp"

namespace zeropoint {

/// A run as it was made: its settings, where, when, and what it found.
struct Run {
  std::int64_t id = 0;
  std::string started;   ///< UTC, ISO 8601
  std::string finished;  ///< empty while rows are missing
  std::string version;   ///< of zeropoint
  std::string cpu;
  int threads = 0;
  StudySpec spec;
  std::size_t total = 0;                 ///< rows that the spec asks for
  std::map<std::size_t, StudyRow> rows;  ///< those finished, by index

  /// Finished rows in order.
  std::vector<StudyRow> table() const;
};

/// The SQLite file of runs. One finished row is one committed transaction. Every failure is a
/// WorkError that says what failed and why; a file that is not ours is an InputError.
class Store {
 public:
  /// Opens or creates.
  explicit Store(const std::string& path);
  /// Opens an existing store for reading; throws InputError if there is none.
  static Store existing(const std::string& path);
  ~Store();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;

  /// Inserts the run (without rows) and sets its id.
  void begin(Run& run);
  void add(std::int64_t run, std::size_t index, const StudyRow& row);
  void finish(std::int64_t run, const std::string& when);

  /// Every run, newest first, with its rows.
  std::vector<Run> runs() const;
  /// Throws InputError if there is no such run.
  Run load(std::int64_t id) const;

 private:
  Store() = default;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zeropoint
