// A job stepped by hand under a clock that stands still: what wrackline.testing is made of.
#include <map>
#include <utility>
#include <vector>

#include "bindings.h"
#include "log.h"
#include "plan.h"
#include "stats.h"
#include "tap.h"
#include <pybind11/stl.h>

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

// Used by one thread.
class Driver {
 public:
  Driver(const PlanHandle& plan, const RowsHandle* rows, std::shared_ptr<Tap> tap, Millis clock)
      : clock_(std::make_shared<ManualClock>(clock)), tap_(std::move(tap)) {
    WorkerEnv env;
    env.clock = clock_;
    env.tap = tap_.get();
    env.failpoints = &failpoints_;
    env.trace = &traces_;
    if (rows != nullptr) {
      env.rows = rows->get();
    } else {
      log_ = check(open_log("memory:", clock_));
      check(log_->create_topic(plan.get().source().topic, 1));
      env.log = log_;
    }
    // Nothing happens by itself: commits are asked for.
    JobOptions options;
    options.commit_interval = kNever;
    options.checkpoint_interval = kNever;
    worker_ = std::make_unique<Worker>(plan.share(), std::move(options), std::move(env));
  }

  // Into the topic of a job that reads one. None: a tombstone.
  void append(const std::string& topic, const std::optional<py::bytes>& value, const std::optional<py::bytes>& key,
              std::optional<Millis> timestamp) {
    if (log_ == nullptr) raise(Status::invalid("this job reads rows, not a topic"));
    Records records;
    const auto view = [](const std::optional<py::bytes>& bytes) {
      return bytes ? std::optional(std::string_view(*bytes)) : std::nullopt;
    };
    records.add(view(key), view(value), timestamp.value_or(clock_->now()));
    check(log_->append({topic, 0}, records).status());
  }

  // One step: "worked", "idle" or "done".
  const char* step() {
    if (done_) return "done";
    const Progress progress = check(without_gil([this] { return worker_->step(); }), Of::kJob);
    done_ = progress == Progress::kDone;
    return done_ ? "done" : progress == Progress::kIdle ? "idle" : "worked";
  }

  // Steps until there is nothing to do.
  void settle() {
    const Status status = without_gil([this]() -> Status {
      while (!done_) {
        WL_ASSIGN_OR_RETURN(const Progress progress, worker_->step());
        done_ = progress == Progress::kDone;
        if (progress == Progress::kIdle) break;
      }
      return {};
    });
    check(status, Of::kJob);
  }

  void commit() {
    worker_->request_commit();
    settle();
  }
  void stop() {
    worker_->request_stop();
    settle();
  }
  void idle() {
    check(worker_->force_idle(), Of::kJob);
    settle();
  }
  void advance(Millis ms) {
    if (ms < 0) raise(Status::invalid("a clock does not go back"));
    clock_->advance(ms);
    settle();
  }

  bool done() const { return done_; }
  Millis now() const { return clock_->now(); }
  Millis watermark() const { return worker_->watermark(0); }
  py::dict ledger() const { return to_dict(worker_->ledger()); }
  py::dict stats() const { return to_dict(worker_->stats()); }
  py::list trace() const { return traces_.rows(); }

 private:
  std::shared_ptr<ManualClock> clock_;
  std::shared_ptr<Tap> tap_;
  std::shared_ptr<Log> log_;
  Failpoints failpoints_;
  Traces traces_;
  std::unique_ptr<Worker> worker_;
  bool done_ = false;
};

}  // namespace

void register_driver(py::module_& m) {
  py::class_<Driver>(m, "Driver")
      .def(py::init<const PlanHandle&, const RowsHandle*, std::shared_ptr<Tap>, Millis>(), py::arg("plan"),
           py::kw_only(), py::arg("rows") = py::none(), py::arg("tap"), py::arg("clock") = 0)
      .def("append", &Driver::append, py::arg("topic"), py::arg("value"), py::kw_only(), py::arg("key") = py::none(),
           py::arg("timestamp") = py::none())
      .def("step", &Driver::step)
      .def("settle", &Driver::settle)
      .def("commit", &Driver::commit)
      .def("stop", &Driver::stop)
      .def("idle", &Driver::idle)
      .def("advance", &Driver::advance, py::arg("ms"))
      .def_property_readonly("done", &Driver::done)
      .def_property_readonly("now", &Driver::now)
      .def_property_readonly("watermark", &Driver::watermark)
      .def("ledger", &Driver::ledger)
      .def("stats", &Driver::stats)
      .def("trace", &Driver::trace);
}

}  // namespace wrackline::bindings
