#include "server/options.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "flags/effective_cores.h"
#include "flags/program_flags.h"
#include "model/engine.h"

ABSL_FLAG(std::string, model, "",
          "A model to serve: name=folder[,precision=fp32|int8|ternary]"
          "[,version=V]. Folder is a Hugging Face folder; precision is by "
          "default ternary for a ternary folder, else fp32. Repeat the flag "
          "for more models.");
ABSL_FLAG(std::string, models_dir, "",
          "Serve every folder in this one that has a config.json, under its "
          "own name.");
ABSL_FLAG(std::string, model_repository, "",
          "Serve the models in this folder, NAME/VERSION/ with versions 1, 2, "
          "..., and follow it: load what comes, unload what goes.");
ABSL_FLAG(absl::Duration, repository_poll, absl::Seconds(2),
          "Time between two looks at --model-repository, 10ms to 1h; 0s: none "
          "after the start.");
ABSL_FLAG(bool, verify_checksums, true,
          "Check the SHA-256 of each tensor of a ternary folder at load.");
ABSL_FLAG(std::string, listen, "127.0.0.1:8500",
          "Host and port of gRPC; port 0 is any free one.");
ABSL_FLAG(std::string, metrics_listen, "127.0.0.1:9464",
          "Host and port of /metrics for Prometheus; port 0 is any free one, "
          "empty switches it off.");
ABSL_FLAG(std::string, http_listen, "",
          "Host and port of HTTP/JSON and of the web page; port 0 is any free "
          "one, empty switches it off.");
ABSL_FLAG(std::string, admin_listen, "",
          "With --model-repository: host and port of gRPC for loading and "
          "unloading models; an address of the loopback. TLS and tokens, of "
          "scope admin, hold here too. Port 0 is any free one, empty switches "
          "it off.");
ABSL_FLAG(std::string, tls_certificate, "",
          "Certificate chain in PEM with which gRPC speaks TLS; read again "
          "when it changes, like the next two.");
ABSL_FLAG(std::string, tls_key, "", "The certificate's key in PEM.");
ABSL_FLAG(std::string, tls_client_ca, "",
          "Authorities in PEM from one of which every client needs a "
          "certificate (mutual TLS).");
ABSL_FLAG(std::string, tokens_file, "",
          "File of bearer tokens, a line each, with their scopes after a "
          "space: inference,admin,metrics. Calls then need one; read again "
          "when it changes.");
ABSL_FLAG(bool, insecure, false,
          "Lets others than this machine reach the server without TLS.");
ABSL_FLAG(int, max_message_bytes, 4 << 20,
          "Longest request, in bytes, 1024 to 1073741824.");
ABSL_FLAG(int, max_inputs, 1024, "Most inputs of a call, 1 to 1000000.");
ABSL_FLAG(int, workers, 0,
          "Batches that run at the same time, 1 to 1024; 0 for one per core "
          "(of the affinity mask and the cgroup's CPU quota).");
ABSL_FLAG(int, threads, 0,
          "Most threads of a batch that runs alone, 1 to 1024; 0 for all "
          "cores. Workers together never run more threads than cores.");
ABSL_FLAG(int, max_batch_tokens, 1024,
          "Most tokens of a batch, 1 to 1048576; a longer sequence runs "
          "alone.");
ABSL_FLAG(int, max_waiting_requests, 1024,
          "Requests that may wait for a worker, 1 to 1000000; more are refused "
          "with RESOURCE_EXHAUSTED.");
ABSL_FLAG(int64_t, max_waiting_tokens, 1 << 18,
          "Tokens that may wait for a worker, 1 to 1000000000; more are "
          "refused with RESOURCE_EXHAUSTED.");
ABSL_FLAG(int64_t, max_waiting_bytes, 256 << 20,
          "Memory, in bytes, of the requests that wait, 1 to 1099511627776; "
          "more are refused with RESOURCE_EXHAUSTED.");
ABSL_FLAG(std::string, tenant_key, "",
          "Metadata key of calls, e.g. x-tenant, whose value tells tenants "
          "apart; they share the server equally. Calls without it are one "
          "tenant. Empty: all calls are.");
