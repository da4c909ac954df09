#pragma once
#include "bits_facts.hpp"

namespace zeropoint::bits {

/// Prints for people, on standard output, at most 100 columns wide.
class Printer {
 public:
  /// With colour if standard output is a terminal that takes it.
  Printer();

  void line(std::string_view text = "");
  void block(const Taken& taken, const Number& number);
  void block(const GridChoice& choice, const Number& number);

 private:
  void field(std::string_view label, std::string_view text);
  void drawing(const Taken& taken);
  std::string paint(const std::string& text, std::string_view colour) const;

  bool colour_;
};

}  // namespace zeropoint::bits
