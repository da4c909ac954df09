#pragma once
#include <CLI/CLI.hpp>

/// Help texts without the parser's own vocabulary: an option's line has its value's name and what
/// it is for; what excludes what is told by the refusal.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_option_opts(const CLI::Option* option) const override;
};
