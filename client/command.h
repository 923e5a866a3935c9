// What the subcommands of `tern` share: how to reach the server, how to end.

#ifndef TERN_CLIENT_COMMAND_H_
#define TERN_CLIENT_COMMAND_H_

#include <google/protobuf/message.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/client.h"
#include "client/command_line.h"

namespace tern {

// The subcommands: each gets its own arguments, argv[0] being its name, prints
// answers to stdout and errors to stderr, a line each, and returns one of these
// exit codes, which scripts rely on.
enum ExitCode {
  kExitOk = 0,
  kExitFailed = 1,       // an input was refused or a call failed
  kExitUsage = 2,        // the command line is wrong
  kExitUnreachable = 3,  // UNAVAILABLE: no server there, or it shuts down
  kExitDeadline = 4,     // DEADLINE_EXCEEDED
};
int ClassifyCommand(int argc, char** argv);
int AnswerCommand(int argc, char** argv);
int EmbedCommand(int argc, char** argv);
int BenchCommand(int argc, char** argv);
int ModelsCommand(int argc, char** argv);
int HealthCommand(int argc, char** argv);
int RepositoryCommand(int argc, char** argv);
int LoadCommand(int argc, char** argv);
int UnloadCommand(int argc, char** argv);

// The options by which every subcommand reaches its server.
struct Connection {
  enum class Port { kInference, kAdmin };

  // TERN_SERVER in the environment, else 127.0.0.1:8500, or for the admin port
  // TERN_ADMIN_SERVER and 8501; likewise TERN_TLS_ROOT and so on, which the
  // help of AddTo's options names.
  explicit Connection(Port port = Port::kInference);

  void AddTo(CommandLine& line);
  absl::StatusOr<std::unique_ptr<Client>> Open() const;

  Port port;
  std::string server;
  ClientOptions options;
};

// Prints one line about a failed call and returns the exit code.
int FailedCall(const absl::Status& status, const Connection& connection);
// The same for a wrong command line.
int WrongUsage(const CommandLine& line, const absl::Status& status);
// kExitOk, or kExitFailed with a line where stdout could not take everything.
int EndOfOutput();

// A message as one line of JSON, camelCase, zeros included.
std::string ToJsonLine(const google::protobuf::Message& message);

// `text` fit for one line of a terminal: control characters become spaces.
std::string OneLine(absl::string_view text);

// Whether to colour what goes to stdout: a terminal, and NO_COLOR is not set.
bool ColourStdout();
// `text` bold if `colour`.
std::string Bold(absl::string_view text, bool colour);

}  // namespace tern

#endif  // TERN_CLIENT_COMMAND_H_
