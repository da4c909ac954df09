#pragma once
#include <chrono>
#include <cstdint>
#include <string>

/// A line on standard error that says how far long work has come, its rate and the time left.
/// Silent unless standard error is a terminal.
class Progress {
 public:
  /// `done` of `steps` are done already; `cost` is that of the rest, in any unit.
  Progress(std::size_t steps, std::size_t done, double cost);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One step of that cost is done; `what` says which.
  void step(double cost, const std::string& what);
  /// Takes the line away, so that something else can be printed.
  void clear() const;

 private:
  bool shown_;
  std::size_t steps_;
  std::size_t done_before_;
  std::size_t done_;
  double cost_;
  double done_cost_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A line on standard error about bytes that go through: how many, how fast, how long still. Silent
/// unless standard error is a terminal; it goes away with this.
class ProgressOfBytes {
 public:
  explicit ProgressOfBytes(std::string what);
  ~ProgressOfBytes();
  ProgressOfBytes(const ProgressOfBytes&) = delete;
  ProgressOfBytes& operator=(const ProgressOfBytes&) = delete;

  void at(std::uint64_t done, std::uint64_t all);

 private:
  bool shown_;
  std::string what_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), last_;
};
