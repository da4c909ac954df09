#pragma once
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <pty.h>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"

namespace zeropoint::testing {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

inline std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void put(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  ASSERT_TRUE(file.flush()) << path;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// How the command came out: `status` is -1 if `signal` ended it.
struct Outcome {
  int status = -1;
  int signal = 0;
  std::string out, err;
};

/// How to start it.
struct Launch {
  fs::path folder;             ///< the working folder
  rlim_t largest_file = 0;     ///< bytes; 0: no limit
  std::string out;             ///< a file for standard output, in place of a pipe
  std::vector<int> closed;     ///< standard streams that it starts without
  unsigned short columns = 0;  ///< standard error is a terminal that wide; 0: a pipe
};

/// A running `zeropoint`; killed at the end of the scope if it still runs.
class Process {
 public:
  Process(const Arguments& arguments, const Launch& launch) {
    std::array<int, 2> out{}, err{};
    if (pipe2(out.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    winsize size{24, launch.columns, 0, 0};
    const int made = launch.columns > 0 ? openpty(err.data(), &err[1], nullptr, nullptr, &size)
                                        : pipe2(err.data(), O_CLOEXEC);
    if (made != 0) throw std::runtime_error("no pipe or terminal");
    std::vector<char*> argv = {const_cast<char*>("zeropoint")};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      become(argv.data(), launch, out[1], err[1]);
      _exit(127);
    }
    close(out[1]);
    close(err[1]);
    streams_ = {out[0], err[0]};
  }
  ~Process() {
    if (!reaped_) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    for (const int stream : streams_) close(stream);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const { kill(pid_, signal); }

  /// True until it has ended.
  bool runs() {
    if (!reaped_) reaped_ = waitpid(pid_, &state_, WNOHANG) == pid_;
    return !reaped_;
  }

  /// Reads what it prints until it ends; after `seconds` it is killed and the test fails.
  Outcome wait(int seconds = 240) {
    Outcome outcome;
    const std::array<std::string*, 2> texts = {&outcome.out, &outcome.err};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    std::array<pollfd, 2> polled = {{{streams_[0], POLLIN, 0}, {streams_[1], POLLIN, 0}}};
    while (polled[0].fd >= 0 || polled[1].fd >= 0) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "still running after " << seconds << " s";
        kill(pid_, SIGKILL);
        break;
      }
      if (poll(polled.data(), 2, 1000) <= 0) continue;
      for (std::size_t i = 0; i < 2; ++i) {
        if (polled[i].revents == 0) continue;
        std::array<char, 1 << 16> buffer;
        const auto got = read(polled[i].fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got > 0) {
          texts[i]->append(buffer.data(), static_cast<std::size_t>(got));
        } else {
          polled[i].fd = -1;  // the end; of a terminal, an error says so
        }
      }
    }
    if (!reaped_) reaped_ = waitpid(pid_, &state_, 0) == pid_;
    if (WIFEXITED(state_)) outcome.status = WEXITSTATUS(state_);
    if (WIFSIGNALED(state_)) outcome.signal = WTERMSIG(state_);
    return outcome;
  }

 private:
  static void become(char* const* argv, const Launch& launch, int out, int err) {
    // The test may itself have been started with signals ignored.
    for (const int signal : {SIGINT, SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_DFL);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(launch.out.empty() ? out : open(launch.out.c_str(), O_WRONLY | O_CREAT, 0644), 1);
    dup2(err, 2);
    for (int other = 3; other < 64; ++other) close(other);
    for (const int stream : launch.closed) close(stream);
    if (!launch.folder.empty() && chdir(launch.folder.c_str()) != 0) _exit(126);
    if (launch.largest_file > 0) {
      const rlimit limit{launch.largest_file, launch.largest_file};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    execv(ZEROPOINT_COMMAND, argv);
  }

  pid_t pid_ = -1;
  std::array<int, 2> streams_{};
  bool reaped_ = false;
  int state_ = 0;
};

/// A test that runs the command in a folder of its own.
class CommandTest : public ::testing::Test {
 protected:
  const fs::path& folder() const { return folder_.path(); }
  fs::path in_folder(const std::string& name) const { return folder() / name; }

  Outcome run(const Arguments& arguments, Launch launch = {}) const {
    if (launch.folder.empty()) launch.folder = folder();
    return Process(arguments, launch).wait();
  }
  /// What it prints when all goes well and nothing is to be said on standard error.
  std::string printed(const Arguments& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 0) << shown(arguments) << outcome.err;
    EXPECT_EQ(outcome.err, "") << shown(arguments);
    return outcome.out;
  }
  /// The one line that refuses the arguments; `made` is a folder that must not come to be.
  std::string refusal(const Arguments& arguments, const std::string& made = "") const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 2) << shown(arguments) << outcome.err;
    EXPECT_EQ(outcome.out, "") << shown(arguments);
    expect_one_line(outcome.err, arguments);
    EXPECT_FALSE(!made.empty() && fs::exists(in_folder(made))) << shown(arguments);
    return outcome.err;
  }
  static void expect_one_line(const std::string& err, const Arguments& arguments) {
    EXPECT_TRUE(err.starts_with("zeropoint: ")) << shown(arguments) << err;
    EXPECT_EQ(
        std::count_if(err.begin(), err.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; }),
        1)
        << shown(arguments) << err;
    EXPECT_TRUE(err.ends_with('\n')) << shown(arguments) << err;
  }
  static std::string shown(const Arguments& arguments) {
    return fmt::format("zeropoint '{}'\n", fmt::join(arguments, "' '"));
  }

 private:
  TemporaryFolder folder_;
};

/// Waits until `done()`, a few times a millisecond at most; false if `process` ends before.
template <class Condition>
bool wait_until(Process& process, const Condition& done) {
  while (!done()) {
    if (!process.runs()) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  return true;
}

}  // namespace zeropoint::testing
