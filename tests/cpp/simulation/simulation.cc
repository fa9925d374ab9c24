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

// A place for a worker: its process comes and goes.
struct Actor {
  std::string transactional_id;
  std::shared_ptr<Process> process;
  std::unique_ptr<Failpoints> failpoints;
  std::unique_ptr<Worker> worker;
  bool last_run = false;  // it ends at the end of the input
  bool stop_requested = false;
  int64_t stalled = 0;  // turns that it misses
  bool rests = false;   // it has come to the end, and another is still at it
};

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
    cuts_firings_ = options.cuts_firings || random_.chance(0.5);
    const bool several = !job_.bounded && (options.several || random_.chance(0.4));
    actors_.resize(several ? 2 : 1);
    for (size_t i = 0; i < actors_.size(); ++i) actors_[i].transactional_id = "job-sim-0-" + std::to_string(i);
    result_.workers = static_cast<int64_t>(actors_.size());
    trace_.note("job", job_.describe(), static_cast<int64_t>(actors_.size()));
  }

  ~Simulation() { drop_workers(); }

  SimulationResult run() {
    open();
    int64_t actions = 0;
    while (result_.failures.empty() && !finished_) {
      if (++actions > kMostActions) fail("the job does not come to its end: " + phases());
      if (actions == kChaosActions) {
        while (sent_ < input_.order.size()) send();
      }
      if (actors_.size() > 1 && random_.chance(0.002)) random_actor().stalled = random_.between(10, 400);
      actor_ = &random_actor();
      if (actor_->stalled > 0 && actors_.size() > 1) {
        --actor_->stalled;
        continue;
      }
      act();
      for (const std::string& violation : broker_->violations) fail(violation);
    }
    drop_workers();
    result_.revokes = broker_->group->revokes();
    result_.moves = broker_->group->moves();
    for (const auto& [id, times] : broker_->fenced) result_.fenced += times;
    if (result_.failures.empty()) {
      broker_->expire(true);
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
  std::string phases() const {
    std::string text;
    for (const Actor& actor : actors_) text += std::string(actor.worker ? actor.worker->stats().phase : "none") + " ";
    return text;
  }
  Actor& random_actor() {
    return actors_[static_cast<size_t>(random_.between(0, static_cast<int64_t>(actors_.size()) - 1))];
  }
  void fail(std::string text) { result_.failures.push_back(std::move(text)); }

  void open() {
    broker_ = std::make_shared<Broker>();
    Result<std::shared_ptr<Log>> log = open_log("memory:", clock_);
    WL_CHECK(log.ok());
    broker_->log = std::move(log).value();
    broker_->clock = clock_;
    broker_->group = std::make_unique<Group>(random_.fork(), &trace_);
    broker_->wrap_committed = options_.wrap_committed;
    broker_->answers_early = options_.answers_early;
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
    if (actor_->worker == nullptr) {
      if (actor_->rests) return pass_time();
      if (random_.chance(0.3)) return pass_time();
      if (random_.chance(0.3)) return send();
      return start();
    }
    const double choice = random_.unit();
    if (choice < 0.70) return step();
    if (choice < 0.80) return pass_time();
    if (choice < 0.95) return send();
    if (choice < 0.96 && (!actor_->last_run || random_.chance(0.2))) {
      trace_.note("request_stop");
      actor_->stop_requested = true;
      return actor_->worker->request_stop();
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
    broker_->expire(false);
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

  // Of a group without members: nobody has come by for weeks.
  void offsets_expire() {
    const bool alone = std::all_of(actors_.begin(), actors_.end(), [](const Actor& a) { return a.worker == nullptr; });
    if (!alone || !faults_->strike("offsets expire", 2.0)) return;
    broker_->expire(true);
    for (int32_t p = 0; p < job_.partitions; ++p) {
      if (random_.chance(0.7)) broker_->expired.insert({job_.bounded ? job_.name + ".journal-0" : job_.topic, p});
    }
    ++result_.expired;
  }

  void start() {
    offsets_expire();
    Actor& actor = *actor_;
    actor.process = std::make_shared<Process>();
    actor.process->faults = faults_.get();
    actor.failpoints = std::make_unique<Failpoints>();
    actor.failpoints->arm_all(
        [process = actor.process](Failpoint point) { return process->call(failpoint_name(point)); });
    JobOptions options;
    options.commit_interval = random_.pick<Millis>({1, 10, 50, 200});
    options.guarantee = job_.at_least_once ? Guarantee::kAtLeastOnce : Guarantee::kExactlyOnce;
    options.commit_rows = random_.pick<int64_t>({0, 0, 1, 5, 20});
    options.checkpoint_interval = random_.pick<Millis>({1, 20, 100, 1'000});
    options.max_poll_records = random_.pick<int64_t>({1, 3, 16, 64, 4096});
    options.firing_pieces = random_.pick<int64_t>({0, 1, 3});
    options.state_dir = "(simulated)";
    if (cuts_firings_) options.transaction_timeout = random_.pick<Millis>({0, 0, 40, 10'000});  // a quarter of it
    actor.stop_requested = false;
    live_ledger_.clear();
    actor.last_run = sent_ == input_.order.size() && random_.chance(0.7);
    if (!actor.last_run && random_.chance(0.1)) options.max_rows = random_.between(1, 50);
    if (rows_) {
      options.resume_append = job_.resume_append;
      if (options.max_rows == 0) actor.last_run = true;  // it ends when the rows do
    } else {
      options.until_now = actor.last_run;
      options.close = actor.last_run && job_.close_at_end;
    }
    WorkerEnv env;
    env.log = make_faulty_log(broker_, actor.process);
    env.clock = clock_;
    env.rows = rows_;
    env.failpoints = actor.failpoints.get();
    env.transactional_id = actor.transactional_id;
    env.instance = actor.transactional_id;
    env.open_store = [this, process = actor.process](int32_t partition) -> Result<std::unique_ptr<Store>> {
      WL_RETURN_IF_ERROR(process->call("open_store"));
      if (plan_->stateless()) fail("a task without state has opened its store");
      return make_faulty_store(disks_[static_cast<size_t>(partition)], process);
    };
    trace_.note("start", {}, ++result_.processes, actor.last_run);
    actor.worker = std::make_unique<Worker>(plan_, options, std::move(env));
  }

  void step() {
    const int64_t burst = random_.between(1, 12);
    for (int64_t i = 0; i < burst && actor_->worker != nullptr; ++i) {
      const Result<Progress> progress = actor_->worker->step();
      if (!progress.ok()) return ended(progress.status());
      if (*progress == Progress::kDone) return done();
      if (*progress == Progress::kIdle) {
        // Nothing happens until time passes.
        if (actor_->last_run || random_.chance(0.5)) pass_time();
        return;
      }
    }
  }

  void done() {
    trace_.note("done", actor_->worker->stats().phase, actor_->worker->stats().commits);
    live_ledger_ = actor_->worker->ledger();
    live_owner_ = actor_->transactional_id;
    drop_worker(*actor_);
    if (actor_->last_run && !actor_->stop_requested && !job_.bounded) check_all_through();
    if (!actor_->last_run || actor_->stop_requested || random_.chance(0.3)) return;  // once more
    const bool all_rest =
        std::all_of(actors_.begin(), actors_.end(), [&](const Actor& a) { return a.rests || &a == actor_; });
    // The last one at work has to have had all of them.
    if (all_rest)
      finished_ = live_ledger_.size() == static_cast<size_t>(job_.partitions);
    else
      actor_->rests = true;
  }

  // Whoever ends at the end of the input does so when everybody is there.
  void check_all_through() {
    const Result<Offsets> offsets = broker_->log->committed(job_.name);
    for (int32_t p = 0; p < job_.partitions; ++p) {
      if (live_ledger_.contains(p)) continue;  // its own
      const TopicPartition partition{job_.topic, p};
      const auto found = offsets->find(partition);
      const int64_t end = *broker_->log->end_offset(partition, Isolation::kReadCommitted);
      if (found != offsets->end() &&
          std::max(found->second.offset, CommitMetadata::decode(found->second.metadata)->read_to) >= end)
        continue;
      fail("a worker ended before partition " + std::to_string(p) + " was through");
    }
  }

  void ended(const Status& status) {
    trace_.note("ended", status.to_string());
    if (status.code() == Code::kCrashed) return kill();
    // Failing over and over may end a run, after at least a few times.
    // A bounded input that has ended cannot be run again: all is done, also if nobody heard of it.
    if (job_.bounded && has_ended() && status.code() == Code::kInvalidArgument &&
        status.message().find("read to its end by an earlier run") != std::string::npos) {
      finished_ = true;
      return drop_worker(*actor_);
    }
    const int64_t fencings = broker_->fenced[actor_->transactional_id];
    const int64_t reasons = actor_->process->recoverable + fencings + broker_->group->expiries();
    const bool gave_up = status.message().starts_with("gave up") && reasons > 5;
    const bool fenced = status.code() == Code::kFenced && fencings > 1;
    if (!actor_->process->stopped_by_fault && !gave_up && !fenced) fail("the worker stopped: " + status.to_string());
    drop_worker(*actor_);
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
    actor_->process->crashed = true;
    drop_worker(*actor_);
  }

  void drop_workers() {
    for (Actor& actor : actors_) drop_worker(actor);
  }

  void drop_worker(Actor& actor) {
    if (actor.worker == nullptr) return;
    const WorkerStats stats = actor.worker->stats();
    result_.recoveries += stats.recoveries;
    result_.adopted += stats.adopted;
    result_.checkpoints += stats.checkpoints;
    result_.commits += stats.commits;
    result_.cuts += stats.cuts;
    result_.replayed += stats.rows_replayed;
    actor.worker.reset();
    actor.failpoints.reset();
    actor.process.reset();
  }

  // What a run said of itself is what it committed. One that slept at its end may have lost the task since.
  void check_live_ledger() {
    const Result<Offsets> offsets = broker_->log->committed(job_.name);
    if (!offsets.ok()) return fail("committed: " + offsets.status().to_string());
    for (const auto& [partition, rows] : journal_) {
      const auto found = live_ledger_.find(partition);
      const auto anchor = offsets->find({job_.bounded ? plan_->journal_topic() : job_.topic, partition});
      if (found == live_ledger_.end() || anchor == offsets->end()) continue;
      const Result<CommitMetadata> metadata = CommitMetadata::decode(anchor->second.metadata);
      if (!metadata.ok() || metadata->transactional_id != live_owner_) continue;
      if (found->second != rows.back().ledger) {
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
        if (!job_.at_least_once)
          journal_[partition].push_back(std::move(row).value());
        else if (JournalRow& known = repeated_[partition][row->commit_seq];
                 known.metadata.recovery_count <= row->metadata.recovery_count)
          known = std::move(row).value();
      }
      if (polled->next_offset <= offset) break;
      offset = polled->next_offset;
    }
  }
  void harvest_all() {
    for (int32_t p = 0; p < job_.partitions; ++p) harvest(p);
    if (!job_.at_least_once) return;
    // Only commits whose offsets are committed have been.
    journal_.clear();
    const Result<Offsets> offsets = broker_->log->committed(job_.name);
    WL_CHECK(offsets.ok());
    for (const auto& [partition, offset] : *offsets) {
      const Result<CommitMetadata> last = CommitMetadata::decode(offset.metadata);
      WL_CHECK(last.ok());
      for (const auto& [seq, row] : repeated_[partition.partition]) {
        if (seq <= last->commit_seq) journal_[partition.partition].push_back(row);
      }
    }
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
  bool cuts_firings_ = false;

  std::shared_ptr<Broker> broker_;
  std::vector<std::shared_ptr<Disk>> disks_;
  std::unique_ptr<LogClient> producer_;
  std::shared_ptr<RowsSource> rows_;  // of a bounded input
  size_t sent_ = 0;
  std::map<int32_t, size_t> next_record_;

  std::vector<Actor> actors_;
  Actor* actor_ = nullptr;  // whose turn it is
  bool finished_ = false;
  std::map<int32_t, Ledger> live_ledger_;  // of the last run that ended in order
  std::string live_owner_;

  Journal journal_;
  std::map<int32_t, std::map<int64_t, JournalRow>> repeated_;  // at least once: by commit_seq, of the last claim
  std::map<int32_t, int64_t> harvested_;
  SimulationResult result_;
};

}  // namespace

SimulationResult simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace wrackline::simulation
