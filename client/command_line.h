// Parses the options of one subcommand and writes its --help from the same
// table, so that the two cannot disagree.
//
//   CommandLine line("classify", "[TEXT...]", "Labels texts.", kExamples);
//   line.Add("top-k", "N", "labels to show of each text", &top_k);
//   absl::StatusOr<std::vector<std::string>> texts = line.Parse(argc, argv);
//
// Options may stand before, between and after the other arguments; "--" ends
// them. Values as `--top-k 3` or `--top-k=3`.
//
// One thread.

#ifndef TERN_CLIENT_COMMAND_LINE_H_
#define TERN_CLIENT_COMMAND_LINE_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tern {

class CommandLine {
 public:
  // Where an option's value goes. A bool takes no value on the command line.
  using Target = std::variant<bool*, int*, std::optional<int>*, std::string*,
                              absl::Duration*>;

  CommandLine(std::string name, std::string synopsis, std::string description,
              std::string examples)
      : name_(std::move(name)),
        synopsis_(std::move(synopsis)),
        description_(std::move(description)),
        examples_(std::move(examples)) {}

  // `value_name` stands for the value in the help; empty for a bool.
  void Add(std::string option, std::string value_name, std::string help,
           Target target) {
    options_.push_back(
        {std::move(option), std::move(value_name), std::move(help), target});
  }

  // Sets the targets and returns the arguments that are no options. argv[0] is
  // the subcommand. Where --help is among them, prints it and exits 0.
  // Errors: INVALID_ARGUMENT naming the option.
  absl::StatusOr<std::vector<std::string>> Parse(int argc, char** argv);

  // The same for a command that takes nothing but options.
  // Errors: INVALID_ARGUMENT for any other argument, too.
  absl::Status ParseOptions(int argc, char** argv);

  const std::string& name() const { return name_; }
  std::string Help() const;

 private:
  struct Option {
    std::string name;
    std::string value_name;
    std::string help;
    Target target;
  };

  const std::string name_;
  const std::string synopsis_;
  const std::string description_;
  const std::string examples_;
  std::vector<Option> options_;
};

}  // namespace tern

#endif  // TERN_CLIENT_COMMAND_LINE_H_
