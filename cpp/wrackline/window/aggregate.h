// Aggregates: the cells that a window's aggregates need, how rows and other cells go into them, and
// the result columns that come out (semantics.md 7).
//
// Aggregates share cells: count, sum, min and max of one required column are 40 bytes. What has no
// fixed width (strings, collected lists, sets of distinct values) lies in Pools beside the table, one
// object per entry and part.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"
#include "wrackline/core/status.h"
#include "wrackline/window/key_table.h"
#include "wrackline/window/window.h"

namespace wrackline {

// Values of one entry for collect, in partition order.
struct Collected {
  Buffer<Millis> times;
  Buffer<int64_t> values;  // bits of numbers; ends of strings in `text`
  Bytes text;
  void clear();
  int64_t allocated_bytes() const;
};

// Distinct values of one entry: 8-byte values as they are, strings by a 128-bit hash.
class DistinctSet {
 public:
  void insert(Hash128 value);
  void merge(const DistinctSet& other);
  int64_t size() const { return static_cast<int64_t>(items_.size()); }
  const Buffer<Hash128>& items() const { return items_; }
  void clear();
  int64_t allocated_bytes() const;

 private:
  static constexpr size_t kScanned = 8;  // so few are searched one by one
  void index_item(uint32_t item);
  Buffer<Hash128> items_;
  Buffer<uint32_t> slots_;  // item + 1; 0: free
};

// One variable-width part of all entries of a table.
struct Pool {
  std::vector<std::string> texts;
  std::vector<Collected> lists;
  std::vector<DistinctSet> sets;
  int64_t bytes = 0;  // allocated by the objects, without the vectors
};

enum class PartKind : uint8_t {
  kRows,
  kNonNull,  // int64
  kSumInteger,
  kSumFloat,  // 128-bit integer, DoubleDouble
  kMinInteger,
  kMaxInteger,
  kMinFloat,
  kMaxFloat,
  kMoments,  // Moments
  kFirst,
  kLast,  // event time, value
  kMinText,
  kMaxText,  // in a pool
  kFirstText,
  kLastText,  // event time; text in a pool
  kCollect,
  kDistinct,  // in a pool
};

// One shared piece of state: `kind` over `column`.
struct Part {
  PartKind kind;
  int column;  // -1: of the row
  Type type;
  bool nullable;
  uint32_t offset;  // in the cells
  int pool;         // -1: none
};

// What a step may keep of each entry, at the start of its cells, beside the aggregates. Rows and merges update it, but
// for `number`, which is the step's own.
struct EntryHead {
  int64_t rows = 0;  // records, since the entry was made or reset
  int64_t number = 0;
  Millis first = kPlusInfinity;  // their smallest and largest event time
  Millis last = kMinusInfinity;
};

class Aggregates {
 public:
  // Fails on unknown functions and columns and on types that a function does not take. `with_head`: entries begin
  // with an EntryHead.
  static Result<Aggregates> make(const std::vector<AggregateSpec>& specs, const Schema& input, bool with_head = false);

  const std::vector<Field>& fields() const { return fields_; }
  const Buffer<uint8_t>& initial() const { return initial_; }
  bool has_pools() const { return pool_count_ > 0; }
  std::vector<Pool> make_pools() const { return std::vector<Pool>(static_cast<size_t>(pool_count_)); }

  // Puts rows[0 .. count) of `batch`, in order, into the entries of their keys.
  void put(const Batch& batch, const KeyPacker& keys, const uint32_t* rows, size_t count, KeyTable& table,
           std::vector<Pool>& pools) const;
  // Puts rows[i] of `batch` into entry ids[i], for i < count <= KeyTable::kBlock.
  void update(const Batch& batch, const uint32_t* rows, const uint32_t* ids, size_t count, KeyTable& table,
              std::vector<Pool>& pools) const;
  // Merges entry `from_id` of a later slice into entry `id`.
  void merge(KeyTable& table, std::vector<Pool>& pools, uint32_t id, const KeyTable& from,
             const std::vector<Pool>& from_pools, uint32_t from_id) const;
  // The entry as it was when it was new, but for the number in its head.
  void reset(KeyTable& table, std::vector<Pool>& pools, uint32_t id) const;
  // Objects for entries up to `count`, empty.
  void grow_pools(std::vector<Pool>& pools, uint32_t count) const;
  void clear_pools(std::vector<Pool>& pools, uint32_t count) const;

  // The name of an integer sum of this entry that int64 cannot hold; null: there is none.
  const std::string* overflow(const uint8_t* cells) const;
  bool may_overflow() const { return !checked_sums_.empty(); }
  // Appends the results of entries `ids` to one column per field.
  void append_results(const KeyTable& table, const std::vector<Pool>& pools, const uint32_t* ids, size_t count,
                      std::vector<Column>& columns) const;

  void write_pools(const std::vector<Pool>& pools, uint32_t id, ByteWriter& out) const;
  Status read_pools(std::vector<Pool>& pools, uint32_t id, ByteReader& in) const;

  // Functions, inputs and their types; not the names of outputs, which are free to change.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  enum class Answer : uint8_t {
    kCount,
    kSum,
    kWideSum,
    kMean,
    kMin,
    kMax,
    kVar,
    kStd,
    kFirst,
    kLast,
    kDistinct,
    kCollect
  };
  struct Output {
    Answer answer;
    int part = -1;    // the value
    int filled = -1;  // the count of non-nulls; -1: never null for that reason
  };

  // Rows, sum, min and max of one required column, where just these are asked for of it: one loop.
  struct Fused {
    int column = -1;  // -1: there are none
    bool is_float = false;
    uint32_t rows = 0;
    uint32_t sum = 0;
    uint32_t low = 0;
    uint32_t high = 0;
  };

  void find_fused();
  int part(PartKind kind, int column, const Field* field);
  int count_part(int column, const Field* field);
  Status add(const AggregateSpec& spec, const Schema& input);
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
};

}  // namespace wrackline
