#include "wrackline/job/run.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "wrackline/job/memory_stores.h"

namespace wrackline {
namespace {

constexpr int kMaxSlots = 1024;
constexpr Millis kLongestWait = 20;  // while nothing happens: how late a commit may be

Status unavailable(const std::string& what, const std::string& path) {
  return Status::unavailable(what + " " + path + ": " + std::strerror(errno));
}

// Names this state directory in transactional ids; made once.
Result<std::string> directory_id(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "ID";
  if (std::ifstream in(path); in) {
    std::string id;
    in >> id;
    if (id.size() == 16) return id;
    return Status::corruption("state directory: " + path.string() + " does not hold an id of 16 characters");
  }
  std::random_device random;
  std::string id;
  for (int i = 0; i < 16; ++i) id += "0123456789abcdef"[random() % 16];
  const std::filesystem::path fresh = path.string() + ".new." + std::to_string(getpid());
  {
    std::ofstream out(fresh);
    out << id << "\n";
    if (!out.flush()) return unavailable("state directory is not writable:", fresh.string());
  }
  // Another process may have been first: link() does not replace its id.
  if (link(fresh.c_str(), path.c_str()) != 0 && errno != EEXIST) return unavailable("state directory:", path.string());
  unlink(fresh.c_str());
  std::ifstream in(path);
  in >> id;
  return id;
}

}  // namespace

// A worker's place that outlives it: a locked file. The lock goes with the process, however it ends.
class Run::Slot {
 public:
  static Result<std::unique_ptr<Slot>> take(const std::string& state_dir, const std::string& job) {
    const std::filesystem::path root(state_dir);
    const std::filesystem::path directory = root / job;
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) return Status::unavailable("state directory " + directory.string() + ": " + error.message());
    auto slot = std::unique_ptr<Slot>(new Slot);
    WL_ASSIGN_OR_RETURN(slot->directory_id_, directory_id(root));
    for (slot->number_ = 0; slot->number_ < kMaxSlots; ++slot->number_) {
      const std::string path = (directory / ("slot-" + std::to_string(slot->number_))).string();
      slot->file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
      if (slot->file_ < 0) return unavailable("state directory is not writable:", path);
      if (flock(slot->file_, LOCK_EX | LOCK_NB) == 0) return slot;
      close(slot->file_);
      slot->file_ = -1;
    }
    return Status::unavailable("all " + std::to_string(kMaxSlots) + " slots of " + directory.string() + " are taken");
  }
  ~Slot() {
    if (file_ >= 0) close(file_);
  }
  std::string transactional_id(const std::string& job) const {
    return job + "-" + directory_id_ + "-" + std::to_string(number_) + "-0";
  }

 private:
  Slot() = default;
  int file_ = -1;
  int number_ = 0;
  std::string directory_id_;
};

Run::Run() = default;
Run::~Run() = default;

Result<std::unique_ptr<Run>> Run::open(std::shared_ptr<const Plan> plan, JobOptions options, const RunEnv& env) {
  if (options.commit_interval <= 0) return Status::invalid("commit_interval must be > 0");
  if (options.checkpoint_interval <= 0) return Status::invalid("checkpoint_interval must be > 0");
  if (options.commit_rows < 0) return Status::invalid("commit_rows must be > 0");
  if (options.memory_limit < 0) return Status::invalid("memory_limit must be > 0");
  for (const std::string& step : options.reset_steps) {
    bool known = false;
    for (const Plan::Node& node : plan->nodes()) known = known || node.name == step;
    if (!known) return Status::invalid("reset: this job has no step '" + step + "'");
  }
  auto run = std::unique_ptr<Run>(new Run);
  if (const char* text = std::getenv("WRACKLINE_FAILPOINT"); text != nullptr && env.tap == nullptr) {
    WL_RETURN_IF_ERROR(run->failpoints_.arm_from(text));
  }
  WorkerEnv worker{
      .log = env.log, .clock = env.clock, .failpoints = &run->failpoints_, .tap = env.tap, .rows = env.rows};
  if (env.tap == nullptr) {
    if (env.log == nullptr) return Status::invalid("job " + plan->job() + " has no log: Job(..., log=\"local:DIR\")");
    const std::string job = plan->job();
    if (env.log->uri().starts_with("memory:")) {
      // State lives as long as the log that it belongs to.
      worker.transactional_id = job + "-memory-0-0";
      worker.open_store = [log = env.log, job](int32_t partition) -> Result<std::unique_ptr<Store>> {
        return memory_store_of(log, job + "/tasks/0-" + std::to_string(partition));
      };
    } else {
      WL_ASSIGN_OR_RETURN(run->slot_, Slot::take(options.state_dir, job));
      worker.transactional_id = run->slot_->transactional_id(job);
      worker.open_store = [root = options.state_dir, job](int32_t partition) {
        return open_rocksdb_store(
            (std::filesystem::path(root) / job / "tasks" / ("0-" + std::to_string(partition))).string());
      };
    }
  }
  run->worker_ = std::make_unique<Worker>(std::move(plan), std::move(options), std::move(worker));
  run->clock_ = env.clock;
  return run;
}

