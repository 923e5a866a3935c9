// The `tern` command: asks a tern-server from the shell.

#include <cstdio>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "client/command.h"

namespace {

constexpr char kHelp[] = R"(Usage: tern COMMAND [OPTION...] [ARGUMENT...]

Asks a tern-server. Commands:
  classify    label texts
  answer      find answers to questions in a text
  embed       turn texts into vectors
  bench       measure a server under load
  models      list the served models
  health      say whether the server takes requests
  repository  list a server's repository, refused models included
  load        load models of the repository
  unload      take models out of service

`tern COMMAND --help` tells more of each. `tern --version` prints the version.
The server is 127.0.0.1:8500, or $TERN_SERVER, or --server ADDRESS.

Examples:
  tern classify "a gripping film"
  tern classify --json < reviews.txt
  tern answer --context article.txt "Who won the match?"
)";

struct Command {
  absl::string_view name;
  int (*run)(int argc, char** argv);
};

constexpr Command kCommands[] = {
    {"classify", tern::ClassifyCommand},     {"answer", tern::AnswerCommand},
    {"embed", tern::EmbedCommand},           {"bench", tern::BenchCommand},
    {"models", tern::ModelsCommand},         {"health", tern::HealthCommand},
    {"repository", tern::RepositoryCommand}, {"load", tern::LoadCommand},
    {"unload", tern::UnloadCommand},
};

}  // namespace

int main(int argc, char** argv) {
  // Errors are ours to print, in one line; gRPC's log is for those who ask.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);

  const absl::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    std::fputs(kHelp, stdout);
    return tern::kExitOk;
  }
  if (name == "--version") {
    std::puts("tern " TERN_VERSION);
    return tern::kExitOk;
  }
  for (const Command& command : kCommands) {
    if (command.name == name) return command.run(argc - 1, argv + 1);
  }
  if (name.empty()) {
    std::fputs("tern: no command given; see `tern --help`\n", stderr);
  } else {
    std::fprintf(stderr, "tern: unknown command '%s'; see `tern --help`\n",
                 argv[1]);
  }
  return tern::kExitUsage;
}
