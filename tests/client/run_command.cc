#include "tests/client/run_command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

extern char** environ;

namespace tern {
namespace {

struct Pipe {
  Pipe() {
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
  }
  int ends[2];
};

std::string ReadAll(int file_descriptor) {
  std::string all;
  char block[1 << 16];
  ssize_t got;
  while ((got = read(file_descriptor, block, sizeof block)) > 0) {
    all.append(block, static_cast<size_t>(got));
  }
  close(file_descriptor);
  return all;
}

void WriteAll(int file_descriptor, const std::string& text) {
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t got =
        write(file_descriptor, text.data() + written, text.size() - written);
    if (got <= 0) break;  // the program ended without reading it all
    written += static_cast<size_t>(got);
  }
  close(file_descriptor);
}

}  // namespace

CommandResult RunCommand(const std::vector<std::string>& arguments,
                         const std::string& input) {
  signal(SIGPIPE, SIG_IGN);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);

  Pipe in, out, err;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.ends[1], STDERR_FILENO);
  // Ignored signals stay ignored in a child; the program shall have its own.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  CommandResult result;
  pid_t process;
  const int spawned = posix_spawn(&process, argv[0], &actions, &attributes,
                                  argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(in.ends[0]);
  close(out.ends[1]);
  close(err.ends[1]);

  std::thread writer([&] { WriteAll(in.ends[1], input); });
  std::thread error_reader([&] { result.err = ReadAll(err.ends[0]); });
  result.out = ReadAll(out.ends[0]);
  writer.join();
  error_reader.join();
  if (spawned != 0) return result;
  int status;
  waitpid(process, &status, 0);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace tern
