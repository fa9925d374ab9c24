// log_process as a child of the test.
#pragma once

#include <csignal>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace wrackline {

class LogProcess {
 public:
  explicit LogProcess(const std::string& directory) {
    int to[2];
    int from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(to[0], 0);
      dup2(from[1], 1);
      execl(WRACKLINE_LOG_PROCESS, "log_process", directory.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  ~LogProcess() {
    kill_now();
    close(to_);
    close(from_);
  }
  LogProcess(const LogProcess&) = delete;
  LogProcess& operator=(const LogProcess&) = delete;

  pid_t pid() const { return pid_; }
  void send(const std::string& line) {
    const std::string text = line + "\n";
    if (write(to_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  }
  // The next line it wrote; "" when it is dead and all is read.
  std::string line() {
    for (;;) {
      const size_t end = read_.find('\n');
      if (end != std::string::npos) {
        std::string line = read_.substr(0, end);
        read_.erase(0, end + 1);
        return line;
      }
      char buffer[4096];
      const ssize_t size = read(from_, buffer, sizeof buffer);
      if (size <= 0) return "";
      read_.append(buffer, static_cast<size_t>(size));
    }
  }
  std::string ask(const std::string& command) {
    send(command);
    return line();
  }
  // SIGKILL, and waits until it is gone.
  void kill_now() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
  std::string read_;
};

}  // namespace wrackline
