// Stands in for libFuzzer where the compiler has none: runs over the files of a folder and over
// mutations of them, the same on every machine.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

void run(const Bytes& bytes) { LLVMFuzzerTestOneInput(bytes.data(), bytes.size()); }

// Bits, bytes, numbers at their ends, pieces cut out, doubled or taken from another file.
void mutate(Bytes& bytes, const Bytes& other, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) {
    return n == 0 ? 0 : static_cast<std::size_t>(random() % n);
  };
  const auto at = [](auto& of, std::size_t i) {
    return of.begin() + static_cast<std::ptrdiff_t>(i);
  };
  for (std::size_t edits = 1 + below(4); edits-- > 0 && !bytes.empty();) {
    const std::size_t place = below(bytes.size());
    const std::size_t some = 1 + below(std::min<std::size_t>(bytes.size() - place, 32));
    switch (below(6)) {
      case 0:
        bytes[place] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        bytes[place] = static_cast<std::uint8_t>(random());
        break;
      case 2: {
        const std::uint8_t ends[] = {0, 1, 0x7f, 0x80, 0xff};
        const std::size_t width = std::min(some, std::size_t{1} << below(4));
        std::fill_n(at(bytes, place), width, ends[below(std::size(ends))]);
        break;
      }
      case 3:
        bytes.erase(at(bytes, place), at(bytes, place + some));
        break;
      case 4: {
        const Bytes piece(at(bytes, place), at(bytes, place + some));
        bytes.insert(at(bytes, below(bytes.size())), piece.begin(), piece.end());
        break;
      }
      default: {
        const std::size_t from = below(other.size());
        const std::size_t most = std::min<std::size_t>(other.size() - from, 32);
        bytes.insert(at(bytes, place), at(other, from), at(other, from + below(most + 1)));
      }
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    std::fprintf(stderr, "usage: %s FOLDER MUTATIONS\n", words[0]);
    return 2;
  }
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(words[1], error)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  if (seeds.empty()) seeds.emplace_back(64);
  for (const Bytes& seed : seeds) run(seed);
  run({});
  std::mt19937_64 random(20240707);
  const long rounds = std::strtol(words[2], nullptr, 10);
  for (long round = 0; round < rounds; ++round) {
    Bytes bytes = seeds[random() % seeds.size()];
    mutate(bytes, seeds[random() % seeds.size()], random);
    run(bytes);
  }
  std::printf("%zu files, %ld mutations\n", seeds.size(), rounds);
}
