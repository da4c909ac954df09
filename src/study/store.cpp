#include "zeropoint/study/store.hpp"

#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <sqlite3.h>

#include "zeropoint/core/error.hpp"

#include "study/serialize.hpp"

namespace zeropoint {
namespace {

constexpr int kApplicationId = 0x7A70'6F69;  // "zpoi"
constexpr int kSchemaVersion = 1;
constexpr int kBusyMilliseconds = 3'000;

constexpr const char* kSchema = R"sql(
  CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started TEXT NOT NULL, finished TEXT NOT NULL,
    version TEXT NOT NULL, cpu TEXT NOT NULL, threads INTEGER NOT NULL,
    total INTEGER NOT NULL,
    spec TEXT NOT NULL);
  CREATE TABLE result (
    run INTEGER NOT NULL REFERENCES run, cell INTEGER NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (run, cell)) WITHOUT ROWID;
)sql";

struct Database {
  std::string path;
  sqlite3* handle = nullptr;

  Database(std::string file, int flags) : path(std::move(file)) {
    if (sqlite3_open_v2(path.c_str(), &handle, flags, nullptr) != SQLITE_OK) {
      const std::string why = sqlite3_errmsg(handle);
      sqlite3_close(handle);
      std::error_code error;
      if (std::filesystem::is_directory(path, error)) {
        throw InputError(fmt::format("{}: expected a store of runs, found a folder", path));
      }
      throw WorkError(
          fmt::format("{}: expected a store of runs that can be opened: {}", path, why));
    }
    sqlite3_busy_timeout(handle, kBusyMilliseconds);
  }
  ~Database() { sqlite3_close(handle); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[noreturn]] void fail(std::string_view what) const {
    const std::string why = sqlite3_errmsg(handle);
    if (sqlite3_errcode(handle) == SQLITE_NOTADB) {
      throw InputError(
          fmt::format("{}: expected a store of runs, found another kind of file", path));
    }
    if (sqlite3_errcode(handle) == SQLITE_CORRUPT) {
      throw InputError(
          fmt::format("{}: expected a store of runs, found a damaged one: {}", path, why));
    }
    throw WorkError(fmt::format("{}: {} failed: {}", path, what, why));
  }

  void execute(const std::string& sql, std::string_view what) const {
    if (sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(what);
  }
};

// A prepared statement, its parameters bound in order.
class Statement {
 public:
  Statement(const Database& database, const char* sql, std::string_view what)
      : database_(database), what_(what) {
    if (sqlite3_prepare_v2(database.handle, sql, -1, &statement_, nullptr) != SQLITE_OK) {
      database.fail(what);
    }
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  Statement& bind(const std::string& value) {
    sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()),
                      SQLITE_TRANSIENT);
    return *this;
  }
  // True while there is a row.
  bool step() {
    const int status = sqlite3_step(statement_);
    if (status != SQLITE_ROW && status != SQLITE_DONE) database_.fail(what_);
    return status == SQLITE_ROW;
  }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const {
    const auto* data = sqlite3_column_text(statement_, column);
    return data == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(data));
  }

 private:
  const Database& database_;
  std::string_view what_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

std::int64_t pragma(const Database& database, const char* sql) {
  Statement statement(database, sql, "reading the store");
  return statement.step() ? statement.integer(0) : 0;
}

void check_schema(const Database& database) {
  const auto application = pragma(database, "PRAGMA application_id");
  const auto schema = pragma(database, "PRAGMA user_version");
  if (application != kApplicationId) {
    throw InputError(
        fmt::format("{}: expected a store of runs, found another SQLite database", database.path));
  }
  if (schema != kSchemaVersion) {
    throw InputError(fmt::format("{}: expected a store of version {}, found version {}",
                                 database.path, kSchemaVersion, schema));
  }
}

