#include "io/output_file.hpp"

#include <csignal>
#include <sys/resource.h>
#include <sys/wait.h>

#include <fmt/format.h>

#include "io/containers.hpp"
#include "io/mapped_file.hpp"

namespace zeropoint {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::size_t kLong = 3'000'000;  // more than is buffered

class OutputFileTest : public testing::ContainerTest {
 protected:
  // What another process makes of `work`: its exit status, or minus the signal that ended it.
  template <class Work>
  static int elsewhere(const Work& work) {
    const pid_t child = fork();
    if (child == 0) _exit(work());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
  static std::string refusal(const std::string& path) {
    try {
      OutputFile file(path);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(OutputFileTest, AppearsWhenItIsWhole) {
  const std::string path = put("x", "old");
  {
    OutputFile file(path);
    file.write(std::string(kLong, 'a'));
    file.zeros(100);
    file.write("end");
    EXPECT_EQ(file.written(), kLong + 103);
    EXPECT_EQ(contents(path), "old");
    EXPECT_TRUE(exists("x.partial"));
    file.finish();
  }
  EXPECT_EQ(contents(path), std::string(kLong, 'a') + std::string(100, '\0') + "end");
  EXPECT_FALSE(exists("x.partial"));
}

TEST_F(OutputFileTest, LeavesNothingIfItIsNotFinished) {
  const std::string path = put("x", "old");
  OutputFile(path).write(std::string(kLong, 'a'));
  EXPECT_EQ(contents(path), "old");
  EXPECT_FALSE(exists("x.partial"));
}

TEST_F(OutputFileTest, RewritesWhatIsWrittenAndWhatIsBuffered) {
  OutputFile file(in_folder("x"));
  std::string expected(std::size_t{1} << 20, 'a');
  file.write(expected);
  file.write("1234");
  expected += "1234";
  const auto rewrite = [&](std::size_t at, std::string_view bytes) {
    file.rewrite(at, testing::as_bytes(bytes));
    expected.replace(at, bytes.size(), bytes);
  };
  rewrite(expected.size() - 2, "xy");
  rewrite(expected.size() - 6, "ABCDEF");  // some of each
  rewrite(0, "begin");
  file.write("more");
  file.finish();
  EXPECT_EQ(contents(in_folder("x")), expected + "more");
}

TEST_F(OutputFileTest, TakesOverWhatAKilledProcessLeft) {
  const std::string path = in_folder("x");
  EXPECT_EQ(elsewhere([&] {
              OutputFile file(path);
              file.write(std::string(kLong, 'a'));
              return raise(SIGKILL);
            }),
            -SIGKILL);
  EXPECT_TRUE(exists("x.partial"));
  EXPECT_FALSE(exists("x"));
  OutputFile file(path);
  file.write("new");
  file.finish();
  EXPECT_EQ(contents(path), "new");
  EXPECT_FALSE(exists("x.partial"));
}

TEST_F(OutputFileTest, OneWriterAtATime) {
  const std::string path = in_folder("x");
  OutputFile file(path);
  file.write(std::string(kLong, 'a'));
  EXPECT_THAT(refusal(path), HasSubstr("expected a file that nobody else is writing"));
  EXPECT_EQ(elsewhere([&] { return refusal(path).empty() ? 1 : 0; }), 0);
  // The refused ones took nothing away.
  file.finish();
  EXPECT_EQ(contents(path).size(), kLong);
  EXPECT_EQ(refusal(path), "");
}

TEST_F(OutputFileTest, AFullDiskIsAWorkErrorAndLeavesNothing) {
  const std::string path = put("x", "old");
  const auto limited = [&](std::size_t bytes, bool named) {
    return elsewhere([&] {
      const rlimit limit{1'000'000, 1'000'000};
      signal(SIGXFSZ, SIG_IGN);
      setrlimit(RLIMIT_FSIZE, &limit);
      try {
        OutputFile file(path);
        file.write(std::string(bytes, 'a'));
        file.finish();
      } catch (const WorkError& error) {
        const std::string text = error.what();
        const bool says = text.find(path) == 0 && text.find("File too large") != std::string::npos;
        return says == named ? 0 : 2;
      }
      return 1;
    });
  };
  EXPECT_EQ(limited(kLong, true), 0);
  EXPECT_EQ(limited(1'000'001, true), 0);
  EXPECT_EQ(contents(path), "old");
  EXPECT_FALSE(exists("x.partial"));
  EXPECT_EQ(limited(1'000'000, true), 1);
  EXPECT_EQ(contents(path).size(), 1'000'000U);
}

TEST_F(OutputFileTest, FollowsLinks) {
  fs::create_directory(folder_ / "sub");
  put("sub/x", "old");
  fs::create_symlink("sub/x", folder_ / "link");
  fs::create_symlink("link", folder_ / "second");
  fs::create_symlink("sub/none yet", folder_ / "ahead");
  for (const char* name : {"link", "second", "ahead"}) {
    SCOPED_TRACE(name);
    OutputFile file(in_folder(name));
    file.write(name);
    EXPECT_THAT(file.partial(), HasSubstr("/sub/"));
    file.finish();
    EXPECT_TRUE(fs::is_symlink(folder_ / name));
    EXPECT_EQ(contents(in_folder(name)), name);
  }
  EXPECT_EQ(contents(in_folder("sub/x")), "second");
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THAT(refusal(in_folder("loop")), HasSubstr("found a link without an end"));
}

TEST_F(OutputFileTest, PathsThatCannotBeWritten) {
  EXPECT_THAT(refusal(folder_.path().string()),
              HasSubstr("expected a file to write, found a folder"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("found a device"));
  EXPECT_THAT(refusal(in_folder("none/x")), HasSubstr("No such file or directory"));
  put("y", "mine");
  fs::create_symlink("y", folder_ / "x.partial");
  EXPECT_THAT(refusal(in_folder("x")), HasSubstr("expected a file that can be written"));
  EXPECT_EQ(contents(in_folder("y")), "mine");
}

TEST_F(OutputFileTest, MappedFiles) {
  const MappedFile file(put("x", std::string(100'000, 'a')));
  const std::string all(100'000, 'a');
  EXPECT_TRUE(std::ranges::equal(file.bytes(), testing::as_bytes(all)));
  for (const std::size_t first : {0, 1, 4095, 4096, 99'999, 100'000}) {
    file.release(first, 100'000 - first);
    EXPECT_TRUE(std::ranges::equal(file.bytes(), testing::as_bytes(all)));
  }
  EXPECT_TRUE(MappedFile(put("empty", "")).bytes().empty());
  EXPECT_THROW(MappedFile(folder_.path().string()), InputError);
  EXPECT_THROW(MappedFile("/dev/null"), InputError);
  EXPECT_THROW(MappedFile(in_folder("none")), InputError);
  fs::create_symlink("x", folder_ / "link");
  EXPECT_EQ(MappedFile(in_folder("link")).bytes().size(), 100'000U);
  EXPECT_THROW(MappedFile(in_folder("link"), false), InputError);
}

}  // namespace
}  // namespace zeropoint
