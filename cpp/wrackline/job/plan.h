// Plan: what a job does, as a user describes it: one source, steps below it, sinks at any stream. Building it
// does no I/O; every mistake that can be seen without the log is an error of the call that makes it.
//
// A plan is built by one thread, then shared as const by the tasks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/status.h"
#include "wrackline/core/step.h"
#include "wrackline/dedup/dedup.h"
#include "wrackline/time/time_stage.h"
#include "wrackline/transform/filter.h"
#include "wrackline/transform/transform.h"
#include "wrackline/window/window.h"

namespace wrackline {

// What flows out of one port of one node. Nodes are numbered in the order in which they were made.
struct StreamRef {
  int node = 0;
  Port port = Port::kMain;
  friend bool operator==(const StreamRef&, const StreamRef&) = default;
};

// Where a stage's rows come from when other stages of the job make them: a repartition topic.
struct ExchangeSource {
  uint32_t sources = 1;    // streams that are merged there
  int32_t partitions = 1;  // of the topic
  IdleAdvance idle_advance = IdleAdvance::kHold;
};

struct SourceSpec {
  std::string topic;  // empty: bounded rows, given at run
  std::optional<ExchangeSource> exchange;
  SchemaPtr schema;
  std::vector<std::string> paths;  // per field: where JSON has it; empty: under its name
  TimeSpec time;
  WatermarkSpec watermark;
  std::vector<std::string> partitioned_by;
  int64_t max_record_bytes = 1 << 20;
};

// The schema as the decoder sees it: fields by their paths.
Schema json_schema(const SourceSpec& source);

struct DedupOptions {
  std::vector<std::string> columns;
  Millis within = 0;
  std::optional<Millis> allowed_lateness;  // default: semantics.md 6
  bool null_key_group = false;
  std::optional<std::vector<std::string>> key_columns = {};  // DedupSpec::key_columns
};

enum class JsonTimes : uint8_t { kMillis, kIso };
enum class JsonNan : uint8_t { kNull, kString };

// Rows go on to another stage of the job.
struct ExchangeTo {
  uint32_t source = 0;     // which of the streams that are merged there
  int32_t partitions = 1;  // of the topic
  // Not set: rows stay in the partition of their number.
  std::optional<std::vector<std::string>> key_columns;
  bool merges = false;  // what comes behind is one task with several inputs: it decides about idleness, too
};

struct SinkSpec {
  std::vector<StreamRef> streams;  // of one stream, or all late ones together
  std::string topic;
  JsonTimes times = JsonTimes::kMillis;
  JsonNan nan = JsonNan::kNull;
  bool dead_letters = false;  // original bytes, reasons in the headers
  // The rows go on from there, to files or functions: the log keeps them until it is trimmed.
  bool internal = false;
  std::optional<ExchangeTo> exchange;  // then `topic` is a repartition topic
  int number = -1;                     // of a stage's plan: which of the job's sinks it is; an exchange is none
};

// Streams of the same columns as one.
struct MergeSpec {
  std::vector<StreamRef> inputs;
};

// The columns of the stream of dead letters: key, value (bytes), reason, message, step, topic, partition,
// offset, timestamp.
SchemaPtr dead_letter_schema();

class Plan {
 public:
  // The two nodes that every plan has.
  static constexpr int kSource = 0;
  static constexpr int kDeadLetters = 1;

  explicit Plan(std::string job) : job_(std::move(job)) {}

  const std::string& job() const { return job_; }
  // Of a stage's plan (stages.h): what its group, journal and state are named by; "0": the job's first source.
  const std::string& stage() const { return stage_; }
  // The most partitions that an input of any of the job's stages has; 0: not known.
  int32_t widest() const { return widest_; }

