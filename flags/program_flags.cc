#include "flags/program_flags.h"

#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace tern {
namespace {

absl::string_view TypeName(const absl::CommandLineFlag& flag) {
  if (flag.IsOfType<bool>()) return "true or false";
  if (flag.IsOfType<absl::Duration>()) return "a duration such as 500ms or 2s";
  if (flag.IsOfType<std::string>()) return "a text";
  if (flag.IsOfType<double>()) return "a number";
  return "an integer";
}

// Appends `text` in lines of at most 80 columns that start with `indent`.
void AppendWrapped(absl::string_view text, absl::string_view indent,
                   std::string* to) {
  constexpr size_t kColumns = 80;
  size_t column = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (column == 0 || column + 1 + word.size() > kColumns) {
      absl::StrAppend(to, column == 0 ? "" : "\n", indent, word);
      column = indent.size() + word.size();
    } else {
      absl::StrAppend(to, " ", word);
      column += 1 + word.size();
    }
  }
  absl::StrAppend(to, "\n");
}

}  // namespace

ProgramFlags::ProgramFlags(absl::string_view one) {
  const std::string file = absl::FindCommandLineFlag(one)->Filename();
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (flag->Filename() == file) flags_.emplace(std::string(name), flag);
  }
}

absl::StatusOr<ParsedFlags> ProgramFlags::Parse(
    absl::Span<const absl::string_view> arguments) const {
  ParsedFlags parsed;
  while (!arguments.empty() && !parsed.help && !parsed.version) {
    const absl::string_view argument = arguments.front();
    if (argument == "--") {
      for (const absl::string_view word : arguments.subspan(1)) {
        parsed.words.emplace_back(word);
      }
      break;
    }
    if (argument == "--help" || argument == "-h") {
      parsed.help = true;
    } else if (argument == "--version") {
      parsed.version = true;
    } else if (absl::StartsWith(argument, "--")) {
      absl::Status set = SetFlag(arguments, parsed);
      if (!set.ok()) return set;
      continue;
    } else {
      parsed.words.push_back(std::string(argument));
    }
    arguments.remove_prefix(1);
  }
  return parsed;
}

absl::Status ProgramFlags::SetFlag(
    absl::Span<const absl::string_view>& arguments, ParsedFlags& parsed) const {
  const absl::string_view argument = arguments.front().substr(2);
  arguments.remove_prefix(1);
  absl::string_view value;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(argument, absl::MaxSplits('=', 1));
  const std::string name = absl::StrReplaceAll(parts.first, {{"-", "_"}});
  auto flag = flags_.find(name);
  const bool has_value = absl::StrContains(argument, '=');
  if (has_value) {
    value = parts.second;
  } else if (flag == flags_.end() && absl::StartsWith(name, "no")) {
    flag = flags_.find(name.substr(2));
    if (flag != flags_.end() && !flag->second->IsOfType<bool>()) {
      flag = flags_.end();
    }
    value = "false";
  } else if (flag != flags_.end() && flag->second->IsOfType<bool>()) {
    value = "true";
  } else if (flag != flags_.end()) {
    if (arguments.empty()) return BadFlag(name, TypeName(*flag->second), "");
    value = arguments.front();
    arguments.remove_prefix(1);
  }
  if (flag == flags_.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--", parts.first, ": no such flag; see --help for those there are"));
  }
  std::string error;
  if (!flag->second->ParseFrom(value, &error)) {
    return BadFlag(name, TypeName(*flag->second), value);
  }
  parsed.flags.emplace_back(flag->first, std::string(value));
  return absl::OkStatus();
}

std::string ProgramFlags::Help() const {
  std::string text;
  for (const auto& [name, flag] : flags_) {
    absl::StrAppend(&text, "  --", Dashed(name));
    const std::string initial = flag->DefaultValue();
    if (!initial.empty()) absl::StrAppend(&text, "  (", initial, ")");
    absl::StrAppend(&text, "\n");
    AppendWrapped(flag->Help(), "      ", &text);
  }
  return text;
}

absl::Status BadFlag(absl::string_view flag, absl::string_view expected,
                     absl::string_view found) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--", Dashed(flag), ": expected ", expected, ", found '", found, "'"));
}

std::string Dashed(absl::string_view flag) {
  return absl::StrReplaceAll(flag, {{"_", "-"}});
}

}  // namespace tern
