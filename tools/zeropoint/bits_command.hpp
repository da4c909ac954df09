#pragma once
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

/// Adds `zeropoint bits VALUE…`: numbers bit by bit, and what an integer grid makes of them.
void add_bits_command(CLI::App& app);

/// To be called on the command's arguments (without its name, in the order typed) before they are
/// parsed: puts a space before each VALUE of `bits` that CLI11 would take for an option, such as
/// -inf or -.5, and before whatever follows `--`. Reading a number skips that space.
void shield_negative_values(std::vector<std::string>& arguments);
