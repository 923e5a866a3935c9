// Runs the real `tern` binary against a server without models.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/client/fake_server.h"
#include "tests/client/run_command.h"

namespace tern {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class TernCommandTest : public ::testing::Test {
 protected:
  CommandResult Tern(std::vector<std::string> arguments,
                     const std::string& input = "") {
    arguments.insert(arguments.begin(), TERN_COMMAND);
    setenv("TERN_SERVER", server_.target().c_str(), 1);
    return RunCommand(arguments, input);
  }

  // Expects one line on stderr that holds `message`.
  static void ExpectError(const CommandResult& result, int exit_code,
                          const std::string& message) {
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.err, StartsWith("tern: "));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
        << result.err;
  }

  FakeServer server_;
};

TEST_F(TernCommandTest, LabelsEachArgumentInALineOfAlignedColumns) {
  const CommandResult result =
      Tern({"classify", "a gripping film", "two hours I will not get back"});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "short  15.0%  a gripping film\n"
            "long   29.0%  two hours I will not get back\n");
  EXPECT_THAT(result.err, IsEmpty());
}

TEST_F(TernCommandTest, ShowsLogitsPairsTruncationAndMoreLabels) {
  EXPECT_EQ(Tern({"classify", "--logits", "x"}).out,
            "short   1.0%  [0.1000]  x\n");
  EXPECT_EQ(Tern({"classify", "--pair", "one", "two"}).out,
            "short   6.0%  one | two\n");
  EXPECT_EQ(Tern({"classify", "--top-k", "2", "x"}).out,
            "short   1.0%  other   0.0%  x\n");
  const std::string text(201, 'x');
  EXPECT_EQ(Tern({"classify", text}).out,
            absl::StrCat("long  201.0%  ", text, "  (truncated)\n"));
}

TEST_F(TernCommandTest, PrintsAJsonObjectALine) {
  const CommandResult result = Tern({"classify", "--json", "x"});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            R"({"labels":[{"label":"short","score":0.01,"index":0},)"
            R"({"label":"other","score":0,"index":0}],)"
            R"("logits":[],"tokenCount":1,"truncated":false})"
            "\n");
}

TEST_F(TernCommandTest, PrintsAVectorALine) {
  const CommandResult result = Tern({"embed"}, "one\nthree\n");

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "[3,0.33333334,-1]\n[5,0.33333334,-1]\n");
  EXPECT_EQ(Tern({"embed", "--raw", "x"}).out, "[1,0.16666667,-0.5]\n");
  EXPECT_EQ(Tern({"embed", "--json", "x"}).out,
            R"({"vector":[1,0.333333343,-1],"tokenCount":1,"truncated":false})"
            "\n");
}

TEST_F(TernCommandTest, AnswersAThousandLinesInOrderSeveralCallsAtATime) {
  server_.DelayBy(absl::Milliseconds(10));
  std::string input, expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string text(1 + i % 20, 'x');
    absl::StrAppend(&input, text, "\n");
    absl::StrAppendFormat(&expected, "short %5.1f%%  %s\n",
                          static_cast<double>(text.size()), text);
  }

  const CommandResult result = Tern({"classify"}, input);

  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, expected);
  EXPECT_EQ(server_.max_inputs(), 32);
  EXPECT_GT(server_.max_concurrent_calls(), 1);
  EXPECT_LE(server_.max_concurrent_calls(), 4);
}

TEST_F(TernCommandTest, AnswersWhatStandsBeforeABadLine) {
  const CommandResult result = Tern({"classify"}, "one\ntwo\n\xFF\nfour\n");

  EXPECT_EQ(result.out, "short   3.0%  one\nshort   3.0%  two\n");
  ExpectError(result, 1, "line 3: text is not valid UTF-8 at byte 0 (0xFF)");
}

TEST_F(TernCommandTest, AnswersWhatStandsBeforeALineThatTheServerRefuses) {
  const CommandResult result =
      Tern({"classify"}, "one\ntwo\nrefuse me\nfour\n");

  EXPECT_EQ(result.out, "short   3.0%  one\nshort   3.0%  two\n");
  ExpectError(result, 1, "line 3: inputs[2].text: refused");
}

