// `tern repository`, `tern load` and `tern unload`

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/table.h"
#include "nlohmann/json.hpp"

namespace tern {
namespace {

constexpr char kRepositoryDescription[] = R"(
Lists the models of a server's repository, the refused versions with the reason.
Asks the admin port (tern-server --model-repository --admin-listen).
)";

constexpr char kRepositoryExamples[] = R"(  tern repository
  tern repository --json | jq -r 'select(.state != "READY")'
)";

constexpr char kLoadDescription[] = R"(
Loads models of a server's repository at once: versions that are new, changed or
refused, and models that were unloaded. Ends when they are served, or says why
they are not; what was served before then stays. Asks the admin port.
)";

constexpr char kLoadExamples[] = R"(  tern load sst2
  tern load --deadline 10m sst2 squad
)";

constexpr char kUnloadDescription[] = R"(
Takes models out of service until they are loaded by name. Calls that were
accepted are answered. Asks the admin port.
)";

constexpr char kUnloadExamples[] = R"(  tern unload sst2
)";

std::string ToJsonLine(const RepositoryEntry& entry) {
  const nlohmann::ordered_json json = {{"name", entry.name},
                                       {"version", entry.version},
                                       {"state", entry.state},
                                       {"reason", entry.reason}};
  return json.dump();
}

// Under full load a model is loaded at low priority.
constexpr absl::Duration kLoadDeadline = absl::Minutes(5);

// A command that does one thing to each model named.
struct Action {
  const char* name;
  const char* done;  // "loaded"
  const char* description;
  const char* examples;
  absl::Status (Client::*call)(absl::string_view model) const;
};

int Run(const Action& action, int argc, char** argv) {
  Connection connection(Connection::Port::kAdmin);
  connection.options.deadline = kLoadDeadline;
  CommandLine line(action.name, "MODEL...", action.description,
                   action.examples);
  connection.AddTo(line);

  const auto models = line.Parse(argc, argv);
  if (!models.ok()) return WrongUsage(line, models.status());
  if (models->empty()) {
    return WrongUsage(line, absl::InvalidArgumentError("no model is named"));
  }
  const auto client = connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());
  for (const std::string& model : *models) {
    const absl::Status status = ((**client).*action.call)(model);
    if (!status.ok()) return FailedCall(status, connection);
    std::puts(absl::StrCat(action.done, " ", OneLine(model)).c_str());
  }
  return EndOfOutput();
}

}  // namespace

int RepositoryCommand(int argc, char** argv) {
  Connection connection(Connection::Port::kAdmin);
  bool json = false;
  CommandLine line("repository", "", kRepositoryDescription,
                   kRepositoryExamples);
  line.Add("json", "", "one JSON object a version", &json);
  connection.AddTo(line);

  const absl::Status parsed = line.ParseOptions(argc, argv);
  if (!parsed.ok()) return WrongUsage(line, parsed);
  const auto client = connection.Open();
  if (!client.ok()) return WrongUsage(line, client.status());
  const auto entries = (*client)->RepositoryIndex();
  if (!entries.ok()) return FailedCall(entries.status(), connection);
  if (json) {
    for (const RepositoryEntry& entry : *entries) {
      std::puts(ToJsonLine(entry).c_str());
    }
    return EndOfOutput();
  }
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "VERSION", "STATE", "REASON"}};
  for (const RepositoryEntry& entry : *entries) {
    rows.push_back({entry.name, entry.version, entry.state, entry.reason});
  }
  PrintTable(std::move(rows));
  return EndOfOutput();
}

int LoadCommand(int argc, char** argv) {
  return Run(
      {"load", "loaded", kLoadDescription, kLoadExamples, &Client::LoadModel},
      argc, argv);
}

int UnloadCommand(int argc, char** argv) {
  return Run({"unload", "unloaded", kUnloadDescription, kUnloadExamples,
              &Client::UnloadModel},
             argc, argv);
}

}  // namespace tern
