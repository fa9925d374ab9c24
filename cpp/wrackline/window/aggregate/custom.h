// Aggregates that the core does not know: functions of columns, such as Python's. A state is a row of columns; the
// functions get the states of many keys at once, never one record.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/status.h"
#include "wrackline/window/aggregate/cell_rows.h"

namespace wrackline {

// Row i of an answer belongs to row i of `states`, and depends on nothing but that state and its rows. Called by the
// threads of all tasks. A failure ends the run.
class CustomAggregate {
 public:
  using Columns = std::vector<ColumnPtr>;
  using BatchPtr = std::shared_ptr<const Batch>;

  virtual ~CustomAggregate() = default;
  // By what it is known in messages and fingerprints.
  virtual const std::string& name() const = 0;
  // One row: what every key starts with.
  virtual const BatchPtr& initial() const = 0;
  // What the columns of `rows` are called.
  virtual const std::vector<std::string>& row_names() const = 0;
  virtual const Field& result() const = 0;
  // Without it there is no merge(): it is for windows of one slice.
  virtual bool mergeable() const = 0;

  // The states with their rows added. Row i of `rows` goes into state groups[i]; groups ascend, each has a row, and the
  // rows of one are in partition order.
  virtual Result<Columns> add(const BatchPtr& states, const BatchPtr& rows, const ColumnPtr& groups) const = 0;
  // The states of slices with those of later ones.
  virtual Result<Columns> merge(const BatchPtr& states, const BatchPtr& later) const = 0;
  // The results: one column of result().
  virtual Result<ColumnPtr> finish(const BatchPtr& states) const = 0;
};

// The states of all entries of one table.
//
// Rows wait here until a call is worth it. How a key's rows are cut into calls shows in the last bits of a float sum,
// so it is a function of that key's rows alone: the n-th row ends a call where the rows since the one before number
// group_size(). Rows that are too few for that stay rows, in checkpoints, too; a result adds them to a copy.
// Calls themselves are made whenever it suits, for many keys at once.
class CustomStates {
 public:
  // `columns`: where in a batch the columns of `rows` are.
  CustomStates(std::shared_ptr<const CustomAggregate> aggregate, std::vector<int> columns, SchemaPtr rows);

  // How many rows a call takes of a key that has had `taken`.
  static uint32_t group_size(int64_t taken);

  void grow(uint32_t count);
  void clear();
  void reset(uint32_t id);  // as it was when it was new
  Status put(const Batch& batch, const uint32_t* rows, const uint32_t* ids, size_t count);
  // Entry `from_id` of a later slice, of this or another table, into entry `id`. Done with others at once, later.
  Status merge(uint32_t id, CustomStates& from, uint32_t from_id);
  Result<ColumnPtr> results(const uint32_t* ids, size_t count);

  Status write(uint32_t id, ByteWriter& out);
  bool read(uint32_t id, ByteReader& in);
  int64_t allocated_bytes() const;

 private:
  using Ids = Buffer<uint32_t>;

  bool fresh(uint32_t id) const { return taken_[id] == 0 && waiting_[id] == 0; }
  void set_taken(uint32_t id, int64_t taken);
  void count_waiting(uint32_t id);
  void copy(uint32_t id, CustomStates& from, uint32_t from_id);
  void forget_rows(uint32_t id);
  void index_rows();
  void keep_rows(const Bytes& kept);
  void drop_replaced();
  // Adds the rows of whole groups; of the entries in `finished` all rows.
  Status settle(const Ids& finished);
  Status add(const Ids& ids, const Ids& rows, const Ids& groups, CellRows& into, const Ids& places) const;
  Status flush_merges();

  const std::shared_ptr<const CustomAggregate> aggregate_;
  const std::vector<int> columns_;

  CellRows states_;         // a row of each entry
  Buffer<int64_t> taken_;   // rows that are in its state
  Buffer<uint32_t> group_;  // group_size(taken)
  Ids waiting_;             // rows that are not

  CellRows rows_;    // those, in the order in which they came
  Ids row_ids_;      // of which entries
  size_t ripe_ = 0;  // rows of entries that have whole groups
  bool indexed_ = false;
  Ids order_;  // rows_ by entry
  Ids begin_;  // of each in order_
  // After a restore: rows of an entry before this one were said again by a later block. Empty: of none.
  Ids replaced_;

  std::unique_ptr<CustomStates> merges_;  // what is to be merged
  Ids targets_;                           // into which entry each
};

}  // namespace wrackline
