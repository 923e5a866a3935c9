// A program that runs beside the test until it is ended.
//
// One thread.

#ifndef TERN_TESTS_END_TO_END_CHILD_PROCESS_H_
#define TERN_TESTS_END_TO_END_CHILD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace tern {

class ChildProcess {
 public:
  // Starts `arguments[0]`, looked for in PATH, with stdout and stderr together
  // in the file `log_path`. It dies with the thread that starts it.
  ChildProcess(const std::vector<std::string>& arguments,
               const std::string& log_path);
  ~ChildProcess();  // SIGKILL if it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  bool running();
  void Signal(int signal);
  // Waits for its end: the exit code, or -1 where a signal ended it.
  int Wait();

  pid_t id() const { return id_; }
  // What it has printed so far.
  std::string Log() const;

 private:
  const std::string log_path_;
  pid_t id_ = -1;
  bool ended_ = false;
  int exit_code_ = -1;
};

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_CHILD_PROCESS_H_
