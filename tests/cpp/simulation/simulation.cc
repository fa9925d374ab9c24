#include "simulation/simulation.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "simulation/check.h"

#include "wrackline/job/worker.h"
#include "wrackline/source/rows.h"

namespace wrackline::simulation {
namespace {

constexpr int64_t kMostActions = 40'000;  // far more than any run needs
constexpr int64_t kChaosActions = 3'000;  // then the rest of the input comes at once
constexpr const char* kTransactionalId = "job-sim-0-0";

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options),
        trace_(options.trace),
        random_(options.seed * 0x9e3779b97f4a7c15ULL + 1),
        clock_(std::make_shared<ManualClock>(kStartOfTime)) {
    Random of_job = random_.fork();
    job_ = random_job(of_job);
    if (options.change_job) options.change_job(job_);
    Random of_input = random_.fork();
    input_ = random_input(of_input, job_);
    plan_ = make_plan(job_);
    Random of_faults = random_.fork();
    const int64_t budget = of_faults.pick<int64_t>({0, 2, 5, 12, 20});
    const double rate = of_faults.pick({0.002, 0.01, 0.03, 0.1});
    faults_ = std::make_unique<Faults>(of_faults.fork(), &trace_, budget, rate);
    clock_step_ = random_.pick<Millis>({1, 10, 60});
    wall_jumps_ = random_.chance(0.3);
    long_sleeps_ = random_.chance(0.2);
    chunk_ = random_.pick<int64_t>({1, 5, 25, 400});
    transactional_input_ = random_.chance(0.4);
    trace_.note("job", job_.describe());
  }

  ~Simulation() { drop_worker(); }

  SimulationResult run() {
    open();
    int64_t actions = 0;
    while (result_.failures.empty() && !finished_) {
      if (++actions > kMostActions)
        fail("the job does not come to its end: phase " + std::string(worker_ ? worker_->stats().phase : "none"));
      if (actions == kChaosActions) {
        while (sent_ < input_.order.size()) send();
      }
      act();
    }
    drop_worker();
    if (result_.failures.empty()) {
      // As a next owner would: whatever a dead process left open is aborted.
      harvest_all();
      for (const auto& [partition, rows] : journal_) {
        for (const JournalRow& row : rows) result_.decisions += static_cast<int64_t>(row.decisions.size());
        for (const LedgerEntry& entry : rows.back().ledger) {
          StepCounts::for_each([&](const char*, auto member) { result_.counts.*member += entry.counts.*member; });
        }
      }
      result_.failures = check(job_, input_, journal_, *broker_->log);
      check_live_ledger();
    }
    trace_.note("end", result_.failures.empty() ? "" : result_.failures.front());
    result_.trace_hash = trace_.hash();
    result_.events = trace_.count();
    result_.records = static_cast<int64_t>(input_.order.size());
    return std::move(result_);
  }

 private:
  void fail(std::string text) { result_.failures.push_back(std::move(text)); }

  void open() {
    broker_ = std::make_shared<Broker>();
    Result<std::shared_ptr<Log>> log = open_log("memory:", clock_);
    WL_CHECK(log.ok());
    broker_->log = std::move(log).value();
    if (job_.bounded)
      rows_ = std::make_shared<RowsSource>(schema_of(job_));
    else
      WL_CHECK(broker_->log->create_topic(job_.topic, job_.partitions).ok());
    if (job_.out_partitions != job_.partitions) WL_CHECK(broker_->log->create_topic("out", job_.out_partitions).ok());
    broker_->before_trim = [this](const TopicPartition& partition) { harvest(partition.partition); };
    broker_->wrap_client = options_.wrap_client;
    for (int32_t p = 0; p < job_.partitions; ++p) {
      auto disk = std::make_shared<Disk>();
      disk->store = make_memory_store();
      if (options_.wrap_store) disk->store = options_.wrap_store(std::move(disk->store));
      disks_.push_back(std::move(disk));
    }
    if (transactional_input_ && !job_.bounded) {
      Result<std::unique_ptr<LogClient>> client = broker_->log->client();
      WL_CHECK(client.ok());
      producer_ = std::move(client).value();
      producer_->start_init("producer");
      static_cast<void>(producer_->poll(1));
    }
  }

  // One choice of the scheduler.
  void act() {
    if (worker_ == nullptr) {
      if (random_.chance(0.3)) return pass_time();
      if (random_.chance(0.3)) return send();
      return start();
    }
    const double choice = random_.unit();
    if (choice < 0.70) return step();
    if (choice < 0.80) return pass_time();
    if (choice < 0.95) return send();
    if (choice < 0.96 && (!last_run_ || random_.chance(0.2))) {
      trace_.note("request_stop");
      stop_requested_ = true;
      return worker_->request_stop();
    }
    if (faults_->strike("kill", 2.0)) return kill();
    step();
  }

