// `tern classify`

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/bulk_calls.h"
#include "client/command.h"
#include "client/text_source.h"

namespace tern {
namespace {

constexpr char kDescription[] = R"(
Labels each TEXT with a served classifier. Without a TEXT, reads stdin, one text
a line, and answers line by line, in order.
)";

constexpr char kExamples[] =
    R"(  tern classify "a gripping film" "two hours I will not get back"
  tern classify --pair "A man is eating." "Someone eats."
  tern classify < reviews.txt > labels.txt
  tern classify --json --top-k 1 < reviews.txt | jq -r '.labels[0].label'
)";

struct Flags {
  Connection connection;
  std::string model;
  std::string version;
  std::optional<int> top_k;
  bool pair = false;
  bool logits = false;
  bool json = false;
  bool refuse_long = false;
};

// Prints results for people, a line a text, e.g.
//   positive  99.8%  a gripping film
class Lines {
 public:
  explicit Lines(const v1::Model& model)
      : regression_(model.task() == v1::TASK_REGRESSION),
        colour_(ColourStdout()) {
    for (const std::string& label : model.labels()) {
      label_width_ = std::max(label_width_, OneLine(label).size());
    }
  }

  void Print(const Text& text, const v1::ClassifyResult& result) const {
    std::string line;
    for (int i = 0; i < result.labels_size(); ++i) {
      const v1::Label& label = result.labels(i);
      const std::string name =
          absl::StrFormat("%-*s", label_width_, OneLine(label.label()));
      const std::string score =
          regression_ ? absl::StrFormat("%9.4f", label.score())
                      : absl::StrFormat("%5.1f%%", 100 * label.score());
      absl::StrAppend(&line, Bold(name, colour_ && i == 0), " ", score, "  ");
    }
    if (result.logits_size() > 0) {
      std::string logits;
      for (const float logit : result.logits()) {
        absl::StrAppendFormat(&logits, "%s%.4f", logits.empty() ? "" : " ",
                              logit);
      }
      absl::StrAppend(&line, "[", logits, "]  ");
    }
    absl::StrAppend(&line, OneLine(text.text));
    if (text.pair.has_value())
      absl::StrAppend(&line, " | ", OneLine(*text.pair));
    if (result.truncated()) absl::StrAppend(&line, "  (truncated)");
    absl::StrAppend(&line, "\n");
    std::fputs(line.c_str(), stdout);
  }

 private:
  const bool regression_;
  const bool colour_;
  size_t label_width_ = 0;
};

v1::ClassifyRequest MakeRequest(const Flags& flags) {
  v1::ClassifyRequest request;
  request.set_model(flags.model);
  request.set_version(flags.version);
  request.set_return_logits(flags.logits);
  // People want the answer, programs want everything.
  request.set_top_k(flags.top_k.value_or(flags.json ? 0 : 1));
  if (flags.refuse_long) request.set_truncation(v1::TRUNCATION_REFUSE);
  return request;
}

absl::Status Classify(const Client& client, const Flags& flags,
                      TextSource& source) {
  std::optional<Lines>
      lines;  // from the first response on, which names a model
  BulkCalls<v1::ClassifyRequest, v1::ClassifyResponse> calls({
      .request = MakeRequest(flags),
      .add_input =
          [](const Text& text, v1::ClassifyRequest& request) {
            v1::TextInput& input = *request.add_inputs();
            input.set_text(text.text);
            if (text.pair.has_value()) input.set_text_pair(*text.pair);
          },
      .call = [&](const auto& request) { return client.Classify(request); },
      .deliver = [&](const auto& texts, const auto& response) -> absl::Status {
        if (!flags.json && !lines.has_value()) {
          auto model = client.GetModel(response.model(), response.version());
          if (!model.ok()) return model.status();
          lines.emplace(model->model());
        }
        for (size_t i = 0; i < texts.size(); ++i) {
          const v1::ClassifyResult& result =
              response.results(static_cast<int>(i));
          if (flags.json) {
            std::puts(ToJsonLine(result).c_str());
          } else {
            lines->Print(texts[i], result);
          }
        }
        std::fflush(stdout);
        return absl::OkStatus();
      },
  });
  return calls.Run(source);
}

}  // namespace

int ClassifyCommand(int argc, char** argv) {
  Flags flags;
  CommandLine line("classify", "[TEXT...]", kDescription, kExamples);
  line.Add("pair", "",
           "texts come in pairs: two arguments each, or a line with a tab "
           "between",
           &flags.pair);
  line.Add("top-k", "N",
           "labels of each text, best first; 0 for all (default: 1, with "
           "--json 0)",
           &flags.top_k);
  line.Add("logits", "", "print the raw logits, too", &flags.logits);
  line.Add("json", "", "one JSON object a text: ClassifyResult of tern.v1",
           &flags.json);
  line.Add("refuse-long", "",
           "fail for a text longer than the model takes; otherwise it is cut",
           &flags.refuse_long);
  line.Add("model", "NAME", "served model (default: the only classifier)",
           &flags.model);
  line.Add("model-version", "VERSION", "its version (default: the newest)",
           &flags.version);
  flags.connection.AddTo(line);

  auto texts = line.Parse(argc, argv);
  if (!texts.ok()) return WrongUsage(line, texts.status());
  auto client = flags.connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());

  TextSource source(*std::move(texts), STDIN_FILENO, flags.pair);
  const absl::Status status = Classify(**client, flags, source);
  if (!status.ok()) return FailedCall(status, flags.connection);
  return EndOfOutput();
}

}  // namespace tern