Status Run::loop(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms) {
  constexpr int kStepsBetweenLooks = 16;  // the clock is looked at that seldom
  int64_t next_tick = clock_->steady_us() + tick_ms * 1000;
  for (int steps = 0;; ++steps) {
    WL_ASSIGN_OR_RETURN(const Progress progress, worker_->step());
    if (progress == Progress::kDone) break;
    if (progress == Progress::kIdle) worker_->wait(kLongestWait);
    if (progress != Progress::kIdle && steps % kStepsBetweenLooks != 0) continue;
    if (tick && clock_->steady_us() >= next_tick) {
      if (!tick(worker_->stats())) worker_->request_stop();
      next_tick = clock_->steady_us() + tick_ms * 1000;
    }
  }
  if (tick) tick(worker_->stats());
  return {};
}

Result<std::map<int32_t, Ledger>> read_ledger(Log& log, const std::string& job) {
  const std::string topic = Plan(job).journal_topic();
  WL_ASSIGN_OR_RETURN(const TopicInfo info, log.topic(topic));
  std::map<int32_t, Ledger> ledgers;
  std::map<int32_t, int64_t> last;  // commit_seq
  WL_ASSIGN_OR_RETURN(const Offsets committed, log.committed(job));
  for (const auto& [anchor, offset] : committed) {
    WL_ASSIGN_OR_RETURN(const CommitMetadata metadata, CommitMetadata::decode(offset.metadata));
    last[anchor.partition] = metadata.commit_seq;
  }
  for (int32_t partition = 0; partition < info.partitions; ++partition) {
    const TopicPartition journal{topic, partition};
    std::pair<int64_t, int64_t> newest{-1, -1};  // commit_seq, claim: at least once, rows may come twice
    WL_ASSIGN_OR_RETURN(int64_t offset, log.start_offset(journal));
    WL_ASSIGN_OR_RETURN(const int64_t end, log.end_offset(journal, Isolation::kReadCommitted));
    while (offset < end) {
      WL_ASSIGN_OR_RETURN(const event::Polled rows, log.read(journal, offset, 1 << 20, Isolation::kReadCommitted));
      for (int64_t i = 0; i < rows.records->size(); ++i) {
        WL_ASSIGN_OR_RETURN(JournalRow row, JournalRow::decode(rows.records->value(i)));
        const std::pair<int64_t, int64_t> place{row.commit_seq, row.metadata.recovery_count};
        const auto limit = last.find(partition);
        if (place < newest || (limit != last.end() && row.commit_seq > limit->second)) continue;
        newest = place;
        ledgers[partition] = std::move(row.ledger);
      }
      if (rows.next_offset <= offset) break;
      offset = rows.next_offset;
    }
  }
  if (ledgers.empty()) return Status::not_found("job " + job + " has not committed anything on " + log.uri());
  return ledgers;
}

}  // namespace wrackline
