// Checkpoints of one task: what changed is frozen at a seal (some ms), written in the background, and counts
// once a commit has named it. A manifest lists every live unit with its blocks; what it does not list does
// not exist (docs/formats.md).
//
//   idle -> freeze() -> writing -> durable -> named() -> idle
//                          |--------------> failed: changes go back to the next one
//
// Belongs to the task's thread; the store does the background work.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/failpoint.h"
#include "wrackline/core/ledger.h"
#include "wrackline/core/status.h"
#include "wrackline/core/step.h"
#include "wrackline/store/store.h"

namespace wrackline {

// What a manifest says besides blocks. Written by the task at a seal, read at recovery.
struct CheckpointSeal {
  std::string id;      // never used twice: transactional id, recovery count, commit_seq
  std::string log_id;  // of the log and topic that the offsets belong to
  uint64_t job_hash = 0;
  int64_t commit_seq = 0;
  int64_t offset = 0;
  int64_t journal_offset = 0;  // the row of commit_seq + 1 lies here or behind
  uint64_t input_hash = 0;     // of a bounded input's first rows
  Ledger ledger;
  std::string time_state;                                         // TimeStage::save
  std::vector<std::pair<std::string, std::string>> fingerprints;  // (step, what shapes its state)
};

// The id of a checkpoint, and so the name of its file: "<transactional id>-<recovery count>-<commit_seq>".
std::string checkpoint_id(const std::string& transactional_id, int64_t recovery_count, int64_t commit_seq);
// 0 of a name that is no such id.
int64_t recovery_count_of(std::string_view checkpoint_id);

class Checkpointer {
 public:
  // `recovery_count`: of the claim under which it works. Files of later claims are not its own to remove: somebody
  // else has taken the task over, and it has not heard of it yet.
  Checkpointer(std::unique_ptr<Store> store, Failpoints* failpoints,
               int64_t recovery_count = std::numeric_limits<int64_t>::max());

  bool writing() const { return writing_; }
  // Id of the checkpoint that is durable and not yet named; empty: none.
  const std::string& durable() const { return durable_; }

  // Freezes `steps` (in plan order) and starts to write. REQUIRES: !writing() and durable().empty().
  Status freeze(const CheckpointSeal& seal, const std::vector<Step*>& steps);
  // Looks whether the write has ended. A failed write is logged and given back to `steps`, it is no error.
  Status poll(const std::vector<Step*>& steps);
  // The commit that named durable() is known to be committed: older files go.
  Status named();
  // A commit that names none is known to be committed: all files go.
  Status none_named();

  // Recovery, in two calls: read_manifest() says what checkpoint `id` belongs to, so that the caller can refuse it;
  // restore() then gives each step its blocks and counts, but for the steps named in `reset`, which start empty.
  // kNotFound: there is no such file.
  Result<CheckpointSeal> read_manifest(const std::string& id);
  Status restore(const CheckpointSeal& seal, const std::vector<Step*>& steps, const std::vector<std::string>& reset);
  // Fails if any file here is of another log or topic than `log_id`, or of a newer version: it is not ours to remove.
  Status check_owner(const std::string& log_id);
  // Removes every file that the named checkpoint does not need (what a crash left behind), but those of later claims.
  Status remove_unneeded();

 private:
  struct BlockRef {
    std::string file;
    std::string key;
    bool whole = false;
  };
  using UnitKey = std::pair<std::string, std::string>;  // (step, unit)
  using Units = std::map<UnitKey, std::vector<BlockRef>>;
  class Sink;

  static Status parse_manifest(std::string_view bytes, CheckpointSeal& seal, Units& units);
  Block manifest_block(const CheckpointSeal& seal, const Units& units) const;

  std::unique_ptr<Store> store_;
  Failpoints* failpoints_;
  int64_t recovery_count_;
  Units units_;       // of the newest checkpoint that is named (or was restored)
  Units next_units_;  // of the one being written
  std::string next_id_;
  std::string named_id_;
  std::string durable_;
  bool writing_ = false;
};

}  // namespace wrackline
