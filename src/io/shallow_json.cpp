#include "io/shallow_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "zeropoint/core/words.hpp"

#include "io/mapped_file.hpp"

namespace zeropoint {

class ShallowSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ShallowSax(ShallowJson& reader) : reader_(reader) {}

  bool null() override { return other(); }
  bool boolean(bool /*value*/) override { return other(); }
  bool number_integer(number_integer_t /*value*/) override { return other(); }
  bool number_unsigned(number_unsigned_t value) override {
    reader_.number(at_, value);
    return done();
  }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return other(); }
  bool string(string_t& value) override {
    reader_.text(at_, value);
    return done();
  }
  bool binary(binary_t& /*value*/) override { return other(); }
  bool start_object(std::size_t /*count*/) override { return start(false); }
  bool start_array(std::size_t /*count*/) override { return start(true); }
  bool key(string_t& value) override {
    at_.back() = std::move(value);
    return true;
  }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    refuse_file(reader_.file_, "JSON", fmt::format("something else at its byte {}", position));
  }

 private:
  bool other() {
    reader_.other(at_);
    return done();
  }
  bool start(bool is_array) {
    reader_.open(at_, is_array);
    if (at_.size() >= reader_.depth_) {
      refuse_file(reader_.file_, fmt::format("JSON of at most {} levels", reader_.depth_), "more");
    }
    at_.emplace_back();
    return true;
  }
  bool end() {
    at_.pop_back();
    return done();
  }
  // A key holds until the next one comes.
  static bool done() { return true; }

  ShallowJson& reader_;
  ShallowJson::Path at_;
};

void ShallowJson::read(std::string_view text) {
  ShallowSax sax(*this);
  nlohmann::json::sax_parse(text.begin(), text.end(), &sax);
}

void ShallowJson::wrong(const Path& at, std::string_view expected) const {
  std::string where = "the whole";
  if (!at.empty()) where = fmt::format("'{}'", printable(fmt::format("{}", fmt::join(at, "/"))));
  refuse_file(file_, fmt::format("{} for {} of its JSON", expected, where), "something else");
}

}  // namespace zeropoint
