#include "zeropoint/core/machine.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

namespace zeropoint {
namespace {

std::uint64_t mem_available() {
  std::ifstream file("/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("MemAvailable:")) {
      std::istringstream fields(line.substr(13));
      std::uint64_t kib = 0;
      if (fields >> kib) return kib * 1024;
    }
  }
  return std::numeric_limits<std::uint64_t>::max();  // unknown: let the allocation decide
}

std::uint64_t number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : std::numeric_limits<std::uint64_t>::max();
}

// Pages of files that the control group has read and that the kernel takes back on demand.
std::uint64_t reclaimable_in_control_group() {
  std::ifstream file("/sys/fs/cgroup/memory.stat");
  std::string key;
  std::uint64_t bytes = 0;
  while (file >> key >> bytes) {
    if (key == "inactive_file") return bytes;
  }
  return 0;
}

// Control groups, version 2: a limit of "max" does not parse as a number and so limits nothing.
std::uint64_t control_group_left() {
  constexpr auto kNone = std::numeric_limits<std::uint64_t>::max();
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (limit == kNone || used == kNone) return kNone;
  const auto taken = used - std::min(used, reclaimable_in_control_group());
  return limit > taken ? limit - taken : 0;
}

}  // namespace

std::uint64_t available_memory() { return std::min(mem_available(), control_group_left()); }

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown";
}

}  // namespace zeropoint
