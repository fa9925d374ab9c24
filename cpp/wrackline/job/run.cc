#include "wrackline/job/run.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "wrackline/job/journal.h"
#include "wrackline/job/memory_stores.h"

namespace wrackline {
namespace {

constexpr int kMaxSlots = 1024;
constexpr int64_t kMaxWorkers = 256;

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
  std::string transactional_id(const std::string& job, int64_t worker) const {
    return job + "-" + directory_id_ + "-" + std::to_string(number_) + "-" + std::to_string(worker);
  }

 private:
  Slot() = default;
  int file_ = -1;
  int number_ = 0;
  std::string directory_id_;
};

// One worker, and what it has said of itself.
struct Run::Seat {
  size_t stage = 0;
  bool own_thread = false;
  Failpoints failpoints;
  std::unique_ptr<Worker> worker;

  std::mutex mutex;  // guards what follows
  WorkerStats stats;
  std::map<int32_t, Ledger> ledger;
  std::vector<TaskStatus> status;
  int64_t status_asked = 0;
  int64_t status_given = 0;
  std::condition_variable looked;
  bool has_tasks = false;
  bool ended = false;

  // From the worker's thread; or when it has ended.
  void look() {
    WorkerStats now = worker->stats();
    auto ledger_now = worker->ledger();
    {
      const std::lock_guard lock(mutex);
      stats = now;
      ledger = std::move(ledger_now);
      has_tasks = worker->has_tasks();
      if (status_asked == status_given) return;
    }
    look_closely();
  }
  // Goes through all windows: only when somebody asks.
  void look_closely() {
    auto status_now = worker->status();
    const std::lock_guard lock(mutex);
    status = std::move(status_now);
    status_given = status_asked;
    looked.notify_all();
  }
};

// The workers beside the first one. However the loop is left, they have ended then.
class Run::Threads {
 public:
  explicit Threads(Run& run) : run_(run) {
    for (const auto& seat : run.seats_) {
      if (seat->own_thread) threads_.emplace_back([&run, seat = seat.get()] { run.drive(*seat); });
    }
  }
  ~Threads() {
    if (!in_order_) run_.abandoned_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  void in_order() { in_order_ = true; }

 private:
  Run& run_;
  std::vector<std::thread> threads_;
  bool in_order_ = false;  // else an exception goes through
};

Run::Run() = default;
Run::~Run() = default;

namespace {

Status check_options(const Plan& plan, const JobOptions& options, const RunEnv& env) {
  if (options.commit_interval <= 0) return Status::invalid("commit_interval must be > 0");
  if (options.checkpoint_interval <= 0) return Status::invalid("checkpoint_interval must be > 0");
  if (options.commit_rows < 0) return Status::invalid("commit_rows must be > 0");
  if (options.memory_limit < 0) return Status::invalid("memory_limit must be > 0");
  if (options.transaction_timeout <= 0) return Status::invalid("transaction_timeout must be > 0");
  for (const std::string& step : options.reset_steps) {
    bool known = false;
    for (const Plan::Node& node : plan.nodes()) known = known || node.name == step;
    if (!known) return Status::invalid("reset: this job has no step '" + step + "'");
  }
  if (env.tap == nullptr && env.log == nullptr)
    return Status::invalid("job " + plan.job() + " has no log: Job(..., log=\"local:DIR\")");
  if (options.workers < 1 || options.workers > kMaxWorkers)
    return Status::invalid("workers must be 1 to " + std::to_string(kMaxWorkers));
  if (options.workers == 1 || env.tap != nullptr) return {};
  if (!env.rows.empty()) return Status::invalid("workers: a bounded input is read by one worker; leave workers out");
  if (options.max_rows > 0) return Status::invalid("workers: rows=N counts the records of one worker; leave one out");
  if (const std::string uri = env.log->uri(); uri.starts_with("memory:") || uri.starts_with("local:")) {
    return Status::invalid("workers: the groups of " + uri +
                           " have one member; several workers share a topic of Kafka (log=\"kafka://HOST:PORT\")");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Run>> Run::open(std::shared_ptr<const Plan> plan, const JobOptions& options, const RunEnv& env) {
  WL_RETURN_IF_ERROR(check_options(*plan, options, env));
  auto run = std::unique_ptr<Run>(new Run);
  run->clock_ = env.clock;
  run->tap_ = env.tap;
  WL_ASSIGN_OR_RETURN(run->stages_, make_stages(plan, [&](const SourceSpec& source) -> Result<int32_t> {
                        if (source.topic.empty()) return 1;
                        const Result<TopicInfo> info = env.log->topic(source.topic);
                        if (info.status().code() == Code::kNotFound) return 1;  // its worker says how to make it
                        return info.ok() ? Result<int32_t>(info->partitions) : info.status();
                      }));
  if (env.tap != nullptr && run->stages_.size() > 1) {
    WL_ASSIGN_OR_RETURN(run->exchange_, MemoryExchange::make(run->stages_, env.clock));
  }
  const bool memory = env.log != nullptr && env.log->uri().starts_with("memory:");
  if (env.tap == nullptr && !memory) {
    WL_ASSIGN_OR_RETURN(run->slot_, Slot::take(options.state_dir, plan->job()));
  }
  WL_RETURN_IF_ERROR(run->make_seats(plan, options, env));
  return run;
}

namespace {

// Of one stage's journal.
Status add_ledger(Log& log, const std::string& topic, const std::string& group, std::map<int32_t, Ledger>& ledgers) {
  WL_ASSIGN_OR_RETURN(const TopicInfo info, log.topic(topic));
  std::map<int32_t, int64_t> last;  // commit_seq
  WL_ASSIGN_OR_RETURN(const Offsets committed, log.committed(group));
  for (const auto& [anchor, offset] : committed) {
    WL_ASSIGN_OR_RETURN(const CommitMetadata metadata, CommitMetadata::decode(offset.metadata));
    last[anchor.partition] = metadata.commit_seq;
  }
  for (int32_t partition = 0; partition < info.partitions; ++partition) {
    // Without transactions there may be rows of commits that never were.
    const auto counts = [&](const JournalRow& row) {
      const auto known = last.find(partition);
      return known == last.end() || row.commit_seq <= known->second;
    };
    WL_ASSIGN_OR_RETURN(std::optional<JournalRow> row, last_row(log, {topic, partition}, counts));
    if (row) ledgers[partition].insert(ledgers[partition].end(), row->ledger.begin(), row->ledger.end());
  }
  return {};
}

// A step whose state lies in another stage than the one it belongs to now would start empty, in silence.
Status check_moved(Log& log, const std::vector<Stage>& stages) {
  const auto has_step = [](const Stage& stage, const std::string& step) {
    const auto& nodes = stage.plan->nodes();
    return std::any_of(nodes.begin() + 2, nodes.end(), [&](const Plan::Node& node) { return node.name == step; });
  };
  for (const Stage& stage : stages) {
    const Result<TopicInfo> journal = log.topic(stage.plan->journal_topic());
    if (journal.status().code() == Code::kNotFound) continue;
    std::map<int32_t, Ledger> ledgers;
    WL_RETURN_IF_ERROR(add_ledger(log, stage.plan->journal_topic(), stage.plan->group(), ledgers));
    for (const auto& [partition, ledger] : ledgers) {
      for (const LedgerEntry& entry : ledger) {
        for (const Stage& other : stages) {
          if (&other == &stage || has_step(stage, entry.step) || !has_step(other, entry.step)) continue;
          return Status::invalid("job " + stage.plan->job() + ": step '" + entry.step + "' had its rows from '" +
                                 stage.plan->source().topic + "', and now has them from '" +
                                 other.plan->source().topic + "': its state is in the wrong place. Give " +
                                 "partitioned_by= as before, or fresh=True starts over");
        }
      }
    }
  }
  return {};
}

// Where a topic's partitions end; none: it does not exist.
Result<std::map<int32_t, int64_t>> ends_of(Log& log, const std::string& topic) {
  std::map<int32_t, int64_t> ends;
  const Result<TopicInfo> info = log.topic(topic);
  if (info.status().code() == Code::kNotFound) return ends;
  WL_RETURN_IF_ERROR(info.status());
  for (int32_t partition = 0; partition < info->partitions; ++partition) {
    WL_ASSIGN_OR_RETURN(ends[partition], log.end_offset({topic, partition}, Isolation::kReadUncommitted));
  }
  return ends;
}

// Of the stage's tasks: CommitMetadata::starts_over. Empty: it has committed nothing.
Result<std::set<int64_t>> starts_over_of(Log& log, const Stage& stage) {
  std::set<int64_t> all;
  WL_ASSIGN_OR_RETURN(const Offsets committed, log.committed(stage.plan->group()));
  for (const auto& [anchor, offset] : committed) {
    WL_ASSIGN_OR_RETURN(const CommitMetadata metadata, CommitMetadata::decode(offset.metadata));
    all.insert(metadata.starts_over);
  }
  if (!all.empty()) return all;
  const Result<TopicInfo> journal = log.topic(stage.plan->journal_topic());  // offsets expire
  if (journal.status().code() == Code::kNotFound) return all;
  WL_RETURN_IF_ERROR(journal.status());
  for (int32_t partition = 0; partition < journal->partitions; ++partition) {
    WL_ASSIGN_OR_RETURN(const std::optional<JournalRow> row, last_row(log, {journal->name, partition}));
    if (row) all.insert(row->metadata.starts_over);
  }
  return all;
}

// How often the job has been started over. Each stage starts over in a transaction of its own: those of a run that
// ended between them are of two runs, and one has rows of the other between it and the next.
Result<int64_t> starts_over(Log& log, const std::vector<Stage>& stages, bool fresh) {
  std::set<int64_t> all;
  bool rows_before_it = false;  // a stage that has not begun, behind rows of others
  for (const Stage& stage : stages) {
    WL_ASSIGN_OR_RETURN(const std::set<int64_t> of_stage, starts_over_of(log, stage));
    all.insert(of_stage.begin(), of_stage.end());
    if (!of_stage.empty() || stage.upstream.empty()) continue;
    WL_ASSIGN_OR_RETURN(const auto ends, ends_of(log, stage.plan->source().topic));
    rows_before_it =
        rows_before_it || std::any_of(ends.begin(), ends.end(), [](const auto& end) { return end.second > 0; });
  }
  const int64_t last = all.empty() ? 0 : *all.rbegin();
  if (fresh) return last + 1;
  if (all.size() > 1 || (last > 0 && rows_before_it)) {
    return Status::invalid(
        "job " + stages.front().plan->job() +
        ": a run(fresh=True) ended before it had started all stages over (or is about to, in another "
        "process): nothing is lost, repeat it with fresh=True");
  }
  return last;
}

// What a stage that reads a repartition topic is told: when it ends is for the stages before it to say.
JobOptions options_of(const Stage& stage, const JobOptions& options) {
  JobOptions own = options;
  if (!stage.upstream.empty()) {
    own.until_now = own.close = own.resume_append = false;
    own.max_rows = 0;
  }
  std::erase_if(own.reset_steps, [&](const std::string& step) {
    const auto& nodes = stage.plan->nodes();
    return std::none_of(nodes.begin(), nodes.end(), [&](const Plan::Node& node) { return node.name == step; });
  });
  return own;
}

}  // namespace

Status Run::make_seats(const std::shared_ptr<const Plan>& plan, const JobOptions& options, const RunEnv& env) {
  if (env.tap == nullptr && stages_.size() > 1 && !options.fresh) WL_RETURN_IF_ERROR(check_moved(*env.log, stages_));
  int64_t started_over = 0;
  if (env.tap == nullptr && stages_.size() > 1) {
    WL_ASSIGN_OR_RETURN(started_over, starts_over(*env.log, stages_, options.fresh));
  }
  const std::string job = plan->job();
  const bool memory = env.log != nullptr && env.log->uri().starts_with("memory:");
  const std::vector<const SourceSpec*> sources = plan->sources();
  for (size_t number = 0; number < stages_.size(); ++number) {
    const Stage& stage = stages_[number];
    const std::string& name = stage.plan->stage();
    const auto shared = std::make_shared<SharedRun>();
    std::map<int32_t, int64_t> fresh_from;
    if (env.tap == nullptr && options.fresh && !stage.upstream.empty()) {
      WL_ASSIGN_OR_RETURN(fresh_from, ends_of(*env.log, stage.plan->source().topic));
    }
    for (int64_t i = 0; i < (env.tap ? 1 : options.workers); ++i) {
      auto seat = std::make_unique<Seat>();
      seat->stage = number;
      seat->own_thread = env.tap == nullptr && !seats_.empty();
      WorkerEnv worker{.log = stage.upstream.empty() || env.tap == nullptr ? env.log : exchange_->log(),
                       .clock = env.clock,
                       .failpoints = &seat->failpoints,
                       .tap = env.tap,
                       .exchange = exchange_.get(),
                       .run = shared,
                       .state_bytes = &state_bytes_,
                       .fresh_from = fresh_from,
                       .starts_over = started_over};
      if (stage.source >= 0 && sources[static_cast<size_t>(stage.source)]->topic.empty()) {
        const auto rows_before = std::count_if(sources.begin(), sources.begin() + stage.source,
                                               [](const SourceSpec* source) { return source->topic.empty(); });
        worker.rows = env.rows.at(static_cast<size_t>(rows_before));
      }
      if (env.tap == nullptr) {
        if (const char* text = std::getenv("WRACKLINE_FAILPOINT")) WL_RETURN_IF_ERROR(seat->failpoints.arm_from(text));
        const std::string group = stage.plan->group();
        worker.transactional_id = memory ? group + "-memory-0-0" : slot_->transactional_id(group, i);
        if (options.membership == Membership::kStatic) worker.instance = worker.transactional_id;
        worker.open_store = [open = env.open_store, log = env.log, root = options.state_dir, job, name,
                             memory](int32_t partition) -> Result<std::unique_ptr<Store>> {
          const std::string task = name + "-" + std::to_string(partition);
          if (open) return open(task);
          // State of a memory log lives as long as the log that it belongs to.
          if (memory) return memory_store_of(log, job + "/tasks/" + task);
          return open_rocksdb_store((std::filesystem::path(root) / job / "tasks" / task).string());
        };
      }
      seat->worker = std::make_unique<Worker>(stage.plan, options_of(stage, options), std::move(worker));
      seats_.push_back(std::move(seat));
    }
  }
  return {};
}

// Those that this thread steps.
void Run::look_at_own() {
  for (auto& seat : seats_) {
    if (!seat->own_thread) seat->look();
  }
}

Worker& Run::worker() { return *seats_.front()->worker; }
const Worker& Run::worker() const { return *seats_.front()->worker; }

void Run::request_stop() {
  for (auto& seat : seats_) seat->worker->request_stop();
}

// A failure ends the others in order; the end of a whole stage is what the next one has waited for.
void Run::has_ended(Seat& seat, const Status& status) {
  {
    const std::lock_guard lock(seat.mutex);
    seat.ended = true;
    seat.looked.notify_all();
  }
  const std::lock_guard lock(mutex_);
  if (!status.ok() && first_failure_.ok()) first_failure_ = status;
  if (!status.ok()) request_stop();
  const auto through = [&](size_t stage) {
    return std::all_of(seats_.begin(), seats_.end(), [&](const auto& other) {
      if (other->stage != stage) return true;
      const std::lock_guard of_seat(other->mutex);
      return other->ended;
    });
  };
  for (const auto& other : seats_) {
    const std::vector<size_t>& upstream = stages_[other->stage].upstream;
    if (!upstream.empty() && std::all_of(upstream.begin(), upstream.end(), through)) other->worker->finish_at_end();
  }
  ended_.notify_all();
}

// The whole life of a worker but the first.
void Run::drive(Seat& seat) {
  constexpr int kStepsBetweenLooks = 256;
  Status status;
  for (int steps = 0; !abandoned_; ++steps) {
    const Result<Progress> progress = seat.worker->step();
    status = progress.status();
    if (!status.ok() || *progress == Progress::kDone) break;
    if (*progress == Progress::kIdle) seat.worker->wait(seat.worker->may_wait());
    if (*progress == Progress::kIdle || steps % kStepsBetweenLooks == 0) seat.look();
  }
  seat.look();
  has_ended(seat, status);
}

Status Run::loop(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms) {
  struct Under {
    explicit Under(std::atomic<std::thread::id>& thread) : thread(thread) { thread = std::this_thread::get_id(); }
    ~Under() { thread = std::thread::id(); }
    std::atomic<std::thread::id>& thread;
  };
  const Under under(loops_);  // until the threads have ended, too
  begun_ = true;              // whoever sees it sees the thread
  Threads threads(*this);
  Status status = loop_first(tick, tick_ms);
  threads.in_order();
  return status;
}

// One round over the workers of this thread; kDone: they have ended.
Result<Progress> Run::step_own() {
  Status status;
  bool any = false;
  Worker* waits = nullptr;
  bool idle = true;
  for (const auto& seat : seats_) {
    if (seat->own_thread || seat->ended) continue;
    stepping_ = true;
    const Result<Progress> progress = seat->worker->step();
    stepping_ = false;
    if (!progress.ok() || *progress == Progress::kDone) {
      has_ended(*seat, progress.status());
      if (!progress.ok()) status = progress.status();
      continue;
    }
    any = true;
    idle = idle && *progress == Progress::kIdle;
    waits = seat->worker.get();
  }
  WL_RETURN_IF_ERROR(status);
  if (!any) return Progress::kDone;
  if (!idle) return Progress::kWorked;
  waits->wait(waits->may_wait());
  return Progress::kIdle;
}

// The workers of this thread, then the wait for the others.
Status Run::loop_first(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms) {
  constexpr int kStepsBetweenLooks = 16;  // the clock is looked at that seldom
  int64_t next_tick = clock_->steady_us() + tick_ms * 1000;
  const auto look = [&] {
    if (!tick || (clock_->steady_us() < next_tick && (tap_ == nullptr || !tap_->full()))) return;
    if (!tick(stats())) request_stop();
    next_tick = clock_->steady_us() + tick_ms * 1000;
  };
  for (int steps = 0;; ++steps) {
    const Result<Progress> progress = step_own();
    if (!progress.ok() || *progress == Progress::kDone) break;
    if (*progress == Progress::kIdle || steps % kStepsBetweenLooks == 0 || (tap_ != nullptr && tap_->full())) look();
  }
  for (const auto& seat : seats_) {
    while (seat->own_thread) {
      {
        const std::lock_guard lock(seat->mutex);
        if (seat->ended) break;
      }
      {
        std::unique_lock lock(mutex_);
        ended_.wait_for(lock, std::chrono::milliseconds(tick_ms));
      }
      look();
    }
  }
  if (tick) tick(stats());
  const std::lock_guard lock(mutex_);
  return first_failure_;
}

WorkerStats Run::stats() {
  look_at_own();
  WorkerStats all;
  all.watermark = kPlusInfinity;
  const std::vector<std::string_view> order = {"starting", "replaying", "running", "done"};
  size_t least = order.size() - 1;
  for (auto& seat : seats_) {
    const std::lock_guard lock(seat->mutex);
    WorkerStats one = seat->stats;
    if (!stages_[seat->stage].upstream.empty()) one.rows_taken = one.rows_total = 0;  // blocks of rows counted before
    for (int64_t WorkerStats::* sum :
         {&WorkerStats::rows_taken, &WorkerStats::rows_replayed, &WorkerStats::rows_out, &WorkerStats::late,
          &WorkerStats::dead_letters, &WorkerStats::commits, &WorkerStats::checkpoints, &WorkerStats::recoveries,
          &WorkerStats::adopted, &WorkerStats::state_bytes, &WorkerStats::rows_total}) {
      all.*sum += one.*sum;
    }
    all.longest_freeze_us = std::max(all.longest_freeze_us, one.longest_freeze_us);
    if (seat->has_tasks) all.watermark = std::min(all.watermark, one.watermark);
    for (size_t i = 0; i < least; ++i) least = order[i] == one.phase ? i : least;
  }
  if (all.watermark == kPlusInfinity) all.watermark = kMinusInfinity;
  all.phase = order[least].data();
  return all;
}

std::vector<TaskStatus> Run::status(Millis patience) {
  if (!begun_) return {};
  const std::thread::id loops = loops_;
  const bool own = loops == std::this_thread::get_id();
  const int64_t deadline = clock_->steady_us() + patience * 1000;
  std::vector<TaskStatus> all;
  for (auto& seat : seats_) {
    const std::lock_guard lock(seat->mutex);
    ++seat->status_asked;
  }
  for (auto& seat : seats_) {
    const bool is_mine = own && !seat->own_thread;
    bool at_rest = loops == std::thread::id() || (is_mine && !stepping_);
    if (!at_rest && !is_mine) {
      std::unique_lock lock(seat->mutex);
      const auto left = std::chrono::microseconds(std::max<int64_t>(deadline - clock_->steady_us(), 0));
      seat->looked.wait_for(lock, left, [&] { return seat->ended || seat->status_given == seat->status_asked; });
      at_rest = seat->ended && seat->own_thread && seat->status_given != seat->status_asked;
    }
    if (at_rest) seat->look_closely();
    const std::lock_guard lock(seat->mutex);
    for (TaskStatus one : seat->status) {
      one.stage = seat->stage;
      all.push_back(std::move(one));
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::pair(a.stage, a.partition) < std::pair(b.stage, b.partition);
  });
  return all;
}

std::map<int32_t, Ledger> Run::ledger() {
  look_at_own();
  std::map<std::pair<int32_t, size_t>, Ledger> by_stage;
  for (auto& seat : seats_) {
    const std::lock_guard lock(seat->mutex);
    for (const auto& [partition, ledger] : seat->ledger) {
      // One that has moved may be told of twice: the one that is further counts.
      Ledger& known = by_stage[{partition, seat->stage}];
      const auto in = [](const Ledger& l) { return l.empty() ? -1 : l.front().counts.in; };
      if (in(ledger) > in(known)) known = ledger;
    }
  }
  std::map<int32_t, Ledger> all;
  for (const auto& [name, ledger] : by_stage)
    all[name.first].insert(all[name.first].end(), ledger.begin(), ledger.end());
  return all;
}

Result<std::map<int32_t, Ledger>> read_ledger(Log& log, const std::string& job) {
  std::map<int32_t, Ledger> ledgers;
  WL_RETURN_IF_ERROR(add_ledger(log, Plan(job).journal_topic(), job, ledgers));
  const std::string journals = job + ".journal-";
  WL_ASSIGN_OR_RETURN(const std::vector<TopicInfo> topics, log.topics());
  for (const TopicInfo& topic : topics) {
    if (!topic.name.starts_with(journals) || topic.name == Plan(job).journal_topic()) continue;
    WL_RETURN_IF_ERROR(add_ledger(log, topic.name, job + "." + topic.name.substr(journals.size()), ledgers));
  }
  if (ledgers.empty()) return Status::not_found("job " + job + " has not committed anything on " + log.uri());
  return ledgers;
}

}  // namespace wrackline
