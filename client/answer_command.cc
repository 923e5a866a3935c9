// `tern answer`

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/bulk_calls.h"
#include "client/command.h"
#include "client/read_file.h"
#include "client/text_source.h"

namespace tern {
namespace {

constexpr char kDescription[] = R"(
Finds the answer to each QUESTION in a text. Without a QUESTION, reads stdin,
one question a line, and answers line by line, in order.
)";

constexpr char kExamples[] =
    R"(  tern answer --context article.txt "Who won the match?"
  curl -s https://example.org/page.txt | tern answer --context - "Who won?"
  tern answer --context article.txt --n-best 3 --json < questions.txt
)";

struct Flags {
  Connection connection;
  std::string model;
  std::string version;
  std::string context_file;
  int n_best = 1;
  int max_answer_tokens = 0;  // 0: the server's default, as for the next two
  int max_window_tokens = 0;
  int doc_stride = 0;
  bool json = false;
};

absl::StatusOr<std::string> ReadContext(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text;
  const absl::Status status =
      CheckText(absl::StrCat("context '", path, "'"), *text);
  if (!status.ok()) return status;
  return text;
}

// Prints a result for people: the question, then a line an answer.
void PrintLines(const Text& question, const v1::AnswerResult& result) {
  std::string lines = absl::StrCat(OneLine(question.text), "\n");
  const bool colour = ColourStdout();
  for (int i = 0; i < result.answers_size(); ++i) {
    const v1::AnswerSpan& span = result.answers(i);
    absl::StrAppendFormat(&lines, "  %5.1f%%  %s\n", 100 * span.score(),
                          Bold(OneLine(span.text()), colour && i == 0));
  }
  absl::StrAppendFormat(&lines, "  %5.1f%%  (no answer)\n",
                        100 * result.no_answer_score());
  std::fputs(lines.c_str(), stdout);
}

absl::Status Answer(const Client& client, const Flags& flags,
                    const std::string& context, TextSource& source) {
  v1::AnswerRequest request;
  request.set_model(flags.model);
  request.set_version(flags.version);
  request.set_n_best(flags.n_best);
  request.set_max_answer_tokens(flags.max_answer_tokens);
  request.set_max_window_tokens(flags.max_window_tokens);
  request.set_doc_stride(flags.doc_stride);
  BulkCalls<v1::AnswerRequest, v1::AnswerResponse> calls({
      .request = request,
      .add_input =
          [&](const Text& question, v1::AnswerRequest& request) {
            v1::QuestionInput& input = *request.add_inputs();
            input.set_question(question.text);
            input.set_context(context);
          },
      .call = [&](const auto& request) { return client.Answer(request); },
      .deliver =
          [&](const auto& questions, const auto& response) {
            for (size_t i = 0; i < questions.size(); ++i) {
              const v1::AnswerResult& result =
                  response.results(static_cast<int>(i));
              if (flags.json) {
                std::puts(ToJsonLine(result).c_str());
              } else {
                PrintLines(questions[i], result);
              }
            }
            std::fflush(stdout);
            return absl::OkStatus();
          },
  });
  return calls.Run(source);
}

}  // namespace

int AnswerCommand(int argc, char** argv) {
  Flags flags;
  CommandLine line("answer", "--context FILE [QUESTION...]", kDescription,
                   kExamples);
  line.Add("context", "FILE", "the text to find answers in; - for stdin",
           &flags.context_file);
  line.Add("n-best", "N", "answers to each question, best first (default: 1)",
           &flags.n_best);
  line.Add("json", "", "one JSON object a question: AnswerResult of tern.v1",
           &flags.json);
  line.Add("max-answer-tokens", "N", "longest answer (default: 30)",
           &flags.max_answer_tokens);
  line.Add("max-window-tokens", "N",
           "a long text is read in windows of at most N tokens (default: 384)",
           &flags.max_window_tokens);
  line.Add("doc-stride", "N", "tokens by which windows overlap (default: 128)",
           &flags.doc_stride);
  line.Add("model", "NAME", "served model (default: the only one for answers)",
           &flags.model);
  line.Add("model-version", "VERSION", "its version (default: the newest)",
           &flags.version);
  flags.connection.AddTo(line);

  auto questions = line.Parse(argc, argv);
  if (!questions.ok()) return WrongUsage(line, questions.status());
  if (flags.context_file.empty()) {
    return WrongUsage(
        line, absl::InvalidArgumentError("option '--context' is missing"));
  }
  if (flags.context_file == "-" && questions->empty()) {
    return WrongUsage(line, absl::InvalidArgumentError(
                                "the context comes from stdin, so a QUESTION "
                                "is needed as an argument"));
  }
  auto client = flags.connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());
  const absl::StatusOr<std::string> context = ReadContext(flags.context_file);
  if (!context.ok()) return FailedCall(context.status(), flags.connection);

  TextSource source(*std::move(questions), STDIN_FILENO, /*pairs=*/false);
  const absl::Status status = Answer(**client, flags, *context, source);
  if (!status.ok()) return FailedCall(status, flags.connection);
  return EndOfOutput();
}

}  // namespace tern
