// `tern embed`

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <string>

#include "client/bulk_calls.h"
#include "client/command.h"
#include "client/text_source.h"

namespace tern {
namespace {

constexpr char kDescription[] = R"(
Turns each TEXT into a vector with a served embedding model and prints it as a
JSON array, a line a text. Without a TEXT, reads stdin, one text a line, and
answers line by line, in order.
)";

constexpr char kExamples[] =
    R"(  tern embed "a gripping film"
  tern embed < sentences.txt > vectors.jsonl
  tern embed --json < sentences.txt | jq .tokenCount
)";

struct Flags {
  Connection connection;
  std::string model;
  std::string version;
  bool raw = false;
  bool json = false;
  bool refuse_long = false;
};

// "[0.25,-1]"; each number with as many digits as make it that float again.
std::string VectorLine(const v1::EmbedResult& result) {
  std::string line = "[";
  for (const float value : result.vector()) {
    std::array<char, 32> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), value);
    if (line.size() > 1) line += ',';
    line.append(digits.data(), end.ptr);
  }
  return line + "]";
}

v1::EmbedRequest MakeRequest(const Flags& flags) {
  v1::EmbedRequest request;
  request.set_model(flags.model);
  request.set_version(flags.version);
  if (flags.raw) request.set_normalize(false);
  if (flags.refuse_long) request.set_truncation(v1::TRUNCATION_REFUSE);
  return request;
}

absl::Status Embed(const Client& client, const Flags& flags,
                   TextSource& source) {
  BulkCalls<v1::EmbedRequest, v1::EmbedResponse> calls({
      .request = MakeRequest(flags),
      .add_input =
          [](const Text& text, v1::EmbedRequest& request) {
            request.add_inputs()->set_text(text.text);
          },
      .call = [&](const auto& request) { return client.Embed(request); },
      .deliver = [&](const auto&, const auto& response) -> absl::Status {
        for (const v1::EmbedResult& result : response.results()) {
          const std::string line =
              flags.json ? ToJsonLine(result) : VectorLine(result);
          std::puts(line.c_str());
        }
        std::fflush(stdout);
        return absl::OkStatus();
      },
  });
  return calls.Run(source);
}

}  // namespace

int EmbedCommand(int argc, char** argv) {
  Flags flags;
  CommandLine line("embed", "[TEXT...]", kDescription, kExamples);
  line.Add("raw", "", "do not scale the vectors to length 1", &flags.raw);
  line.Add("json", "", "one JSON object a text: EmbedResult of tern.v1",
           &flags.json);
  line.Add("refuse-long", "",
           "fail for a text longer than the model takes; otherwise it is cut",
           &flags.refuse_long);
  line.Add("model", "NAME", "served model (default: the only embedding model)",
           &flags.model);
  line.Add("model-version", "VERSION", "its version (default: the newest)",
           &flags.version);
  flags.connection.AddTo(line);

  auto texts = line.Parse(argc, argv);
  if (!texts.ok()) return WrongUsage(line, texts.status());
  auto client = flags.connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());

  TextSource source(*std::move(texts), STDIN_FILENO, /*pairs=*/false);
  const absl::Status status = Embed(**client, flags, source);
  if (!status.ok()) return FailedCall(status, flags.connection);
  return EndOfOutput();
}

}  // namespace tern