  // `name` of a node: empty for one derived from what it does ("filter", "filter_2").
  Result<StreamRef> read(SourceSpec spec, std::string name = "");
  Result<StreamRef> merge(MergeSpec spec, std::string name);
  Result<StreamRef> filter(StreamRef input, FilterSpec spec, std::string name);
  Result<StreamRef> transform(StreamRef input, TransformSpec spec, std::string name);
  Result<StreamRef> dedup(StreamRef input, DedupOptions options, std::string name);
  // `key_given`: key_by() was called (with no columns: the whole stream).
  Result<StreamRef> window(StreamRef input, WindowSpec spec, bool key_given, std::string name);
  Status write(SinkSpec spec);

  // Defaults that need the whole plan (dedup's lateness, the topic of dead letters). Idempotent.
  Status finish();

  // Of a throw-away copy: only what this sink's rows come through is worked on. After finish(), which looks at all
  // steps.
  void keep_sink(int sink);
  bool is_needed(int node) const { return needed_.empty() || needed_[static_cast<size_t>(node)]; }

  struct Node {
    std::string name;
    StreamRef input;
    SchemaPtr schema;  // of Port::kMain
    SchemaPtr input_schema;
    std::variant<std::monostate, FilterSpec, TransformSpec, DedupSpec, WindowSpec, SourceSpec, MergeSpec> spec;
    bool dedup_default_lateness = false;
    bool emits_more_than_once = false;  // a window may put out several panes
    bool below_window = false;          // rows have no record of their own
  };
  const std::vector<Node>& nodes() const { return nodes_; }
  static std::vector<StreamRef> inputs_of(const Node& node);  // empty: it is a source
  const Node& node(int index) const { return nodes_[static_cast<size_t>(index)]; }
  const SourceSpec& source() const { return *source_; }  // the first one
  std::vector<const SourceSpec*> sources() const;
  bool is_source(int index) const { return std::holds_alternative<SourceSpec>(node(index).spec); }
  bool has_source() const { return source_.has_value(); }
  const std::vector<SinkSpec>& sinks() const { return sinks_; }
  SchemaPtr schema_of(StreamRef stream) const;

  // Of a stream of result rows: the key columns of their window, and the columns that say which window of the key it
  // is, if they still have them. Rows of other streams keep their record's key.
  struct ResultKey {
    std::vector<std::string> key_columns;
    std::vector<std::string> window_columns;
  };
  std::optional<ResultKey> result_key(StreamRef stream) const;
  // Every late stream: those of windows and dedups (job.late).
  std::vector<StreamRef> late_streams() const;
  // Which source columns are stored; the others are only checked. All, where a stream that has them is written.
  std::vector<bool> used_columns() const;
  // The steps of one task, in plan order, without source and dead letters: node i is steps[i - 2]. `source`:
  // the columns that are stored.
  Result<std::vector<std::unique_ptr<Step>>> make_steps(const SchemaPtr& source) const;

  // A step reads a column of metadata.h.
  bool reads_metadata() const { return reads_metadata_; }
  // No step remembers records: a task is where its input stands, W and its ledger.
  bool stateless() const;

  // Everything that shapes the answer, one line a node; hash() is its hash.
  std::string describe() const;
  uint64_t hash() const;

  std::string group() const { return stage_ == "0" ? job_ : job_ + "." + stage_; }
  std::string journal_topic() const { return job_ + ".journal-" + stage_; }
  std::string dead_letter_topic() const { return job_ + ".dead"; }

 private:
  friend class StageMaker;
  Result<std::string> name_node(std::string name, std::string_view kind) const;
  void check_stream(StreamRef stream) const;
  // Rows of a stream have no record of their own: they, or those they were made of, are a window's results.
  bool rows_below_window(StreamRef stream) const;
  bool has_columns_of_source(StreamRef stream) const;
  StreamRef add(Node node);

  std::string job_;
  std::string stage_ = "0";
  int32_t widest_ = 0;
  std::optional<SourceSpec> source_;
  std::vector<Node> nodes_;
  std::vector<SinkSpec> sinks_;
  bool reads_metadata_ = false;
  std::vector<bool> needed_;  // per node; empty: all
};

}  // namespace wrackline