Run read_run(const Database& database, const Statement& columns) {
  Run run;
  run.id = columns.integer(0);
  run.started = columns.text(1);
  run.finished = columns.text(2);
  run.version = columns.text(3);
  run.cpu = columns.text(4);
  run.threads = static_cast<int>(columns.integer(5));
  run.total = static_cast<std::size_t>(columns.integer(6));
  try {
    run.spec = spec_from_json(nlohmann::ordered_json::parse(columns.text(7)));
  } catch (const nlohmann::json::exception&) {
    throw InputError(fmt::format("{}: expected the settings of run {}, found them damaged",
                                 database.path, run.id));
  }
  Statement results(database, "SELECT cell, result FROM result WHERE run = ? ORDER BY cell",
                    "reading a run");
  results.bind(run.id);
  while (results.step()) {
    const auto index = static_cast<std::size_t>(results.integer(0));
    if (index >= run.total) continue;
    try {
      run.rows[index] = row_from_json(nlohmann::ordered_json::parse(results.text(1)));
    } catch (const nlohmann::json::exception&) {
      // A damaged row counts as missing, so that going on with the run replaces it.
    }
  }
  return run;
}

constexpr const char* kSelectRuns =
    "SELECT id, started, finished, version, cpu, threads, total, spec FROM run"
    " WHERE id = ?1 OR ?1 = 0 ORDER BY id DESC";

}  // namespace

struct Store::Impl {
  Database database;
};

Store::Store(const std::string& path)
    : impl_(new Impl{{path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE}}) {
  const auto& database = impl_->database;
  // Two processes may meet here: whoever takes the lock first lays the tables.
  database.execute("BEGIN IMMEDIATE", "opening the store");
  if (pragma(database, "SELECT count(*) FROM sqlite_master") == 0) {
    database.execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; {}",
                                 kApplicationId, kSchemaVersion, kSchema),
                     "creating the store");
  }
  database.execute("COMMIT", "opening the store");
  check_schema(database);
}

Store Store::existing(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw InputError(fmt::format("{}: expected a store of runs, found none", path));
  }
  Store store;
  if (std::filesystem::file_size(path, error) == 0) {
    throw InputError(fmt::format("{}: expected a store of runs, found an empty file", path));
  }
  // For writing where that is possible: what a killed process left half done is rolled back first.
  store.impl_.reset(new Impl{{path, SQLITE_OPEN_READWRITE}});
  check_schema(store.impl_->database);
  return store;
}

Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

void Store::begin(Run& run) {
  Statement insert(impl_->database,
                   "INSERT INTO run (started, finished, version, cpu, threads, total, spec)"
                   " VALUES (?, '', ?, ?, ?, ?, ?)",
                   "storing a run");
  insert.bind(run.started)
      .bind(run.version)
      .bind(run.cpu)
      .bind(run.threads)
      .bind(static_cast<std::int64_t>(run.total))
      .bind(to_json(run.spec).dump());
  insert.step();
  run.id = sqlite3_last_insert_rowid(impl_->database.handle);
}

void Store::add(std::int64_t run, std::size_t index, const StudyRow& row) {
  // Outside an explicit transaction, SQLite commits each statement by itself.
  Statement insert(impl_->database, "INSERT OR REPLACE INTO result VALUES (?, ?, ?)",
                   "storing a row");
  insert.bind(run).bind(static_cast<std::int64_t>(index)).bind(to_json(row).dump());
  insert.step();
}

void Store::finish(std::int64_t run, const std::string& when) {
  Statement update(impl_->database, "UPDATE run SET finished = ? WHERE id = ?", "storing a run");
  update.bind(when).bind(run);
  update.step();
}

std::vector<Run> Store::runs() const {
  Statement select(impl_->database, kSelectRuns, "reading the store");
  select.bind(std::int64_t{0});
  std::vector<Run> runs;
  while (select.step()) runs.push_back(read_run(impl_->database, select));
  return runs;
}

Run Store::load(std::int64_t id) const {
  Statement select(impl_->database, kSelectRuns, "reading the store");
  select.bind(id);
  if (id <= 0 || !select.step()) {
    throw InputError(
        fmt::format("{}: expected a run of this store, found no run {}", impl_->database.path, id));
  }
  return read_run(impl_->database, select);
}

std::vector<StudyRow> Run::table() const {
  std::vector<StudyRow> table;
  for (const auto& [index, row] : rows) table.push_back(row);
  return table;
}

}  // namespace zeropoint
