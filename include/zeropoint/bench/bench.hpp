#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zeropoint {

/// A product to be timed: A is m×k, B k×n.
struct BenchShape {
  std::size_t m = 0, k = 0, n = 0;
  bool operator==(const BenchShape&) const = default;
};
std::string to_string(const BenchShape& shape);  ///< "128x768x3072"

/// One shape a line, `m k n` or `mxkxn`; `#` begins a comment. Throws InputError naming `name` and
/// the line.
std::vector<BenchShape> read_shapes(std::string_view text, std::string_view name);

/// Those of bench/shapes/, or the few that a quick run takes.
std::vector<BenchShape> default_shapes(bool quick);

/// What was measured over the turns: the median, and the quartiles around it.
struct Spread {
  double median = 0, low = 0, high = 0;
  std::size_t count = 0;
};

/// What this machine can do at most, on so many threads at once.
struct BenchPeaks {
  int threads = 1;
  /// The part of the time that the threads ran while they had work; the rest went to other
  /// processes, and with it what figures on so many threads are worth.
  double undisturbed = 1;
  Spread dot, fma;    ///< operations a second; the instructions are BenchMachine's
  Spread read, copy;  ///< bytes a second, far beyond the last cache; a copy's are read and written
};

struct BenchMachine {
  std::string cpu, version, started, kernel;
  int threads = 1;  ///< asked for
  int cores = 1;    ///< that the process may use
  struct KernelState {
    std::string name;
    bool supported = false;
  };
  std::vector<KernelState> kernels;
  struct Cache {
    int level = 1;
    std::size_t bytes = 0;
  };
  std::vector<Cache> caches;  ///< of data; empty if the system does not say
  std::string dot, fma;       ///< the instructions whose peak is measured
  std::size_t read_bytes = 0;
  std::vector<BenchPeaks> peaks;
};

/// One that multiplies.
struct ContestantInfo {
  std::string_view name;   ///< "int8_float32_packed"
  std::string_view title;  ///< "int8 → float32, B packed before"
  std::string_view output;
  bool packed = false;  ///< B was laid out before the clock started
  bool peer = false;    ///< not zeropoint's
  bool floats = false;  ///< its operands are float32
};
std::span<const ContestantInfo> contestants();

/// A contestant at a shape. What is compared was measured in turns, and is the median of what the
/// turns gave.
struct BenchRow {
  BenchShape shape;
  int threads = 1;
  std::string contestant, title, output;
  bool packed = false, peer = false;
  std::size_t turns = 0;
  Spread seconds;                        ///< of a call
  double ops = 0;                        ///< 2·m·n·k a second
  std::optional<double> of_peak;         ///< of integer dot products, or of FMA for fp32
  std::optional<double> b_bytes;         ///< of B a second, where m is small
  std::optional<double> of_read;         ///< of reading as many bytes
  std::optional<double> to_fp32;         ///< how many times as fast as oneDNN's float32
  std::optional<double> to_onednn_int8;  ///< and as its int8, B packed before or not as here
  std::optional<double> to_gemmlowp;
};

/// A function over all elements of a tensor, beside what it is held against.
struct BenchElementwise {
  std::string name, against;
  std::size_t count = 0;
  int threads = 1;
  Spread seconds, against_seconds;
  double bytes = 0;  ///< read and written a second
  double ratio = 0;  ///< how many times as fast as `against`
};

/// Quantizing to a format and back, beside a copy of as many bytes: those of the numbers in float32
/// and those of the codes.
struct BenchFormat {
  std::string scheme;  ///< "e4m3", "int4:sym:group=32"
  bool given = true;   ///< its parameters are, so that encoding alone is timed; else they are found
  double bits = 0;     ///< a value's, as stored
  std::size_t count = 0;
  int threads = 1;
  Spread quantize_seconds, dequantize_seconds;
  double quantize_bytes = 0, dequantize_bytes = 0;  ///< read and written a second
  double quantize_share = 0, dequantize_share = 0;  ///< of the speed of a copy
  std::optional<double> target;                     ///< of both shares; none of few numbers
};

struct BenchSpec {
  std::vector<BenchShape> shapes;
  std::vector<int> threads = {1};
  double seconds = 90;  ///< for all timing together, about
  bool quick = false;   ///< smaller tensors, fewer turns
};

struct BenchResult {
  BenchMachine machine;
  std::vector<BenchRow> products;
  std::vector<BenchElementwise> elementwise;
  std::vector<BenchFormat> formats;  ///< on the first number of threads
  double seconds = 0;
};

/// What is asked for, and what came out. Targets without a measurement are left out.
struct TargetVerdict {
  std::string target;  ///< in words
  std::string where;   ///< shape, output, threads
  double expected = 0, found = 0;
  bool share = false;  ///< shares are told in percent, others as multiples
  bool met = false;
};
std::vector<TargetVerdict> judge_targets(const BenchResult& result);

/// Shapes at which int8 is not faster than fp32: "10x10x10 on 1 thread".
std::vector<std::string> not_faster_than_fp32(const BenchResult& result);

/// `step` of `steps` are done, and what is next; called before each step.
using BenchProgress = std::function<void(std::size_t step, std::size_t steps, const std::string&)>;

/// Every result is held against its definition before it is timed. Throws WorkError naming the
/// shape, the contestant, the element, what was expected and what was found. Uses set_threads().
BenchResult run_bench(const BenchSpec& spec, const BenchProgress& progress);

/// Bytes a second that `threads` threads read of so many, again and again.
double read_rate(std::size_t bytes, int threads);

}  // namespace zeropoint
