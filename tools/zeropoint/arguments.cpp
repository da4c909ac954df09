#include "arguments.hpp"

double read_real(std::string_view text, std::string_view option) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stopped != end) {
    throw zeropoint::InputError(fmt::format("{}: expected a number, found '{}'", option, text));
  }
  return value;
}

std::vector<std::string> read_list(const std::vector<std::string>& texts, std::string_view option) {
  std::vector<std::string> values;
  for (std::string_view rest : texts) {
    for (bool more = true; more;) {
      const auto comma = rest.find(',');
      more = comma != rest.npos;
      values.emplace_back(rest.substr(0, comma));
      if (more) rest.remove_prefix(comma + 1);
      while (more && rest.starts_with(' ')) rest.remove_prefix(1);
      if (values.back().empty()) {
        throw zeropoint::InputError(
            fmt::format("{}: expected values with commas between them, found '{}'", option,
                        fmt::join(texts, " ")));
      }
    }
  }
  return values;
}

CLI::Validator given() {
  return {[](std::string& text) {
            return text.empty() ? std::string("expected a value, found ''") : std::string();
          },
          ""};
}