  void pass_time() {
    Millis by = random_.between(0, clock_step_);
    if (random_.chance(0.05)) by = random_.between(0, 2'000);
    if (long_sleeps_ && random_.chance(0.02)) by = random_.between(50'000, 200'000);
    clock_->advance(by);
    if (wall_jumps_ && random_.chance(0.03)) {
      const Millis to =
          clock_->now() + random_.between(-3'600'000, job_.idle_after && job_.idle_close ? 100 : 3'600'000);
      clock_->jump(to);
      trace_.note("wall clock jumps", {}, to);
    }
    trace_.note("time", {}, clock_->now(), clock_->steady_us());
  }

  // The next records of the input: at once, in a transaction, or in one that is aborted first.
  void send() {
    if (sent_ == input_.order.size()) return;
    const int64_t count = random_.between(1, chunk_);
    if (rows_) return send_rows(count);
    std::map<int32_t, Records> batches;
    for (int64_t i = 0; i < count && sent_ < input_.order.size(); ++i) {
      const int32_t p = input_.order[sent_++];
      const InputRecord& record = input_.partitions[static_cast<size_t>(p)][next_record_[p]++];
      batches[p].add(record.record_key, record.value, record.log_timestamp, 0, record.headers);
    }
    trace_.note("send", {}, static_cast<int64_t>(sent_));
    const auto append = [&](auto&& to) {
      for (const auto& [p, records] : batches) WL_CHECK(to({job_.topic, p}, records));
    };
    if (producer_ == nullptr || random_.chance(0.3)) {
      append([&](const TopicPartition& to, const Records& records) { return broker_->log->append(to, records).ok(); });
      return;
    }
    const auto transaction = [&](bool commit) {
      WL_CHECK(producer_->begin().ok());
      append([&](const TopicPartition& to, const Records& records) { return producer_->append(to, records).ok(); });
      commit ? producer_->start_commit() : producer_->start_abort();
      static_cast<void>(producer_->poll(1));
    };
    if (random_.chance(0.2)) transaction(false);
    transaction(true);
  }

  void send_rows(int64_t count) {
    for (int64_t i = 0; i < count && sent_ < input_.order.size(); ++i) {
      const InputRecord& record = input_.partitions[0][sent_++];
      if (record.value)
        WL_CHECK(rows_->append(make_rows(rows_->schema(), record)).ok());
      else
        rows_->append_tombstone();
    }
    if (sent_ == input_.order.size()) rows_->close();
    trace_.note("send rows", {}, static_cast<int64_t>(sent_));
  }

  void start() {
    process_ = std::make_shared<Process>();
    process_->faults = faults_.get();
    failpoints_ = std::make_unique<Failpoints>();
    failpoints_->arm_all([process = process_](Failpoint point) { return process->call(failpoint_name(point)); });
    JobOptions options;
    options.commit_interval = random_.pick<Millis>({1, 10, 50, 200});
    options.commit_rows = random_.pick<int64_t>({0, 0, 1, 5, 20});
    options.checkpoint_interval = random_.pick<Millis>({1, 20, 100, 1'000});
    options.max_poll_records = random_.pick<int64_t>({1, 3, 16, 64, 4096});
    options.state_dir = "(simulated)";
    stop_requested_ = false;
    live_ledger_.clear();
    last_run_ = sent_ == input_.order.size() && random_.chance(0.7);
    if (!last_run_ && random_.chance(0.1)) options.max_rows = random_.between(1, 50);
    if (rows_) {
      options.resume_append = job_.resume_append;
      if (options.max_rows == 0) last_run_ = true;  // it ends when the rows do
    } else {
      options.until_now = last_run_;
      options.close = last_run_ && job_.close_at_end;
    }
    WorkerEnv env;
    env.log = make_faulty_log(broker_, process_);
    env.clock = clock_;
    env.rows = rows_;
    env.failpoints = failpoints_.get();
    env.transactional_id = kTransactionalId;
    env.open_store = [this, process = process_](int32_t partition) -> Result<std::unique_ptr<Store>> {
      WL_RETURN_IF_ERROR(process->call("open_store"));
      return make_faulty_store(disks_[static_cast<size_t>(partition)], process);
    };
    trace_.note("start", {}, ++result_.processes, last_run_);
    worker_ = std::make_unique<Worker>(plan_, options, std::move(env));
  }

  void step() {
    const int64_t burst = random_.between(1, 12);
    for (int64_t i = 0; i < burst && worker_ != nullptr; ++i) {
      const Result<Progress> progress = worker_->step();
      if (!progress.ok()) return ended(progress.status());
      if (*progress == Progress::kDone) return done();
      if (*progress == Progress::kIdle) {
        // Nothing happens until time passes.
        if (last_run_ || random_.chance(0.5)) pass_time();
        return;
      }
    }
  }

  void done() {
    trace_.note("done", worker_->stats().phase, worker_->stats().commits);
    live_ledger_ = worker_->ledger();
    drop_worker();
    const bool at_end = last_run_ && !stop_requested_;
    if (at_end && random_.chance(0.7)) finished_ = true;  // else once more, with nothing left to read
  }

  void ended(const Status& status) {
    trace_.note("ended", status.to_string());
    if (status.code() == Code::kCrashed) return kill();
    // Failing over and over may end a run, after at least a few times.
    // A bounded input that has ended cannot be run again: all is done, also if nobody heard of it.
    if (job_.bounded && has_ended() && status.code() == Code::kInvalidArgument &&
        status.message().find("read to its end by an earlier run") != std::string::npos) {
      finished_ = true;
      return drop_worker();
    }
    const bool gave_up = status.message().starts_with("gave up") && process_->recoverable > 5;
    if (!process_->stopped_by_fault && !gave_up) fail("the worker stopped: " + status.to_string());
    drop_worker();
  }

  bool has_ended() {
    harvest_all();
    const auto rows = journal_.find(0);
    if (rows == journal_.end()) return false;
    return std::any_of(rows->second.begin(), rows->second.end(), [](const JournalRow& row) {
      return std::any_of(row.decisions.begin(), row.decisions.end(),
                         [](const Decision& d) { return d.kind == Decision::Kind::kEnded; });
    });
  }

  void kill() {
    trace_.note("killed");
    ++result_.crashes;
    process_->crashed = true;
    drop_worker();
  }

  void drop_worker() {
    if (worker_ == nullptr) return;
    const WorkerStats stats = worker_->stats();
    result_.recoveries += stats.recoveries;
    result_.checkpoints += stats.checkpoints;
    result_.commits += stats.commits;
    result_.replayed += stats.rows_replayed;
    worker_.reset();
    failpoints_.reset();
    process_.reset();
  }

  // What a run said of itself is what it committed.
  void check_live_ledger() {
    for (const auto& [partition, rows] : journal_) {
      const auto found = live_ledger_.find(partition);
      if (found != live_ledger_.end() && found->second != rows.back().ledger) {
        fail("partition " + std::to_string(partition) + ": the worker's ledger is not the one in the journal");
      }
    }
  }

  // Takes over journal rows that are committed.
  void harvest(int32_t partition) {
    const TopicPartition journal{plan_->journal_topic(), partition};
    const Result<int64_t> end = broker_->log->end_offset(journal, Isolation::kReadCommitted);
    if (!end.ok()) return;
    int64_t& offset = harvested_[partition];
    while (offset < *end) {
      const Result<event::Polled> polled = broker_->log->read(journal, offset, 1 << 20, Isolation::kReadCommitted);
      if (!polled.ok()) return fail("the journal cannot be read: " + polled.status().to_string());
      for (int64_t i = 0; i < polled->records->size(); ++i) {
        Result<JournalRow> row = JournalRow::decode(polled->records->value(i));
        if (!row.ok()) return fail("journal row: " + row.status().to_string());
        journal_[partition].push_back(std::move(row).value());
      }
      if (polled->next_offset <= offset) break;
      offset = polled->next_offset;
    }
  }
  void harvest_all() {
    for (int32_t p = 0; p < job_.partitions; ++p) harvest(p);
  }

  const SimulationOptions& options_;
  EventTrace trace_;
  Random random_;
  std::shared_ptr<ManualClock> clock_;
  JobSpec job_;
  Input input_;
  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<Faults> faults_;
  Millis clock_step_ = 1;
  bool wall_jumps_ = false;
  bool long_sleeps_ = false;
  int64_t chunk_ = 1;
  bool transactional_input_ = false;

  std::shared_ptr<Broker> broker_;
  std::vector<std::shared_ptr<Disk>> disks_;
  std::unique_ptr<LogClient> producer_;
  std::shared_ptr<RowsSource> rows_;  // of a bounded input
  size_t sent_ = 0;
  std::map<int32_t, size_t> next_record_;

  std::shared_ptr<Process> process_;
  std::unique_ptr<Failpoints> failpoints_;
  std::unique_ptr<Worker> worker_;
  bool last_run_ = false;  // it ends at the end of the input
  bool stop_requested_ = false;
  bool finished_ = false;
  std::map<int32_t, Ledger> live_ledger_;  // of the last run that ended in order

  Journal journal_;
  std::map<int32_t, int64_t> harvested_;
  SimulationResult result_;
};

}  // namespace

SimulationResult simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace wrackline::simulation
