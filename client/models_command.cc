// `tern models`

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/command.h"
#include "client/table.h"

namespace tern {
namespace {

constexpr char kDescription[] = R"(
Lists the served models.
)";

constexpr char kExamples[] = R"(  tern models
  tern models --json | jq -r .name
)";

// "TASK_SINGLE_LABEL_CLASSIFICATION" -> "single label classification"
std::string EnumWords(absl::string_view name, absl::string_view prefix) {
  std::string words = absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::vector<std::string> MakeRow(const v1::Model& model) {
  return {
      model.name(),
      model.version(),
      EnumWords(v1::Task_Name(model.task()), "TASK_"),
      EnumWords(v1::Precision_Name(model.precision()), "PRECISION_"),
      model.variant(),
      absl::StrFormat("%.1f M", model.parameters() / 1e6),
      absl::StrFormat("%.1f MB", model.file_bytes() / 1e6),
      absl::StrCat(model.layers(), " x ", model.hidden_size()),
      absl::StrCat(model.max_tokens()),
      absl::StrJoin(model.labels(), ","),
  };
}

}  // namespace

int ModelsCommand(int argc, char** argv) {
  Connection connection;
  bool json = false;
  CommandLine line("models", "", kDescription, kExamples);
  line.Add("json", "", "one JSON object a model: Model of tern.v1", &json);
  connection.AddTo(line);

  const absl::Status parsed = line.ParseOptions(argc, argv);
  if (!parsed.ok()) return WrongUsage(line, parsed);
  const auto client = connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());
  const auto response = (*client)->ListModels();
  if (!response.ok()) return FailedCall(response.status(), connection);
  if (json) {
    for (const v1::Model& model : response->models()) {
      std::puts(ToJsonLine(model).c_str());
    }
    return EndOfOutput();
  }
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "VERSION", "TASK", "PRECISION", "VARIANT", "PARAMETERS", "FILE",
       "LAYERS", "MAX TOKENS", "LABELS"}};
  for (const v1::Model& model : response->models()) {
    rows.push_back(MakeRow(model));
  }
  PrintTable(std::move(rows));
  return EndOfOutput();
}

}  // namespace tern
