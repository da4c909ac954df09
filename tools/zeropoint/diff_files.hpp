#pragma once
#include <cstddef>
#include <string>

#include "zeropoint/weights/compare.hpp"

/// In which order the tensors of two files are printed.
enum class DiffOrder { error, name, order };

/// Two files compared, at most `limit` tensors by the line.
std::string to_text(const zeropoint::FileComparison& comparison, const zeropoint::WeightFile& a,
                    const zeropoint::WeightFile& b, DiffOrder order, std::size_t limit);
/// All of it, in A's order.
std::string to_json(const zeropoint::FileComparison& comparison, const zeropoint::WeightFile& a,
                    const zeropoint::WeightFile& b);
