// A job stepped by hand under a clock that stands still: what wrackline.testing is made of.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "bindings.h"
#include "log.h"
#include "plan.h"
#include "stats.h"
#include "tap.h"
#include <pybind11/stl.h>

#include "wrackline/job/memory_exchange.h"
#include "wrackline/job/stages.h"

namespace wrackline::bindings {
namespace {

constexpr Millis kNever = kMaxDuration;

// What became of each record, in the order in which they were taken.
class Traces final : public TraceSink {
 public:
  void trace(TraceRecord record) override {
    places_[{record.partition, record.offset}] = records_.size();
    records_.push_back(std::move(record));
  }
  void fate(int32_t partition, int64_t offset, Fate fate, std::string_view step) override {
    const auto place = places_.find({partition, offset});
    if (place == places_.end()) return;
    records_[place->second].fate = fate;
    records_[place->second].step = step;
  }
  py::list rows() const {
    py::list rows;
    const auto time = [](Millis t) { return t == kMinusInfinity ? py::object(py::none()) : py::object(py::int_(t)); };
    for (const TraceRecord& record : records_) {
      py::dict row;
      row["partition"] = record.partition;
      row["offset"] = record.offset;
      row["event_time"] = time(record.event_time);
      row["arrival"] = time(record.arrival);
      row["watermark"] = time(record.watermark);
      row["set_by_offset"] =
          record.set_by_offset < 0 ? py::object(py::none()) : py::object(py::int_(record.set_by_offset));
      row["fate"] = std::string(fate_name(record.fate));
      row["step"] = record.step;
      rows.append(row);
    }
    return rows;
  }

 private:
  std::vector<TraceRecord> records_;
  std::map<std::pair<int32_t, int64_t>, size_t> places_;
};

// Used by one thread. Each of the job's sources is an input, numbered in order.
class Driver {
 public:
  Driver(const PlanHandle& plan, const std::vector<RowsHandle*>& rows, std::shared_ptr<Tap> tap, Millis clock)
      : clock_(std::make_shared<ManualClock>(clock)), tap_(std::move(tap)) {
    log_ = check(open_log("memory:", clock_));
    for (const SourceSpec* source : plan.get().sources()) {
      if (!source->topic.empty()) check(log_->create_topic(source->topic, 1));
    }
    stages_ = check(make_stages(plan.share(), [](const SourceSpec&) { return Result<int32_t>(1); }), Of::kJob);
    if (stages_.size() > 1) exchange_ = check(MemoryExchange::make(stages_, clock_));
    // Nothing happens by itself: commits are asked for.
    JobOptions options;
    options.commit_interval = kNever;
    options.checkpoint_interval = kNever;
    size_t next_rows = 0;
    for (const Stage& stage : stages_) {
      WorkerEnv env;
      env.clock = clock_;
      env.tap = tap_.get();
      env.exchange = exchange_.get();
      env.failpoints = &failpoints_;
      env.log = stage.upstream.empty() ? log_ : exchange_->log();
      if (stage.upstream.empty()) env.trace = &traces_;
      if (stage.plan->source().topic.empty()) env.rows = rows.at(next_rows++)->get();
      workers_.push_back({std::make_unique<Worker>(stage.plan, options, std::move(env)), false});
    }
  }

  // Into the topic of a job that reads one. None: a tombstone.
  void append(const std::string& topic, const std::optional<py::bytes>& value, const std::optional<py::bytes>& key,
              std::optional<Millis> timestamp) {
    Records records;
    const auto view = [](const std::optional<py::bytes>& bytes) {
      return bytes ? std::optional(std::string_view(*bytes)) : std::nullopt;
    };
    records.add(view(key), view(value), timestamp.value_or(clock_->now()));
    check(log_->append({topic, 0}, records).status());
  }

  // One step: "worked", "idle" or "done".
  const char* step() {
    if (done()) return "done";
    const Progress progress = check(without_gil([this] { return step_one(); }), Of::kJob);
    return done() ? "done" : progress == Progress::kIdle ? "idle" : "worked";
  }

