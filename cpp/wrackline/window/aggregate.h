// Aggregates: the cells that a window's aggregates need, how rows and other cells go into them, and
// the result columns that come out (semantics.md 7).
//
// Aggregates share cells: count, sum, min and max of one required column are 40 bytes. What has no
// fixed width (strings, collected lists, sets of distinct values, sketches) lies in Pools beside the
// table, one object per entry and part. aggregate/functions.cc is the table of what functions there are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/status.h"
#include "wrackline/window/aggregate/part.h"
#include "wrackline/window/aggregate/pool.h"
#include "wrackline/window/key_table.h"
#include "wrackline/window/window.h"

namespace wrackline {

// What a step may keep of each entry, at the start of its cells, beside the aggregates. Rows and merges update it, but
// for `number`, which is the step's own.
struct EntryHead {
  int64_t rows = 0;  // records, since the entry was made or reset
  int64_t number = 0;
  Millis first = kPlusInfinity;  // their smallest and largest event time
  Millis last = kMinusInfinity;
};

struct UpdateTarget;  // aggregate/update.cc

class Aggregates {
 public:
  // Fails on unknown functions and columns and on types that a function does not take. `with_head`: entries begin
  // with an EntryHead.
  static Result<Aggregates> make(const std::vector<AggregateSpec>& specs, const Schema& input, bool with_head = false);

  const std::vector<Field>& fields() const { return fields_; }
  const Buffer<uint8_t>& initial() const { return initial_; }
  bool has_pools() const { return pool_count_ > 0; }
  // What an entry has in them, by the names of the results: "prices: 16 bytes a value".
  std::string describe_pools() const;
  std::vector<Pool> make_pools() const;
  // The name of a user's aggregate that cannot merge slices; null: there is none.
  const std::string* not_mergeable() const;

  // Puts rows[0 .. count) of `batch`, ascending, into the entries of their keys.
  void put(const Batch& batch, const KeyPacker& keys, const uint32_t* rows, size_t count, KeyTable& table,
           std::vector<Pool>& pools) const;
  // Puts rows[i] of `batch` into entry ids[i], for i < count <= KeyTable::kBlock.
  void update(const Batch& batch, const uint32_t* rows, const uint32_t* ids, size_t count, KeyTable& table,
              std::vector<Pool>& pools) const;
  // If one pass over a row's cells is all there is to do: f(put), where put(row, cells) does it. Else false
  // (aggregate/fused.h).
  template <typename F>
  bool put_at_once(const Batch& batch, F f) const;
  // Merges entry `from_id` of a later slice into entry `id`.
  void merge(KeyTable& table, std::vector<Pool>& pools, uint32_t id, const KeyTable& from,
             const std::vector<Pool>& from_pools, uint32_t from_id) const;
  // The same for cells alone, of aggregates without pools.
  void merge_cells(uint8_t* cells, const uint8_t* later) const;
  // The same for many, part by part: later[i] into cells[i]. No two of `cells` are the same.
  void merge_cells(uint8_t* const* cells, const uint8_t* const* later, size_t count) const;
  // A float sum so large that another order of additions might overflow where this one does not.
  bool holds_huge_sum(const uint8_t* const* cells, size_t count) const;
  // The entry as it was when it was new, but for the number in its head.
  void reset(KeyTable& table, std::vector<Pool>& pools, uint32_t id) const;
  // Objects for entries up to `count`, empty.
  void grow_pools(std::vector<Pool>& pools, uint32_t count) const;
  void clear_pools(std::vector<Pool>& pools, uint32_t count) const;
  // Entry `to` becomes what entry `from` was, which is new then.
  void move(KeyTable& table, std::vector<Pool>& pools, uint32_t from, uint32_t to) const;

  // The name of an integer sum of this entry that int64 cannot hold; null: there is none.
  const std::string* overflow(const uint8_t* cells) const;
  bool may_overflow() const { return !checked_sums_.empty(); }
  // Appends the results of entries `ids` to one column per field.
  void append_results(const KeyTable& table, const std::vector<Pool>& pools, const uint32_t* ids, size_t count,
                      std::vector<Column>& columns) const;

  void write_pools(const std::vector<Pool>& pools, uint32_t id, ByteWriter& out) const;
  Status read_pools(std::vector<Pool>& pools, uint32_t id, ByteReader& in) const;

  // What a user's aggregate failed with. From then on nothing is right: the step's advance() has to return it. Of the
  // thread of the step.
  const Status& failure() const { return failure_; }

  // Functions, inputs and their types; not the names of outputs, which are free to change.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  // Rows, sum, min and max of one column, where just these are asked for of it: one loop.
  struct Fused {
    int column = -1;  // -1: there are none
    bool is_float = false;
    uint32_t rows = 0;
    uint32_t sum = 0;
    uint32_t low = 0;
    uint32_t high = 0;
    std::optional<uint32_t> filled;  // of a column that may be null
  };

  friend class Layout;  // aggregate/functions.cc

  void find_fused();
  // f(what puts a row into its cells).
  template <typename F>
  void with_fused(const Column& column, F f) const;
  void update(const Batch& batch, const UpdateTarget& target, KeyTable& table, std::vector<Pool>& pools) const;
  void merge_part(const Part& part, uint8_t* cell, const uint8_t* other, Pool* pool, uint32_t id, const Pool* from_pool,
                  uint32_t from_id) const;
  void update_custom(const Part& part, const Batch& batch, const uint32_t* rows, const uint32_t* ids, size_t count,
                     CustomStates& states) const;
  // Remembers the first failure.
  void note(const Part& part, const Status& status) const;
  void append_one(const Output& output, const KeyTable& table, const std::vector<Pool>& pools, const uint32_t* ids,
                  size_t count, Column& column) const;

  std::vector<Part> parts_;
  Fused fused_;
  std::vector<Part> other_parts_;  // not in fused_
  std::vector<Output> outputs_;
  std::vector<Field> fields_;
  std::vector<int> checked_sums_;  // outputs
  Buffer<uint8_t> initial_;
  int pool_count_ = 0;
  bool with_head_ = false;
  std::string fingerprint_;
  mutable Status failure_;
};

}  // namespace wrackline