ABSL_FLAG(double, tenant_share, 0.5,
          "With --tenant-key: of the room that other tenants leave in the "
          "queue, the part that one may fill, 0.01 to 1.");
ABSL_FLAG(int64_t, tenant_tokens_per_second, 0,
          "With --tenant-key: tokens a second that each tenant may send in the "
          "long run, 0 to 1000000000; 0 for any number. A tenant past it is "
          "refused with RESOURCE_EXHAUSTED.");
ABSL_FLAG(std::string, tenant_quotas, "",
          "Tenants that have another quota, as name=tokens,name=tokens.");
ABSL_FLAG(
    bool, load_reports, false,
    "Sends an ORCA load report in the trailers of each call, for balancers "
    "that weigh servers by it.");
ABSL_FLAG(absl::Duration, stuck_after, absl::Minutes(1),
          "Time after which a worker that works on one batch is stuck, 1s to "
          "1h: health says NOT_SERVING and tern_stuck_workers counts it.");
ABSL_FLAG(absl::Duration, max_connection_age, absl::Hours(1),
          "Age at which a connection is told to go away, 1s to 240h, 10 % more "
          "or less, so that clients spread over servers that came later.");
ABSL_FLAG(absl::Duration, lame_duck, absl::Milliseconds(500),
          "On SIGTERM, time to keep taking requests while health says "
          "NOT_SERVING, 0s to 1h, so that load balancers notice.");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(30),
          "Time for accepted requests to end after that, 0s to 1h; then they "
          "are cancelled.");
ABSL_FLAG(std::string, log_format, "text", "text or json.");
ABSL_FLAG(std::string, log_level, "info", "debug, info, warning or error.");
ABSL_FLAG(std::string, log_calls, "none",
          "Calls that get a line in the log, with the trace id that their "
          "traceparent brought: none, slow, failed (slow ones, too) or all.");
ABSL_FLAG(absl::Duration, slow_call, absl::Seconds(1),
          "Time that makes a call slow for --log-calls, 0s to 1h.");

