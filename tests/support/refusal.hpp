#pragma once
#include <string>

#include "zeropoint/core/error.hpp"

namespace zeropoint::testing {

/// The message of the InputError that `call` throws; "no refusal" if it throws none.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no refusal";
}

}  // namespace zeropoint::testing
