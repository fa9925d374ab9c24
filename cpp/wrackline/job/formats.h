// What a commit leaves behind besides results: the metadata of the committed offset and the journal row
// (docs/formats.md). Both are versioned; a newer version is refused, never guessed at.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/ledger.h"
#include "wrackline/core/status.h"
#include "wrackline/core/types.h"

namespace wrackline {

// Beside the input offset, in the same transaction as everything else: what recovery starts from.
struct CommitMetadata {
  uint64_t job_hash = 0;
  int64_t commit_seq = 0;  // of the task; the claim before its first commit has 0
  std::string checkpoint;  // id that this commit names; empty: none yet, replay from the start
  Millis watermark = kMinusInfinity;
  uint64_t ledger_hash = 0;
  uint64_t rows_hash = 0;        // of the rows put out since the checkpoint, mod 2^64
  std::string transactional_id;  // of the owner
  int64_t recovery_count = 0;    // claims made of this task so far
  int64_t start_offset = 0;      // of the input, where commit_seq 0 stood
  int64_t journal_offset = 0;    // rows since the checkpoint lie here or behind
  // Of the input: as far as it was read, records that cannot be committed yet included; kPlusInfinity: to its end,
  // and closed there.
  int64_t read_to = 0;
  // How often fresh=True has started a job of several stages over: the same in all of them, or the last one to do so
  // was interrupted.
  int64_t starts_over = 0;
  friend bool operator==(const CommitMetadata&, const CommitMetadata&) = default;

  std::string encode() const;  // base64 text: offset metadata must not hold zero bytes
  static Result<CommitMetadata> decode(std::string_view text);
  void write(class ByteWriter& writer) const;  // the fields alone
  static CommitMetadata read(class ByteReader& reader, uint8_t version);
};

// What a replay cannot recompute (semantics.md 2): it happened before the record at `offset`.
struct Decision {
  enum class Kind : uint8_t {
    kIdle = 1,   // the input went idle; W became `watermark` (or stayed)
    kEnded = 2,  // a bounded input ended here, or the run closed a topic: W was +infinity for the steps
  };
  Kind kind = Kind::kIdle;
  int64_t offset = 0;
  Millis watermark = kMinusInfinity;
  Millis clock = 0;  // what the clock showed
  friend bool operator==(const Decision&, const Decision&) = default;
};

// Of a commit in the middle of a firing (docs/exactly_once.md, "Cut firings"): all else in its row is as of the instant
// before what set the firing off.
struct Cut {
  int64_t end = 0;                   // of the input: where the task had read to
  std::optional<Decision> trigger;   // none: the records from `offset` on
  std::map<uint32_t, int64_t> rows;  // by way out (Task::way_out): rows that are committed already
  friend bool operator==(const Cut&, const Cut&) = default;
};

// One per task and commit, in <job>.journal-<group>. The commit point itself is a decision: pending late
// panes came out at `offset`, unless it is a cut.
struct JournalRow {
  uint64_t job_hash = 0;
  int64_t commit_seq = 0;
  int64_t offset = 0;  // of the input: the first record that is not in this commit
  Millis watermark = kMinusInfinity;
  uint8_t auto_unit = 0;            // TimeUnit that `auto` found; 0: none yet
  int64_t refused = 0;              // records without a good event time so far
  uint64_t input_hash = 0;          // of a bounded input's first rows: a resumed run notices another input
  Ledger ledger;                    // cumulative
  std::vector<Decision> decisions;  // since the commit before
  CommitMetadata metadata;          // what goes beside the offset; of rows of version 1 only job_hash and commit_seq
  std::string time_state;           // of a task without other state: all that a recovery needs; else empty
  std::optional<Cut> cut;
  friend bool operator==(const JournalRow&, const JournalRow&) = default;

  Bytes encode() const;
  static Result<JournalRow> decode(std::string_view bytes);
};

uint64_t hash_of(const Ledger& ledger);
void write_ledger(class ByteWriter& writer, const Ledger& ledger);
Ledger read_ledger(class ByteReader& reader);

}  // namespace wrackline
