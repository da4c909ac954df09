#include "model/operators/operator.hpp"

#include <fmt/format.h>

#include "zeropoint/core/error.hpp"

namespace zeropoint::model {
namespace {

template <class T>
constexpr std::string_view kKind = "";
template <>
constexpr std::string_view kKind<std::int64_t> = "an integer";
template <>
constexpr std::string_view kKind<float> = "a float";
template <>
constexpr std::string_view kKind<std::string> = "a string";
template <>
constexpr std::string_view kKind<Value> = "a tensor";
template <>
constexpr std::string_view kKind<std::vector<std::int64_t>> = "a list of integers";
template <>
constexpr std::string_view kKind<std::vector<float>> = "a list of floats";

}  // namespace

const Value& Arguments::input(std::size_t i) const {
  const Value* value = optional_input(i);
  if (value == nullptr) throw InputError(fmt::format("expected input {}, found none", i));
  return *value;
}

template <class T>
const T* Arguments::attribute(std::string_view name) const {
  const auto found = node_.attributes.find(std::string(name));
  if (found == node_.attributes.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) {
    throw InputError(fmt::format("attribute {}: expected {}, found another kind", name, kKind<T>));
  }
  return value;
}

template const std::int64_t* Arguments::attribute(std::string_view) const;
template const float* Arguments::attribute(std::string_view) const;
template const std::string* Arguments::attribute(std::string_view) const;
template const Value* Arguments::attribute(std::string_view) const;
template const std::vector<std::int64_t>* Arguments::attribute(std::string_view) const;
template const std::vector<float>* Arguments::attribute(std::string_view) const;

}  // namespace zeropoint::model
