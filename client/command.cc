#include "client/command.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

void PrintError(absl::string_view message) {
  // What was answered before stands before the error, on a terminal as well.
  std::fflush(stdout);
  std::fputs(absl::StrCat("tern: ", OneLine(message), "\n").c_str(), stderr);
}

std::string EnvironmentOr(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

const char* ServerVariable(Connection::Port port) {
  return port == Connection::Port::kAdmin ? "TERN_ADMIN_SERVER" : "TERN_SERVER";
}

const char* DefaultServer(Connection::Port port) {
  return port == Connection::Port::kAdmin ? "127.0.0.1:8501" : "127.0.0.1:8500";
}

}  // namespace

Connection::Connection(Port port)
    : port(port),
      server(EnvironmentOr(ServerVariable(port), DefaultServer(port))) {
  options.user_agent = "tern-command/" TERN_VERSION;
  options.tls_root_file = EnvironmentOr("TERN_TLS_ROOT", "");
  options.tls_certificate_file = EnvironmentOr("TERN_TLS_CERTIFICATE", "");
  options.tls_key_file = EnvironmentOr("TERN_TLS_KEY", "");
  options.tls_server_name = EnvironmentOr("TERN_TLS_SERVER_NAME", "");
  options.token_file = EnvironmentOr("TERN_TOKEN_FILE", "");
}

void Connection::AddTo(CommandLine& line) {
  line.Add(
      "server", "ADDRESS",
      absl::StrCat("host:port or another gRPC name (default: $",
                   ServerVariable(port), ", else ", DefaultServer(port), ")"),
      &server);
  line.Add("deadline", "DURATION",
           absl::StrCat("for each call, retries included (default: ",
                        absl::FormatDuration(options.deadline), ")"),
           &options.deadline);
  line.Add("tls", "", "use TLS, trusting the system's certificates",
           &options.tls);
  line.Add("tls-root", "FILE",
           "use TLS, trusting these certificates (PEM; $TERN_TLS_ROOT)",
           &options.tls_root_file);
  line.Add("tls-certificate", "FILE",
           "this client's certificate chain (PEM; $TERN_TLS_CERTIFICATE)",
           &options.tls_certificate_file);
  line.Add("tls-key", "FILE", "this client's key (PEM; $TERN_TLS_KEY)",
           &options.tls_key_file);
  line.Add("tls-server-name", "NAME",
           "the name in the server's certificate (default: "
           "$TERN_TLS_SERVER_NAME, else the one in ADDRESS)",
           &options.tls_server_name);
  line.Add("token-file", "FILE",
           "send the token in this file with each call ($TERN_TOKEN_FILE)",
           &options.token_file);
  line.Add("insecure-token", "", "send it without TLS, too",
           &options.insecure_token);
}

absl::StatusOr<std::unique_ptr<Client>> Connection::Open() const {
  return Client::Create(server, options);
}

int FailedCall(const absl::Status& status, const Connection& connection) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      PrintError(absl::StrCat(
          status.message(),
          IsUnreachable(status) ? "; is tern-server running?" : ""));
      return kExitUnreachable;
    case absl::StatusCode::kDeadlineExceeded:
      PrintError(absl::StrCat("no answer from ", connection.server, " within ",
                              absl::FormatDuration(connection.options.deadline),
                              " (--deadline): ", status.message()));
      return kExitDeadline;
    case absl::StatusCode::kUnimplemented:
      PrintError(absl::StrCat("server ", connection.server,
                              connection.port == Connection::Port::kAdmin
                                  ? " has no model repository there ("
                                  : " does not serve tern.v1 (",
                              status.message(), ")"));
      return kExitFailed;
    default:
      PrintError(status.message());
      return kExitFailed;
  }
}

int WrongUsage(const CommandLine& line, const absl::Status& status) {
  PrintError(
      absl::StrCat(status.message(), "; see `tern ", line.name(), " --help`"));
  return kExitUsage;
}

int EndOfOutput() {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return kExitOk;
  PrintError(absl::StrCat("cannot write the answers: ", std::strerror(errno)));
  return kExitFailed;
}

std::string ToJsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  // Cannot fail: the message came off the wire, so its strings are UTF-8.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

std::string OneLine(absl::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return line;
}

bool ColourStdout() {
  return isatty(STDOUT_FILENO) && EnvironmentOr("NO_COLOR", "").empty();
}

std::string Bold(absl::string_view text, bool colour) {
  return colour ? absl::StrCat("\033[1m", text, "\033[0m") : std::string(text);
}

}  // namespace tern
