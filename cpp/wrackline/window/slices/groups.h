// Groups: a table of keys with the aggregates of each; Slice: those of the records of one stretch of time.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "wrackline/window/aggregate.h"
#include "wrackline/window/key_table.h"
#include "wrackline/window/slices/grid.h"

namespace wrackline {

struct Groups {
  explicit Groups(const Aggregates& aggregates) : table(aggregates.initial()), pools(aggregates.make_pools()) {}
  KeyTable table;
  std::vector<Pool> pools;

  void clear(const Aggregates& aggregates) {
    aggregates.clear_pools(pools, table.count());
    table.clear();
  }
  // The entry of `key`, made if it is not there.
  uint32_t entry(const TableKey& key, const Aggregates& aggregates) {
    const uint32_t id = table.find_or_insert(key);
    if (aggregates.has_pools()) aggregates.grow_pools(pools, table.count());
    return id;
  }
  int64_t allocated_bytes() const;
};

struct Slice {
  Slice(const SliceId& slice_id, const Aggregates& aggregates) : id(slice_id), groups(aggregates) {}
  SliceId id;
  Groups groups;
  int64_t unemitted = 0;       // records that no pane has contained yet
  uint32_t scan_group = 0;     // place among the groups of the current scan
  bool news = false;           // records came since the last early panes: EntryHead::rows says of which keys
  bool frozen = false;         // a block of it is out: the next one may hold changes only
  bool count_changed = false;  // unemitted, since the last freeze
};

using Slices = std::map<SliceId, std::unique_ptr<Slice>>;

}  // namespace wrackline
