// kill -9 at random times, and how long from the restart of the process to its first new output: 1 M entries of
// state, a checkpoint each 2 s, about 20 % load.
//
// The program starts itself as the job's process: that one appends bids at a fixed rate from a thread of its own,
// works on them, and writes a line whenever committed output has grown.
#include <csignal>
#include <thread>

#include "bids.h"
#include "pairs.h"
#include <fcntl.h>
#include <sys/wait.h>

namespace {

using namespace wrackline;

constexpr int64_t kKeys = 1'000'000;
constexpr int64_t kPrefill = 3'000'000;  // enough to meet nearly every key
constexpr double kPerSecond = 300'000;   // about a fifth of what one worker can do
constexpr int64_t kBatch = 3'000;

std::shared_ptr<const Plan> plan() {
  auto plan = std::make_shared<Plan>("recovery");
  SourceSpec source;
  source.topic = "bids";
  source.schema = bench::bid_schema();
  source.time.column = "dateTime";
  source.time.max_future = kMaxDuration;
  source.watermark.out_of_orderness = 0;
  const StreamRef bids = bench::must(plan->read(source));
  WindowSpec state = WindowSpec::tumbling(100 * 86'400'000LL);  // holds every bidder
  state.key_columns = {"bidder"};
  state.aggregates = {{"n", "count", ""}, {"total", "sum", "price"}, {"low", "min", "price"}, {"high", "max", "price"}};
  bench::must(
      plan->write({.streams = {bench::must(plan->window(bids, state, true, "state"))}, .topic = "recovery-state"}));
  WindowSpec output = WindowSpec::tumbling(100);  // puts something out each 100 ms of event time
  output.key_columns = {"channel"};
  output.aggregates = {{"n", "count", ""}};
  bench::must(
      plan->write({.streams = {bench::must(plan->window(bids, output, true, "output"))}, .topic = "recovery-output"}));
  bench::must(plan->finish());
  return plan;
}

// The job's process; never returns in order, the parent kills it.
int child(const std::string& folder) {
  const auto clock = std::make_shared<SystemClock>();
  const std::shared_ptr<Log> log = bench::must(open_log("local:" + folder + "/log", clock));
  bench::must(log->create_topic("bids", 1));
  const bench::BidShape shape{.bidders = kKeys, .per_second = kPerSecond, .disorder = 0};
  int64_t next = bench::must(log->end_offset({"bids", 0}, Isolation::kReadUncommitted));
  std::mt19937_64 random(static_cast<uint64_t>(next));
  const auto append = [&] {
    bench::must(log->append({"bids", 0}, *bench::make_bids(random, shape, next, kBatch)).status());
    next += kBatch;
  };
  while (next < kPrefill) append();
  std::thread feeder([&] {
    const int64_t begin = clock->steady_us();
    const int64_t first = next;
    for (;;) {
      append();
      const auto due = begin + static_cast<int64_t>(static_cast<double>(next - first) * 1e6 / kPerSecond);
      if (const int64_t early = due - clock->steady_us(); early > 0)
        std::this_thread::sleep_for(std::chrono::microseconds(early));
    }
  });
  feeder.detach();
  const auto run = bench::must(
      Run::open(plan(), {.checkpoint_interval = 2'000, .state_dir = folder + "/state"}, {.log = log, .clock = clock}));
  int64_t told = -1;
  int64_t commits = 0;
  for (;;) {
    if (bench::must(run->worker().step()) == Progress::kIdle) run->worker().wait(5);
    const WorkerStats stats = run->worker().stats();
    if (stats.commits == commits) continue;
    commits = stats.commits;
    if (told >= 0 && stats.rows_out > told) {
      const char line[] = "output\n";
      if (write(STDOUT_FILENO, line, sizeof line - 1) < 0) return 1;
    }
    told = stats.rows_out;
  }
}

struct Process {
  pid_t id = 0;
  int output = -1;
};

Process start(const char* program, const std::string& folder) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  Process process;
  process.id = fork();
  if (process.id == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    execl(program, program, "--child", folder.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  process.output = ends[0];
  return process;
}

bool wait_for_output(const Process& process) {
  char byte = 0;
  while (read(process.output, &byte, 1) == 1) {
    if (byte == '\n') return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--child") return child(argv[2]);
  constexpr int kKills = 20;
  const bench::Folder folder;
  std::mt19937_64 random(7);
  std::vector<double> seconds;
  Process process = start(argv[0], folder / "");
  if (!wait_for_output(process)) return 1;
  for (int i = 0; i < kKills; ++i) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500 + random() % 2500);
    while (std::chrono::steady_clock::now() < until) {
      if (!wait_for_output(process)) return 1;
    }
    kill(process.id, SIGKILL);
    waitpid(process.id, nullptr, 0);
    close(process.output);
    const double taken = bench::seconds_of([&] {
      process = start(argv[0], folder / "");
      if (!wait_for_output(process)) std::abort();
    });
    seconds.push_back(taken);
    std::fprintf(stderr, "restart to first new output: %.2f s\n", taken);
  }
  kill(process.id, SIGKILL);
  waitpid(process.id, nullptr, 0);
  std::sort(seconds.begin(), seconds.end());
  std::printf(
      "{\"name\": \"kill -9 to the first new output\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, \"seconds\": "
      "%.2f}\n",
      1.5 / bench::median(seconds), 1.5 / seconds.back(), 1.5 / seconds.front(), bench::median(seconds));
}