TEST_F(TernCommandTest, AnswersQuestions) {
  const std::string context = ::testing::TempDir() + "context";
  std::ofstream(context) << "Denver won.";

  const CommandResult result =
      Tern({"answer", "--context", context, "Who won?", "Who?"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "Who won?\n   75.0%  Denver\n   25.0%  (no answer)\n"
            "Who?\n   75.0%  Denver\n   25.0%  (no answer)\n");

  EXPECT_EQ(Tern({"answer", "--context", context}, "Who won?\n").out,
            "Who won?\n   75.0%  Denver\n   25.0%  (no answer)\n");
  EXPECT_THAT(
      Tern({"answer", "--json", "--context", "-", "Who?"}, "Broncos won.").out,
      StartsWith(R"({"answers":[{"text":"Broncos","score":0.75,)"));
  std::filesystem::remove(context);
}

TEST_F(TernCommandTest, ListsModels) {
  const CommandResult result = Tern({"models"});

  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
  EXPECT_THAT(lines[0], StartsWith("NAME  VERSION  TASK "));
  EXPECT_THAT(lines[1], HasSubstr("single label classification  ternary"));
  EXPECT_THAT(Tern({"models", "--json"}).out,
              StartsWith(R"({"name":"fake","version":"1",)"));
}

TEST_F(TernCommandTest, TellsHealthByItsExitCode) {
  CommandResult result = Tern({"health"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "SERVING\n");

  server_.SetServing(false);
  result = Tern({"health"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "NOT_SERVING\n");
}

TEST_F(TernCommandTest, WaitsForHealth) {
  server_.SetServing(false);
  std::thread starter([&] {
    absl::SleepFor(absl::Milliseconds(400));
    server_.SetServing(true);
  });

  const CommandResult result = Tern({"health", "--wait", "20s"});

  starter.join();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "SERVING\n");
}

TEST_F(TernCommandTest, SaysThatNoServerIsThere) {
  ExpectError(Tern({"classify", "--server", "127.0.0.1:1", "x"}), 3,
              "server 127.0.0.1:1 is not reachable (connection refused); is "
              "tern-server running?");
  ExpectError(Tern({"health", "--server", "127.0.0.1:1"}), 3,
              "is not reachable");
}

TEST_F(TernCommandTest, SaysWhatTheServerSaid) {
  ExpectError(Tern({"classify", "--model", "nosuch", "x"}), 1,
              "model 'nosuch' is not served");
  server_.FailNext(std::vector<Failure>(
      5, {grpc::StatusCode::UNAVAILABLE, "the server is shutting down", "1"}));
  ExpectError(Tern({"classify", "x"}), 3, "the server is shutting down");
}

TEST_F(TernCommandTest, SaysThatTheDeadlinePassed) {
  server_.DelayBy(absl::Seconds(20));

  ExpectError(Tern({"classify", "--deadline", "200ms", "x"}), 4,
              "within 200ms (--deadline)");
}

TEST_F(TernCommandTest, NamesBadInputBeforeSendingIt) {
  ExpectError(Tern({"classify", ""}), 1, "argument 1: text is empty");
  ExpectError(Tern({"classify", "--pair", "x"}), 1, "texts come in twos");
  ExpectError(Tern({"answer", "--context", "/nonexistent", "Who?"}), 1,
              "file '/nonexistent' cannot be read: No such file");
  ExpectError(Tern({"answer", "--context", "/", "Who?"}), 1,
              "file '/' cannot be read: Is a directory");
  EXPECT_THAT(server_.call_times(), IsEmpty());
}

TEST_F(TernCommandTest, NamesAWrongCommandLine) {
  ExpectError(Tern({}), 2, "no command given");
  ExpectError(Tern({"clasify", "x"}), 2, "unknown command 'clasify'");
  ExpectError(Tern({"classify", "--nope"}), 2, "unknown option '--nope'");
  ExpectError(Tern({"classify", "-x"}), 2, "unknown option '-x'");
  ExpectError(Tern({"classify", "--model"}), 2,
              "option '--model' needs a value");
  ExpectError(Tern({"classify", "--json=yes", "x"}), 2,
              "option '--json=yes' takes no value");
  ExpectError(Tern({"classify", "--top-k", "many", "x"}), 2,
              "option '--top-k' takes a whole number, not 'many'");
  ExpectError(Tern({"classify", "--deadline", "30", "x"}), 2,
              "option '--deadline' takes a duration");
  ExpectError(Tern({"answer", "Who?"}), 2, "option '--context' is missing");
  ExpectError(Tern({"answer", "--context", "-"}), 2, "a QUESTION is needed");
  ExpectError(Tern({"models", "fake"}), 2, "unexpected argument 'fake'");
  ExpectError(Tern({"health", "--server="}), 2, "address is empty");
}

TEST_F(TernCommandTest, TakesATextThatLooksLikeAnOption) {
  EXPECT_EQ(Tern({"classify", "--", "--json"}).out, "short   6.0%  --json\n");
}

TEST_F(TernCommandTest, ExplainsItself) {
  EXPECT_THAT(Tern({"--help"}).out, StartsWith("Usage: tern COMMAND"));
  for (const char* command :
       {"classify", "answer", "embed", "models", "health"}) {
    const CommandResult result = Tern({command, "--help"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.out, StartsWith(absl::StrCat("Usage: tern ", command)));
    EXPECT_THAT(result.out, HasSubstr("Examples:\n  "));
    EXPECT_THAT(result.out, HasSubstr("Exit codes:\n"));
  }
}

TEST_F(TernCommandTest, FailsWhereTheAnswersCannotBeWritten) {
  const CommandResult result =
      RunCommand({"/bin/sh", "-c",
                  absl::StrCat(TERN_COMMAND, " classify --server ",
                               server_.target(), " x > /dev/full")},
                 "");

  ExpectError(result, 1, "cannot write the answers: No space left");
}

}  // namespace
}  // namespace tern
