#include "wrackline/job/run.h"

#include <atomic>
#include <mutex>

#include "bindings.h"
#include "log.h"
#include "plan.h"
#include "stage_shape.h"
#include "stats.h"
#include "tap.h"
#include <pybind11/functional.h>
#include <pybind11/stl.h>

namespace wrackline::bindings {
namespace {

constexpr Millis kTick = 50;
constexpr Millis kPatience = 2'000;  // for a worker that is in a long call of a user's function

// One run of a job. loop() is called once, by any thread; the rest by any thread meanwhile.
class RunHandle {
 public:
  RunHandle(const PlanHandle& plan, const std::optional<JobOptions>& options, const LogHandle* log,
            const std::vector<RowsHandle*>& rows, std::shared_ptr<Tap> tap)
      : tap_(std::move(tap)) {
    RunEnv env;
    if (log != nullptr) env.log = log->get();
    for (const RowsHandle* of : rows) env.rows.push_back(of->get());
    env.clock = system_clock();
    env.tap = tap_.get();
    auto opened = without_gil([&] { return Run::open(plan.share(), options.value_or(JobOptions()), std::move(env)); });
    run_ = check(std::move(opened), Of::kJob);
    stages_ = shapes_of(run_->stages());
    look();
  }

  ~RunHandle() {
    if (run_ != nullptr) without_gil([this] { run_.reset(); });
  }

  // Calls `progress(stats)` every `every_ms`; ends in order after `seconds` (0: no bound). An exception of a
  // signal handler or of `progress` ends the run where it stands, without a commit.
  void loop(const std::optional<py::function>& progress, Millis every_ms, double seconds) {
    if (run_ == nullptr) raise(Status::invalid("this run has ended"));
    const std::shared_ptr<const Clock> clock = system_clock();
    const int64_t start = clock->steady_us();
    const int64_t deadline = seconds > 0 ? start + static_cast<int64_t>(seconds * 1e6) : 0;
    int64_t next_progress = start + every_ms * 1000;
    const auto tick = [&](const WorkerStats&) {
      look();
      const int64_t now = clock->steady_us();
      const bool full = tap_ != nullptr && tap_->full();
      const py::gil_scoped_acquire gil;
      pass_on_log_lines();
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (tap_ != nullptr) check(tap_->check());
      if (progress && (full || now >= next_progress)) {
        next_progress = now + every_ms * 1000;
        (*progress)(to_dict(stats()));
      }
      return deadline == 0 || now < deadline;
    };
    const Status status = without_gil([&] {
      const Status ended = run_->loop(tick, kTick);
      look();
      return ended;
    });
    const std::lock_guard lock(mutex_);
    stats_.phase = status.ok() ? "done" : "failed";
    check(status, Of::kJob);
    if (tap_ != nullptr) check(tap_->check());
  }

  // From any thread, also while another one closes.
  void request_stop() {
    const std::lock_guard lock(mutex_);
    if (run_ != nullptr) run_->request_stop();
  }

  // Lets go of log, slot and state. REQUIRES: no loop() under way.
  void close() {
    without_gil([this] {
      std::shared_ptr<Run> closing;
      {
        const std::lock_guard lock(mutex_);
        closing = std::move(run_);
      }
    });
  }

  WorkerStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  std::map<int32_t, Ledger> ledger() const {
    const std::lock_guard lock(mutex_);
    return ledger_;
  }
  // Asks the workers. From any thread; without the GIL.
  std::vector<TaskStatus> status() {
    std::shared_ptr<Run> run;
    {
      const std::lock_guard lock(mutex_);
      if (run_ == nullptr) return status_;
      run = run_;
    }
    std::vector<TaskStatus> status = run->status(kPatience);
    const std::lock_guard lock(mutex_);
    status_ = status;
    return status;
  }
  const std::vector<StageShape>& stages() const { return stages_; }

 private:
  // Copies what other threads may ask for.
  void look() {
    WorkerStats stats = run_->stats();
    auto ledger = run_->ledger();
    const std::lock_guard lock(mutex_);
    stats_ = stats;
    ledger_ = std::move(ledger);
  }

