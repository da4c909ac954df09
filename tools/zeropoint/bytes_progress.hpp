#pragma once
#include <chrono>
#include <cstdint>
#include <string>

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
