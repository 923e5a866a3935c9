// tern-bench: how fast an engine runs a model folder on this machine.

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/bench_commands.h"

ABSL_FLAG(std::string, precision, "", "fp32, int8 or ternary");
ABSL_FLAG(std::string, variant, "", "kernel variant");
ABSL_FLAG(std::string, texts, "", "file of texts, or pairs with a tab, a line");
ABSL_FLAG(int32_t, tokens, 128, "of each made-up text");
ABSL_FLAG(int32_t, sequences, 1, "made-up texts in the batch");
ABSL_FLAG(int32_t, max_tokens, 512,
          "of a text of --texts, longer ones are cut");
ABSL_FLAG(int32_t, max_batch_tokens, 1024, "of batches made of --texts");
ABSL_FLAG(int32_t, threads, 1, "that share a batch");
ABSL_FLAG(int32_t, workers, 1, "time: batches under way at a time");
ABSL_FLAG(double, seconds, 1, "to go on for");

namespace tern {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

constexpr char kHelp[] =
    R"(tern-bench: how fast an engine runs a model folder on this machine.

  tern-bench time FOLDER      seconds of each pass, tokenization included: JSON
  tern-bench profile FOLDER   time by stage; achieved against the machine's peak
  tern-bench load FOLDER      time to the first answer, memory: JSON

What a pass runs:
  --tokens=128 --sequences=1  one batch of made-up texts of this many tokens
  --texts=FILE                a text a line, or text TAB pair, in batches of
  --max_batch_tokens=1024     at most so many tokens; texts are cut to
  --max_tokens=512            so many
How:
  --threads=1                 threads that share a batch
  --workers=1                 (time) batches under way at a time
  --seconds=1                 passes go on for so long
  --precision, --variant      as tern-server has them
Before timing, answers are checked: a text in the batch has the bits that it has
alone.
)";

struct Command {
  absl::string_view name;
  absl::Status (*run)(const BenchOptions& options);
};

constexpr Command kCommands[] = {
    {"time", TimeCommand},
    {"profile", ProfileCommand},
    {"load", LoadCommand},
};

absl::StatusOr<BenchOptions> OptionsFromFlags(const std::string& folder) {
  BenchOptions options;
  options.folder = folder;
  options.precision = absl::GetFlag(FLAGS_precision);
  options.variant = absl::GetFlag(FLAGS_variant);
  options.texts_path = absl::GetFlag(FLAGS_texts);
  options.tokens = absl::GetFlag(FLAGS_tokens);
  options.sequences = absl::GetFlag(FLAGS_sequences);
  options.max_tokens = absl::GetFlag(FLAGS_max_tokens);
  options.max_batch_tokens = absl::GetFlag(FLAGS_max_batch_tokens);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.workers = absl::GetFlag(FLAGS_workers);
  options.seconds = absl::GetFlag(FLAGS_seconds);
  if (options.threads < 1 || options.workers < 1) {
    return absl::InvalidArgumentError(
        "--threads, --workers: expected at least 1");
  }
  return options;
}

int Run(int argc, char** argv) {
  if (argc > 1 && absl::string_view(argv[1]) == "--help") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 3) {
    std::fputs(kHelp, stderr);
    return kExitUsage;
  }
  for (const Command& command : kCommands) {
    if (command.name != arguments[1]) continue;
    const absl::StatusOr<BenchOptions> options = OptionsFromFlags(arguments[2]);
    const absl::Status status =
        options.ok() ? command.run(*options) : options.status();
    if (status.ok()) return 0;
    std::fputs(absl::StrCat("tern-bench: ", status.message(), "\n").c_str(),
               stderr);
    return kExitFailed;
  }
  std::fputs(absl::StrCat("tern-bench: unknown command '", arguments[1], "'\n")
                 .c_str(),
             stderr);
  return kExitUsage;
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) { return tern::Run(argc, argv); }