namespace tern {
namespace {

constexpr int64_t kMostTokensPerSecond = 1000000000;

// The flags above.
ProgramFlags OurFlags() { return ProgramFlags("max_batch_tokens"); }

absl::Status ReadModels(const ParsedFlags& parsed, Options& options) {
  for (const auto& [flag, value] : parsed.flags) {
    if (flag != "model") continue;
    absl::StatusOr<ModelSource> source = ParseModelSource(value);
    if (!source.ok()) return source.status();
    options.models.push_back(*std::move(source));
  }
  return absl::OkStatus();
}

absl::Status AddModelsIn(const std::string& folder, Options& options) {
  std::error_code error;
  std::set<std::string> names;
  for (std::filesystem::directory_iterator entry(folder, error), end;
       !error && entry != end; entry.increment(error)) {
    if (std::filesystem::exists(entry->path() / "config.json", error)) {
      names.insert(entry->path().filename());
    }
  }
  if (error) {
    return BadFlag("models-dir", "a readable folder",
                   absl::StrCat(folder, ": ", error.message()));
  }
  if (names.empty()) {
    return BadFlag("models-dir", "folders with a config.json in it", folder);
  }
  for (const std::string& name : names) {
    ModelSource source;
    source.name = name;
    source.folder = std::filesystem::path(folder) / name;
    options.models.push_back(std::move(source));
  }
  return absl::OkStatus();
}

absl::Status CheckModels(const Options& options) {
  if (options.models.empty() && options.model_repository.empty()) {
    return absl::InvalidArgumentError(
        "--model: expected at least one name=folder (or --models-dir or "
        "--model-repository), found none");
  }
  std::set<std::pair<std::string, std::string>> seen;
  for (const ModelSource& model : options.models) {
    if (!seen.emplace(model.name, model.version).second) {
      return BadFlag(
          "model", "different names or versions",
          absl::StrCat(model.name, "' twice in version '", model.version));
    }
  }
  return absl::OkStatus();
}

template <typename T>
std::string ToText(T value) {
  return absl::StrCat(value);
}
std::string ToText(absl::Duration value) { return absl::FormatDuration(value); }

template <typename T>
absl::Status CheckRange(const absl::Flag<T>& flag, T least, T most) {
  const T value = absl::GetFlag(flag);
  if (least <= value && value <= most) return absl::OkStatus();
  return BadFlag(Dashed(absl::GetFlagReflectionHandle(flag).Name()),
                 absl::StrCat(ToText(least), " to ", ToText(most)),
                 ToText(value));
}

absl::Status CheckRanges() {
  for (const absl::Status& status :
       {CheckRange(FLAGS_max_message_bytes, 1024, 1 << 30),
        CheckRange(FLAGS_max_inputs, 1, 1000000),
        CheckRange(FLAGS_workers, 0, 1024), CheckRange(FLAGS_threads, 0, 1024),
        CheckRange(FLAGS_max_batch_tokens, 1, 1 << 20),
        CheckRange(FLAGS_max_waiting_requests, 1, 1000000),
        CheckRange<int64_t>(FLAGS_max_waiting_tokens, 1, 1000000000),
        CheckRange<int64_t>(FLAGS_max_waiting_bytes, 1, int64_t{1} << 40),
        CheckRange(FLAGS_tenant_share, 0.01, 1.0),
        CheckRange<int64_t>(FLAGS_tenant_tokens_per_second, 0,
                            kMostTokensPerSecond),
        CheckRange(FLAGS_stuck_after, absl::Seconds(1), absl::Hours(1)),
        CheckRange(FLAGS_repository_poll,
                   absl::GetFlag(FLAGS_repository_poll) == absl::ZeroDuration()
                       ? absl::ZeroDuration()
                       : absl::Milliseconds(10),
                   absl::Hours(1)),
        CheckRange(FLAGS_max_connection_age, absl::Seconds(1),
                   absl::Hours(240)),
        CheckRange(FLAGS_lame_duck, absl::ZeroDuration(), absl::Hours(1)),
        CheckRange(FLAGS_drain_timeout, absl::ZeroDuration(), absl::Hours(1)),
        CheckRange(FLAGS_slow_call, absl::ZeroDuration(), absl::Hours(1))}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckAddress(absl::string_view flag, absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > std::numeric_limits<uint16_t>::max()) {
    return BadFlag(flag, "host:port", address);
  }
  return absl::OkStatus();
}

bool IsLoopback(absl::string_view address) {
  std::string host(address.substr(0, address.rfind(':')));
  if (host == "localhost") return true;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    in6_addr ipv6;
    return inet_pton(AF_INET6, host.c_str(), &ipv6) == 1 &&
           IN6_IS_ADDR_LOOPBACK(&ipv6);
  }
  in_addr ipv4;
  return inet_pton(AF_INET, host.c_str(), &ipv4) == 1 &&
         ntohl(ipv4.s_addr) >> 24 == IN_LOOPBACKNET;
}

absl::Status CheckAdminAddress(const Options& options) {
  const std::string& address = options.admin_listen;
  if (options.model_repository.empty()) {
    return BadFlag("admin-listen", "--model-repository beside it", "");
  }
  if (!IsLoopback(address)) {
    return BadFlag("admin-listen", "an address of this machine's loopback",
                   address);
  }
  return CheckAddress("admin-listen", address);
}

// What goes out of this machine is encrypted, or --insecure says otherwise.
absl::Status CheckPlaintext(const Options& options) {
  if (absl::GetFlag(FLAGS_insecure)) return absl::OkStatus();
  if (options.tls.empty() && !IsLoopback(options.listen)) {
    return BadFlag("listen",
                   "an address of this machine's loopback, or TLS "
                   "(--tls-certificate, --tls-key), or --insecure",
                   options.listen);
  }
  if (!options.http_listen.empty() && !IsLoopback(options.http_listen)) {
    return BadFlag("http-listen",
                   "an address of this machine's loopback, since HTTP has no "
                   "TLS, or --insecure",
                   options.http_listen);
  }
  if (!options.tokens_file.empty() && !options.metrics_listen.empty() &&
      !IsLoopback(options.metrics_listen)) {
    return BadFlag("metrics-listen",
                   "with --tokens-file an address of this machine's loopback, "
                   "since /metrics has no TLS, or --insecure",
                   options.metrics_listen);
  }
  return absl::OkStatus();
}

absl::Status ReadTlsFiles(Options& options) {
  options.tls = {.certificate = absl::GetFlag(FLAGS_tls_certificate),
                 .key = absl::GetFlag(FLAGS_tls_key),
                 .client_ca = absl::GetFlag(FLAGS_tls_client_ca)};
  if (options.tls.certificate.empty() != options.tls.key.empty()) {
    return BadFlag("tls-key", "to be set along with --tls-certificate",
                   options.tls.key);
  }
  if (options.tls.empty() && !options.tls.client_ca.empty()) {
    return BadFlag("tls-client-ca",
                   "to be set along with --tls-certificate and --tls-key",
                   options.tls.client_ca);
  }
  return absl::OkStatus();
}

absl::Status CheckTenantKey(absl::string_view key) {
  // What gRPC takes as a key of text metadata.
  const bool good = std::all_of(key.begin(), key.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' ||
           c == '_' || c == '.';
  });
  if (good && !absl::EndsWith(key, "-bin")) return absl::OkStatus();
  return BadFlag("tenant-key",
                 "lower-case letters, digits, '-', '_' and '.', not ending "
                 "with -bin",
                 key);
}

absl::Status ReadTenantQuotas(Options& options) {
  TenantQuotas::Options& quotas = options.tenant_quotas;
  quotas.tokens_per_second = absl::GetFlag(FLAGS_tenant_tokens_per_second);
  const std::string text = absl::GetFlag(FLAGS_tenant_quotas);
  if (options.tenant_key.empty() &&
      (quotas.tokens_per_second != 0 || !text.empty())) {
    return BadFlag("tenant-key", "a metadata key, since there are quotas", "");
  }
  for (const absl::string_view part :
       absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const size_t equals = part.rfind('=');
    int64_t tokens = 0;
    if (equals == absl::string_view::npos ||
        !absl::SimpleAtoi(part.substr(equals + 1), &tokens) || tokens < 0 ||
        tokens > kMostTokensPerSecond) {
      return BadFlag("tenant-quotas",
                     absl::StrCat("name=tokens with 0 to ",
                                  kMostTokensPerSecond, " tokens a second"),
                     part);
    }
    quotas.by_name[std::string(part.substr(0, equals))] = tokens;
  }
  return absl::OkStatus();
}

// The value whose name a flag holds.
template <typename T>
absl::Status Choose(absl::string_view flag, const std::string& name,
                    const std::map<std::string, T>& choices, T& choice) {
  const auto found = choices.find(name);
  if (found == choices.end()) {
    return BadFlag(flag,
                   absl::StrJoin(choices, " or ",
                                 [](std::string* out, const auto& entry) {
                                   absl::StrAppend(out, entry.first);
                                 }),
                   name);
  }
  choice = found->second;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelSource> ParseModelSource(absl::string_view text) {
  const auto bad = [text](absl::string_view expected) {
    return BadFlag("model", expected, text);
  };
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ',');
  const std::pair<absl::string_view, absl::string_view> name_and_folder =
      absl::StrSplit(parts[0], absl::MaxSplits('=', 1));
  ModelSource source;
  source.name = std::string(name_and_folder.first);
  source.folder = std::string(name_and_folder.second);
  if (source.name.empty() || source.folder.empty()) {
    return bad("name=folder[,precision=fp32|int8|ternary][,version=V]");
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> setting =
        absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    if (setting.first == "precision") {
      source.precision = std::string(setting.second);
      if (!ParsePrecision(setting.second).ok()) {
        return bad("precision fp32, int8 or ternary");
      }
    } else if (setting.first == "version" && !setting.second.empty()) {
      source.version = std::string(setting.second);
    } else {
      return bad("precision=... or version=... after the folder");
    }
  }
  return source;
}

absl::StatusOr<Options> ParseOptions(
    absl::Span<const absl::string_view> arguments) {
  const absl::StatusOr<ParsedFlags> parsed = OurFlags().Parse(arguments);
  if (!parsed.ok()) return parsed.status();
  Options options;
  options.help = parsed->help;
  options.version = parsed->version;
  if (options.help || options.version) return options;
  if (!parsed->words.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected flags only, found '", parsed->words.front(),
                     "'; see --help"));
  }
  absl::Status status = ReadModels(*parsed, options);
  if (!status.ok()) return status;

  const std::string models_dir = absl::GetFlag(FLAGS_models_dir);
  if (!models_dir.empty()) status.Update(AddModelsIn(models_dir, options));
  options.model_repository = absl::GetFlag(FLAGS_model_repository);
  options.repository_poll = absl::GetFlag(FLAGS_repository_poll);
  status.Update(CheckModels(options));
  status.Update(CheckRanges());
  options.verify_checksums = absl::GetFlag(FLAGS_verify_checksums);

  options.listen = absl::GetFlag(FLAGS_listen);
  options.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  status.Update(CheckAddress("listen", options.listen));
  if (!options.metrics_listen.empty()) {
    status.Update(CheckAddress("metrics-listen", options.metrics_listen));
  }
  options.http_listen = absl::GetFlag(FLAGS_http_listen);
  if (!options.http_listen.empty()) {
    status.Update(CheckAddress("http-listen", options.http_listen));
  }
  options.admin_listen = absl::GetFlag(FLAGS_admin_listen);
  if (!options.admin_listen.empty()) status.Update(CheckAdminAddress(options));
  status.Update(ReadTlsFiles(options));
  options.tokens_file = absl::GetFlag(FLAGS_tokens_file);
  status.Update(CheckPlaintext(options));
  options.max_message_bytes = absl::GetFlag(FLAGS_max_message_bytes);
  options.max_inputs = absl::GetFlag(FLAGS_max_inputs);

  const int cores = EffectiveCores();
  options.workers = absl::GetFlag(FLAGS_workers);
  if (options.workers == 0) options.workers = cores;
  options.threads = absl::GetFlag(FLAGS_threads);
  if (options.threads == 0) options.threads = cores;
  options.max_batch_tokens = absl::GetFlag(FLAGS_max_batch_tokens);
  options.max_waiting_requests = absl::GetFlag(FLAGS_max_waiting_requests);
  options.max_waiting_tokens = absl::GetFlag(FLAGS_max_waiting_tokens);

  options.max_waiting_bytes = absl::GetFlag(FLAGS_max_waiting_bytes);
  options.tenant_key = absl::GetFlag(FLAGS_tenant_key);
  status.Update(CheckTenantKey(options.tenant_key));
  if (!options.tenant_key.empty()) {
    options.tenant_share = absl::GetFlag(FLAGS_tenant_share);
  }
  status.Update(ReadTenantQuotas(options));
  options.load_reports = absl::GetFlag(FLAGS_load_reports);

  options.stuck_after = absl::GetFlag(FLAGS_stuck_after);
  options.max_connection_age = absl::GetFlag(FLAGS_max_connection_age);
  options.lame_duck = absl::GetFlag(FLAGS_lame_duck);
  options.drain_timeout = absl::GetFlag(FLAGS_drain_timeout);
  status.Update(Choose<LogFormat>(
      "log-format", absl::GetFlag(FLAGS_log_format),
      {{"text", LogFormat::kText}, {"json", LogFormat::kJson}},
      options.log_format));
  status.Update(Choose<LogLevel>("log-level", absl::GetFlag(FLAGS_log_level),
                                 {{"debug", LogLevel::kDebug},
                                  {"info", LogLevel::kInfo},
                                  {"warning", LogLevel::kWarning},
                                  {"error", LogLevel::kError}},
                                 options.log_level));
  status.Update(Choose<LoggedCalls>("log-calls", absl::GetFlag(FLAGS_log_calls),
                                    {{"none", LoggedCalls::kNone},
                                     {"slow", LoggedCalls::kSlow},
                                     {"failed", LoggedCalls::kFailed},
                                     {"all", LoggedCalls::kAll}},
                                    options.call_log.calls));
  options.call_log.slow = absl::GetFlag(FLAGS_slow_call);
  if (!status.ok()) return status;
  return options;
}

std::string HelpText() {
  return absl::StrCat(
      "tern-server: serves BERT models over gRPC.\n\n"
      "  tern-server --model sst2=models/sst2\n\n",
      OurFlags().Help());
}

}  // namespace tern