  // Steps until there is nothing to do.
  void settle() {
    const Status status = without_gil([this]() -> Status {
      while (!done()) {
        WL_ASSIGN_OR_RETURN(const Progress progress, step_one());
        if (progress == Progress::kIdle) break;
      }
      return {};
    });
    check(status, Of::kJob);
  }

  void commit() {
    for (Seat& seat : workers_) {
      seat.worker->request_commit();
      settle();
    }
  }
  void stop() {
    for (Seat& seat : workers_) seat.worker->request_stop();
    settle();
  }
  void idle(size_t input) {
    check(workers_.at(stage_of(input)).worker->force_idle(), Of::kJob);
    settle();
  }
  void advance(Millis ms) {
    if (ms < 0) raise(Status::invalid("a clock does not go back"));
    clock_->advance(ms);
    settle();
  }

  bool done() const {
    return std::all_of(workers_.begin(), workers_.end(), [](const Seat& seat) { return seat.done; });
  }
  Millis now() const { return clock_->now(); }
  Millis watermark() const { return workers_.back().worker->watermark(0); }
  py::dict ledger() const {
    std::map<int32_t, Ledger> all;
    for (const Seat& seat : workers_) {
      for (const auto& [partition, ledger] : seat.worker->ledger())
        all[partition].insert(all[partition].end(), ledger.begin(), ledger.end());
    }
    return to_dict(all);
  }
  py::dict stats() const { return to_dict(workers_.front().worker->stats()); }
  py::list trace() const { return traces_.rows(); }

 private:
  struct Seat {
    std::unique_ptr<Worker> worker;
    bool done = false;
  };

  size_t stage_of(size_t input) const {
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (stages_[i].source == static_cast<int>(input)) return i;
    }
    raise(Status::invalid("there is no input " + std::to_string(input)));
  }

  // One step of the first stage that has work. What one does is told to those behind it at once.
  Result<Progress> step_one() {
    for (size_t i = 0; i < workers_.size(); ++i) {
      Seat& seat = workers_[i];
      if (seat.done) continue;
      const auto& upstream = stages_[i].upstream;
      if (!upstream.empty() &&
          std::all_of(upstream.begin(), upstream.end(), [&](size_t u) { return workers_[u].done; }))
        seat.worker->finish_at_end();
      WL_ASSIGN_OR_RETURN(const Progress progress, seat.worker->step());
      seat.done = progress == Progress::kDone;
      if (progress != Progress::kIdle) {
        if (!seat.done && exchange_) WL_RETURN_IF_ERROR(seat.worker->tell_marks());
        return Progress::kWorked;
      }
    }
    return Progress::kIdle;
  }

  std::shared_ptr<ManualClock> clock_;
  std::shared_ptr<Tap> tap_;
  std::shared_ptr<Log> log_;
  Failpoints failpoints_;
  Traces traces_;
  std::vector<Stage> stages_;
  std::unique_ptr<MemoryExchange> exchange_;
  std::vector<Seat> workers_;
};

}  // namespace

void register_driver(py::module_& m) {
  py::class_<Driver>(m, "Driver")
      .def(py::init<const PlanHandle&, const std::vector<RowsHandle*>&, std::shared_ptr<Tap>, Millis>(),
           py::arg("plan"), py::kw_only(), py::arg("rows") = std::vector<RowsHandle*>(), py::arg("tap"),
           py::arg("clock") = 0)
      .def("append", &Driver::append, py::arg("topic"), py::arg("value"), py::kw_only(), py::arg("key") = py::none(),
           py::arg("timestamp") = py::none())
      .def("step", &Driver::step)
      .def("settle", &Driver::settle)
      .def("commit", &Driver::commit)
      .def("stop", &Driver::stop)
      .def("idle", &Driver::idle, py::arg("input") = 0)
      .def("advance", &Driver::advance, py::arg("ms"))
      .def_property_readonly("done", &Driver::done)
      .def_property_readonly("now", &Driver::now)
      .def_property_readonly("watermark", &Driver::watermark)
      .def("ledger", &Driver::ledger)
      .def("stats", &Driver::stats)
      .def("trace", &Driver::trace);
}

}  // namespace wrackline::bindings
