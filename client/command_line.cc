#include "client/command_line.h"

#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tern {
namespace {

// Sets a target from the text of its value; false where it does not parse.
struct SetTarget {
  const char* value;
  bool operator()(bool* target) const { return *target = true; }
  bool operator()(int* target) const { return absl::SimpleAtoi(value, target); }
  bool operator()(std::optional<int>* target) const {
    return absl::SimpleAtoi(value, &target->emplace());
  }
  bool operator()(std::string* target) const {
    *target = value;
    return true;
  }
  bool operator()(absl::Duration* target) const {
    return absl::ParseDuration(value, target);
  }
};

struct Expected {
  const char* operator()(bool*) const { return "no value"; }
  const char* operator()(int*) const { return "a whole number"; }
  const char* operator()(std::optional<int>*) const { return "a whole number"; }
  const char* operator()(std::string*) const { return "a text"; }
  const char* operator()(absl::Duration*) const {
    return "a duration such as 500ms or 30s";
  }
};

}  // namespace

absl::StatusOr<std::vector<std::string>> CommandLine::Parse(int argc,
                                                            char** argv) {
  constexpr int kHelp = 'h';
  constexpr int kFirstOption = 256;
  std::vector<option> table;
  table.push_back({"help", no_argument, nullptr, kHelp});
  for (size_t i = 0; i < options_.size(); ++i) {
    const bool has_value = !std::holds_alternative<bool*>(options_[i].target);
    table.push_back({options_[i].name.c_str(),
                     has_value ? required_argument : no_argument, nullptr,
                     kFirstOption + static_cast<int>(i)});
  }
  table.push_back({nullptr, 0, nullptr, 0});

  optind = 1;
  opterr = 0;
  int found;
  while ((found = getopt_long(argc, argv, ":h", table.data(), nullptr)) != -1) {
    if (found == kHelp) {
      std::fputs(Help().c_str(), stdout);
      std::exit(0);
    }
    if (found == ':') {
      return absl::InvalidArgumentError(
          absl::StrCat("option '", argv[optind - 1], "' needs a value"));
    }
    if (found == '?') {
      // A short option is told by optopt, a long one by the argument just read.
      const bool is_short = optopt > 0 && optopt < kFirstOption;
      return absl::InvalidArgumentError(
          is_short ? absl::StrFormat("unknown option '-%c'", optopt)
          : optopt >= kFirstOption
              ? absl::StrCat("option '", argv[optind - 1], "' takes no value")
              : absl::StrCat("unknown option '", argv[optind - 1], "'"));
    }
    const Option& option = options_[found - kFirstOption];
    if (!std::visit(SetTarget{optarg}, option.target)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "option '--", option.name, "' takes ",
          std::visit(Expected{}, option.target), ", not '", optarg, "'"));
    }
  }
  return std::vector<std::string>(argv + optind, argv + argc);
}

absl::Status CommandLine::ParseOptions(int argc, char** argv) {
  const absl::StatusOr<std::vector<std::string>> arguments = Parse(argc, argv);
  if (!arguments.ok()) return arguments.status();
  if (arguments->empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("unexpected argument '", arguments->front(), "'"));
}

std::string CommandLine::Help() const {
  std::string text =
      absl::StrCat("Usage: tern ", name_, " [OPTION...] ", synopsis_, "\n",
                   description_, "\nOptions:\n");
  std::vector<std::string> columns;
  for (const Option& option : options_) {
    columns.push_back(absl::StrCat("--", option.name,
                                   option.value_name.empty() ? "" : " ",
                                   option.value_name));
  }
  columns.push_back("--help");
  size_t width = 0;
  for (const std::string& column : columns) {
    width = std::max(width, column.size());
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    absl::StrAppendFormat(
        &text, "  %-*s  %s\n", width, columns[i],
        i < options_.size() ? options_[i].help : "print this and exit");
  }
  absl::StrAppend(&text, "\nExamples:\n", examples_, R"(
Exit codes:
  0  all inputs were answered
  1  an input was refused or a call failed; what was answered before is printed
  2  the command line is wrong
  3  the server cannot be reached, or is shutting down
  4  the deadline passed
)");
  return text;
}

}  // namespace tern
