#include "help.hpp"

HelpFormatter::HelpFormatter() {
  label("SUBCOMMAND", "VERB");
  label("Subcommands", "Verbs");
  label("OPTIONS", "OPTION...");
  column_width(26);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  const std::string value = option->get_type_name();
  return option->get_type_size() == 0 || value.empty() ? "" : " " + value;
}
