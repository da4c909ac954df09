#include "zeropoint/core/machine.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

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

constexpr auto kNoLimit = std::numeric_limits<std::uint64_t>::max();

std::uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : std::numeric_limits<std::uint64_t>::max();
}

// What is left of one control group's limit; its files that the kernel takes back on demand do not
// count. A limit of "max" does not parse as a number and so limits nothing.
std::uint64_t left_of_group(const std::string& folder, const char* limit_name,
                            const char* used_name, std::string_view reclaimable_name) {
  const auto limit = number_in(folder + limit_name);
  const auto used = number_in(folder + used_name);
  if (limit == kNoLimit || used == kNoLimit) return kNoLimit;
  std::ifstream statistics(folder + "/memory.stat");
  std::string key;
  std::uint64_t bytes = 0;
  std::uint64_t reclaimable = 0;
  while (statistics >> key >> bytes) {
    if (key == reclaimable_name) reclaimable = bytes;
  }
  const auto taken = used - std::min(used, reclaimable);
  return limit > taken ? limit - taken : 0;
}

// The group that this process is in and all above it, in both versions of control groups.
std::uint64_t control_group_left() {
  std::uint64_t left = kNoLimit;
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {  // number:controllers:path
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const bool is_second = controllers.empty();
    if (!is_second && ("," + controllers + ",").find(",memory,") == std::string::npos) continue;
    std::string path = line.substr(second + 1);
    while (true) {
      left = std::min(
          left, is_second ? left_of_group("/sys/fs/cgroup" + path, "/memory.max", "/memory.current",
                                          "inactive_file")
                          : left_of_group("/sys/fs/cgroup/memory" + path, "/memory.limit_in_bytes",
                                          "/memory.usage_in_bytes", "total_inactive_file"));
      if (path.size() <= 1) break;
      path.erase(std::max<std::size_t>(path.rfind('/'), 1));
      if (path == "/") path.clear();
    }
  }
  return left;
}

// What `ulimit -v` leaves.
std::uint64_t address_space_left() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  const auto pages = number_in("/proc/self/statm");
  const auto used = pages == kNoLimit ? 0 : pages * static_cast<std::uint64_t>(getpagesize());
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

}  // namespace

std::uint64_t available_memory() {
  return std::min({mem_available(), control_group_left(), address_space_left()});
}

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