  std::shared_ptr<Tap> tap_;
  std::shared_ptr<Run> run_;  // others: of calls of status() under way
  mutable std::mutex mutex_;
  WorkerStats stats_;
  std::map<int32_t, Ledger> ledger_;
  std::vector<TaskStatus> status_;  // as it was given last
  std::vector<StageShape> stages_;
};

template <typename T>
T one_of(const char* option, const std::string& value, const std::vector<std::pair<std::string, T>>& known) {
  std::string names;
  for (const auto& [name, meaning] : known) {
    if (name == value) return meaning;
    names += (names.empty() ? "'" : " or '") + name + "'";
  }
  raise(Status::invalid(std::string(option) + ": " + names + ", not '" + value + "'"));
}

JobOptions make_options(Millis commit_interval, int64_t commit_rows, Millis checkpoint_interval, std::string state_dir,
                        int64_t memory_limit, int64_t max_poll_records, bool fresh, bool replay_accept,
                        bool resume_append, std::vector<std::string> reset_steps, bool until_now, bool close,
                        int64_t max_rows, const std::string& guarantee, int64_t workers, const std::string& membership,
                        Millis transaction_timeout, double max_dead_share, int64_t max_dead_count) {
  JobOptions options;
  options.max_dead_share = max_dead_share;
  options.max_dead_count = max_dead_count;
  options.guarantee = one_of<Guarantee>(
      "guarantee", guarantee, {{"exactly_once", Guarantee::kExactlyOnce}, {"at_least_once", Guarantee::kAtLeastOnce}});
  options.membership = one_of<Membership>("membership", membership,
                                          {{"static", Membership::kStatic}, {"dynamic", Membership::kDynamic}});
  options.workers = workers;
  options.transaction_timeout = transaction_timeout;
  options.commit_interval = commit_interval;
  options.commit_rows = commit_rows;
  options.checkpoint_interval = checkpoint_interval;
  options.state_dir = std::move(state_dir);
  options.memory_limit = memory_limit;
  options.max_poll_records = max_poll_records;
  options.fresh = fresh;
  options.replay_accept = replay_accept;
  options.resume_append = resume_append;
  options.reset_steps = std::move(reset_steps);
  options.until_now = until_now;
  options.close = close;
  options.max_rows = max_rows;
  return options;
}

}  // namespace

py::dict to_dict(const WorkerStats& stats) {
  py::dict out;
  out["rows_taken"] = stats.rows_taken;
  out["rows_replayed"] = stats.rows_replayed;
  out["rows_out"] = stats.rows_out;
  out["late"] = stats.late;
  out["dead_letters"] = stats.dead_letters;
  out["commits"] = stats.commits;
  out["checkpoints"] = stats.checkpoints;
  out["recoveries"] = stats.recoveries;
  out["state_bytes"] = stats.state_bytes;
  out["longest_freeze_us"] = stats.longest_freeze_us;
  out["rows_total"] = stats.rows_total;
  out["watermark"] = stats.watermark;
  out["phase"] = stats.phase;
  return out;
}

py::dict to_dict(const std::map<int32_t, Ledger>& ledgers) {
  py::dict out;
  for (const auto& [partition, ledger] : ledgers) {
    py::list steps;
    for (const LedgerEntry& entry : ledger) {
      py::dict counts;
      StepCounts::for_each(
          [&](const char* name, int64_t StepCounts::* member) { counts[name] = entry.counts.*member; });
      steps.append(py::make_tuple(entry.step, counts));
    }
    out[py::int_(partition)] = steps;
  }
  return out;
}

py::list to_list(const std::vector<TaskStatus>& tasks) {
  py::list out;
  for (const TaskStatus& task : tasks) {
    py::dict steps;
    for (const auto& [name, step] : task.steps) {
      steps[py::str(name)] = py::dict(py::arg("state_bytes") = step.state_bytes, py::arg("entries") = step.entries,
                                      py::arg("open_windows") = step.open_windows, py::arg("next_end") = step.next_end);
    }
    py::list inputs;
    for (const InputStatus& input : task.inputs) {
      inputs.append(py::dict(py::arg("source") = input.source, py::arg("partition") = input.partition,
                             py::arg("watermark") = input.watermark, py::arg("idle") = input.idle,
                             py::arg("ended") = input.ended));
    }
    out.append(py::dict(py::arg("stage") = task.stage, py::arg("partition") = task.partition,
                        py::arg("offset") = task.offset, py::arg("watermark") = task.watermark,
                        py::arg("last_record") = task.last_record, py::arg("on_probation") = task.on_probation,
                        py::arg("idle") = task.idle, py::arg("ended") = task.ended, py::arg("inputs") = inputs,
                        py::arg("steps") = steps));
  }
  return out;
}

void register_run(py::module_& m) {
  py::class_<RowsHandle>(m, "Rows")
      .def(py::init([](const std::vector<FieldTuple>& schema) { return RowsHandle(make_schema(schema)); }),
           py::arg("schema"))
      .def(
          "append",
          [](const RowsHandle& rows, const Table& table) {
            for (const auto& batch : table.batches()) check(rows.get()->append(*batch));
          },
          py::arg("table"))
      .def("append_tombstone", [](const RowsHandle& rows) { rows.get()->append_tombstone(); })
      .def("close", [](const RowsHandle& rows) { rows.get()->close(); })
      .def("__len__", [](const RowsHandle& rows) { return rows.get()->size(); });

  py::class_<Tap, std::shared_ptr<Tap>>(m, "Tap")
      .def(py::init<int64_t, int64_t>(), py::arg("max_rows") = 0, py::arg("max_bytes") = 0)
      .def("watch", &Tap::watch, py::arg("sink"))
      .def(
          "take",
          [](Tap& tap, int sink, const std::vector<FieldTuple>& schema) {
            return check(Table::united(make_schema(schema), tap.take(sink)));
          },
          py::arg("sink"), py::arg("schema"));

  py::class_<JobOptions>(m, "Options")
      .def(py::init(&make_options), py::kw_only(), py::arg("commit_interval") = 100, py::arg("commit_rows") = 0,
           py::arg("checkpoint_interval") = 10'000, py::arg("state_dir") = ".wrackline", py::arg("memory_limit") = 0,
           py::arg("max_poll_records") = 4096, py::arg("fresh") = false, py::arg("replay_accept") = false,
           py::arg("resume_append") = false, py::arg("reset_steps") = std::vector<std::string>(),
           py::arg("until_now") = false, py::arg("close") = false, py::arg("max_rows") = 0,
           py::arg("guarantee") = "exactly_once", py::arg("workers") = 1, py::arg("membership") = "static",
           py::arg("transaction_timeout") = 10'000, py::arg("max_dead_share") = 0.0, py::arg("max_dead_count") = 0);

  py::class_<RunHandle>(m, "Run")
      .def(py::init<const PlanHandle&, const std::optional<JobOptions>&, const LogHandle*,
                    const std::vector<RowsHandle*>&, std::shared_ptr<Tap>>(),
           py::arg("plan"), py::kw_only(), py::arg("options") = py::none(), py::arg("log") = py::none(),
           py::arg("rows") = std::vector<RowsHandle*>(), py::arg("tap") = py::none())
      .def("loop", &RunHandle::loop, py::kw_only(), py::arg("progress") = py::none(), py::arg("every_ms") = 250,
           py::arg("seconds") = 0.0)
      .def("request_stop", &RunHandle::request_stop)
      .def("close", &RunHandle::close)
      .def("stats", [](const RunHandle& run) { return to_dict(run.stats()); })
      .def("ledger", [](const RunHandle& run) { return to_dict(run.ledger()); })
      .def("status", [](RunHandle& run) { return to_list(without_gil([&] { return run.status(); })); })
      .def("stages", [](const RunHandle& run) { return to_list(run.stages()); });

  m.def(
      "read_ledger",
      [](const LogHandle& log, const std::string& job) {
        return to_dict(check(without_gil([&, share = log.get()] { return read_ledger(*share, job); })));
      },
      py::arg("log"), py::arg("job"));
}

}  // namespace wrackline::bindings
