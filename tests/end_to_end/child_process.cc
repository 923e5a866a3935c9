#include "tests/end_to_end/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace tern {

ChildProcess::ChildProcess(const std::vector<std::string>& arguments,
                           const std::string& log_path)
    : log_path_(log_path) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const int log =
      open(log_path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  id_ = fork();
  if (id_ == 0) {
    // Only calls that are safe between fork and exec.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(log);
  if (id_ < 0) ended_ = true;
}

ChildProcess::~ChildProcess() {
  if (running()) {
    Signal(SIGKILL);
    Wait();
  }
}

bool ChildProcess::running() {
  if (ended_) return false;
  int status = 0;
  if (waitpid(id_, &status, WNOHANG) == 0) return true;
  ended_ = true;
  if (WIFEXITED(status)) exit_code_ = WEXITSTATUS(status);
  return false;
}

void ChildProcess::Signal(int signal) {
  if (!ended_) kill(id_, signal);
}

int ChildProcess::Wait() {
  if (!ended_) {
    int status = 0;
    waitpid(id_, &status, 0);
    ended_ = true;
    if (WIFEXITED(status)) exit_code_ = WEXITSTATUS(status);
  }
  return exit_code_;
}

std::string ChildProcess::Log() const {
  std::ostringstream log;
  log << std::ifstream(log_path_).rdbuf();
  return log.str();
}

}  // namespace tern
