#pragma once
#include <stdexcept>
#include <string>

namespace zeropoint {

/// Base of everything that zeropoint throws. `what()` is one line: operation, expected, found,
/// where.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument, an option or an input file is wrong (the command exits with status 2).
class InputError : public Error {
 public:
  using Error::Error;
};

/// The work itself failed: disk full, database locked (the command exits with status 1).
class WorkError : public Error {
 public:
  using Error::Error;
};

}  // namespace zeropoint
