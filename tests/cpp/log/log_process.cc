// A process with a log of its own, for tests to talk to and to kill: log_process DIRECTORY. Reads commands from
// stdin, a line each, and answers each with a line. Partition 0 of topic "t" gets plain appends, partition 1
// transactions, and each commit moves the offset of group "g" on partition 1.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "log/send_offsets.h"

#include "wrackline/log/log.h"

namespace wrackline {
namespace {

[[noreturn]] void fail(const Status& status) {
  std::printf("failed %s\n", status.to_string().c_str());
  std::fflush(stdout);
  std::exit(1);
}

void check(const Status& status) {
  if (!status.ok()) fail(status);
}

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

Records numbered(int64_t first, int64_t count) {
  Records records;
  for (int64_t i = first; i < first + count; ++i) {
    records.add(std::nullopt, std::to_string(i) + std::string(static_cast<size_t>(i % 300), '.'), i);
  }
  return records;
}

int run(const std::string& directory) {
  auto opened = open_log("local:" + directory, std::make_shared<SystemClock>());
  if (!opened.ok()) fail(opened.status());
  const std::shared_ptr<Log> log = std::move(opened).value();
  check(log->create_topic("t", 2));
  auto client = std::move(log->client()).value();
  client->start_init("id");
  (void)client->poll(1);
  say("ready");

  const auto append = [&](int64_t first, int64_t count) {
    check(log->append({"t", 0}, numbered(first, count)).status());
  };
  const auto transaction = [&](int64_t number, int64_t count, bool commits) {
    check(client->begin());
    check(client->append({"t", 1}, numbered(number * 1000, count)));
    check(send_offsets_now(*client, "g", {{{"t", 1}, {number, std::to_string(number)}}}));
    commits ? client->start_commit() : client->start_abort();
    if (!std::holds_alternative<event::TransactionEnded>(client->poll(1))) std::exit(2);
  };

  std::string word;
  int64_t first = 0;
  int64_t count = 0;
  while (std::cin >> word) {
    if (word == "append" && std::cin >> first >> count) {
      append(first, count);
    } else if ((word == "commit" || word == "abort") && std::cin >> first >> count) {
      transaction(first, count, word == "commit");
    } else if (word == "leave_open" && std::cin >> count) {
      check(client->begin());
      check(client->append({"t", 1}, numbered(0, count)));
    } else if (word == "trim" && std::cin >> first) {
      check(log->trim({"t", 0}, first));
    } else if (word == "flood" && std::cin >> first >> count) {  // values from `first`, transactions from `count` on
      for (;; ++count) {
        const int64_t batch = 1 + first % 97;
        append(first, batch);
        first += batch;
        say("appended " + std::to_string(first));
        transaction(count, 1 + count % 5, count % 4 != 3);
        if (count % 4 != 3) say("committed " + std::to_string(count));
      }
    } else {
      std::exit(3);
    }
    say("done");
  }
  return 0;
}

}  // namespace
}  // namespace wrackline

int main(int argc, char** argv) { return argc == 2 ? wrackline::run(argv[1]) : 3; }
