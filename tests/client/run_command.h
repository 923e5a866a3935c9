// Runs a program as a user would: arguments, stdin, and what comes back.

#ifndef TERN_TESTS_CLIENT_RUN_COMMAND_H_
#define TERN_TESTS_CLIENT_RUN_COMMAND_H_

#include <string>
#include <vector>

namespace tern {

struct CommandResult {
  int exit_code = -1;  // -1 where a signal ended it
  std::string out;
  std::string err;
};

// `arguments[0]` is the program's path. `input` is its whole stdin.
CommandResult RunCommand(const std::vector<std::string>& arguments,
                         const std::string& input);

}  // namespace tern

#endif  // TERN_TESTS_CLIENT_RUN_COMMAND_H_
