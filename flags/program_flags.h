// The flags of a program, defined by ABSL_FLAG in one of its files: reads them
// from a command line and lists them for --help, so that the two cannot
// disagree. Abseil's own parser ends the program with 1 where ours end with 2,
// and keeps only the last of a repeated flag.
//
//   const ProgramFlags flags("max_batch_tokens");
//   absl::StatusOr<ParsedFlags> parsed = flags.Parse({argv + 1, argv + argc});
//
// Flags are `--name=value` or `--name value`, a bool also `--name` or
// `--noname`; dashes and underscores are the same. "--" ends them.

#ifndef TERN_FLAGS_PROGRAM_FLAGS_H_
#define TERN_FLAGS_PROGRAM_FLAGS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tern {

struct ParsedFlags {
  bool help = false;               // --help or -h; what follows it was not read
  bool version = false;            // --version; the same
  std::vector<std::string> words;  // what is no flag
  // The flags in their order, with the names and values as they were read:
  // {"learning_rate", "1e-4"}.
  std::vector<std::pair<std::string, std::string>> flags;
};

class ProgramFlags {
 public:
  // Those of the file that defines `one`, which must exist: libraries may have
  // flags of their own.
  explicit ProgramFlags(absl::string_view one);

  // Sets the flags of `arguments`, which have no program name.
  // Errors: INVALID_ARGUMENT naming the flag, what was expected and found.
  absl::StatusOr<ParsedFlags> Parse(
      absl::Span<const absl::string_view> arguments) const;

  // Each flag with its default and what it is for, in lines of 80 columns.
  std::string Help() const;

 private:
  // Sets the flag that `arguments` begin with, and removes it and its value.
  absl::Status SetFlag(absl::Span<const absl::string_view>& arguments,
                       ParsedFlags& parsed) const;

  std::map<std::string, absl::CommandLineFlag*> flags_;
};

// "--warmup: expected 0 to 1, found '2'", INVALID_ARGUMENT.
absl::Status BadFlag(absl::string_view flag, absl::string_view expected,
                     absl::string_view found);

// "learning-rate" of "learning_rate": flags as we tell them to users.
std::string Dashed(absl::string_view flag);

}  // namespace tern

#endif  // TERN_FLAGS_PROGRAM_FLAGS_H_
