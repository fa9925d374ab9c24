// How held rows come out: in the order of time, each with what its window holds.
#include <algorithm>
#include <cstring>

#include "wrackline/window/rolling/rolling_step.h"

namespace wrackline {
namespace {

constexpr size_t kWork = 16 * 1024;  // additions while rings are turned over, in one piece
constexpr size_t kRunPiece = 8;      // runs of one piece

}  // namespace

void RollingStep::release_piece(Emitter& out) {
  size_t work = 0;
  for (size_t i = 0; i < kRunPiece; ++i) {
    if (run_.empty()) take_run(target_);
    if (run_.empty()) {
      stage_ = Stage::kExpire;
      return;
    }
    if (!turn_over(run_.front().time, work)) return;
    const int64_t block = floor_div(run_.front().time, size_);
    const size_t count = run_.size();
    if (count <= KeyTable::kBlock) {
      if (!anew_) load_cells(0, count);
      for (size_t begin = 0; begin < count;) {  // records of one time all see one another
        size_t end = begin + 1;
        while (end < count && run_[end].time == run_[begin].time) ++end;
        add(begin, end, block);
        query(begin, end);
        begin = end;
      }
      emit_rows(0, count, out);
    } else {  // all of one time
      const size_t begin = added_ < count ? added_ : come_out_;
      const size_t end = std::min(count, begin + KeyTable::kBlock);
      if (added_ < count) {
        if (!anew_) load_cells(begin, end);
        add(begin, end, block);
        added_ = end;
      } else {
        query(begin, end);
        emit_rows(begin, end, out);
        come_out_ = end;
      }
      if (come_out_ < count) continue;
    }
    released_ = run_.back().time;
    run_.clear();
    turned_ = added_ = come_out_ = 0;
  }
}

// The first of the held rows; null: there is none.
const RollingStep::Ref* RollingStep::next_held() {
  const Ref* first = queue_.empty() ? nullptr : &queue_.front();
  if (!heap_.empty() && (first == nullptr || heap_.front() < *first)) first = &heap_.front();
  return first;
}

// Rows before `target`: up to kBlock of them in one block, and with those all of the same time.
void RollingStep::take_run(Millis target) {
  const auto later = [](const Ref& a, const Ref& b) { return a > b; };
  Millis block_end = kPlusInfinity;
  for (const Ref* next = next_held(); next != nullptr && next->time < target; next = next_held()) {
    if (run_.empty()) {
      block_end = (floor_div(next->time, size_) + 1) * size_;
    } else if (next->time != run_.back().time) {
      if (next->time >= block_end || run_.size() >= KeyTable::kBlock) return;
    }
    table_.prefetch(next->key);
    run_.push_back(*next);
    if (next == (heap_.empty() ? nullptr : &heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      heap_.pop_back();
    } else {
      queue_.pop_front();
    }
    // A run that ends within a time is cut before it.
    if (run_.size() == KeyTable::kBlock + 1 && run_.front().time != run_.back().time) {
      const Millis last = run_.back().time;
      while (run_.back().time == last) {
        heap_.push_back(run_.back());
        std::push_heap(heap_.begin(), heap_.end(), later);
        run_.pop_back();
      }
      return;
    }
  }
}

// Brings the rings of the run's keys to the block of `time`; false: there is more to do.
bool RollingStep::turn_over(Millis time, size_t& work) {
  if (anew_) return true;
  const int64_t block = floor_div(time, size_);
  for (; turned_ < run_.size(); ++turned_) {
    const uint32_t id = run_[turned_].key;
    if (key(id).ring.block != block && !turn_over(id, block, work)) return false;
  }
  return true;
}

bool RollingStep::turn_over(uint32_t id, int64_t block, size_t& work) {
  Ring& ring = key(id).ring;
  if (ring.block + 1 == block) {
    if (ring.before > 0) ring.drop_first(ring.before);
    if (turn_at_ == 0) turn_at_ = ring.size;
    for (; turn_at_ > 1; --turn_at_, ++work) {
      if (work == kWork) return false;
      aggregates_.merge_cells(ring.payload(turn_at_ - 2, stride_), ring.payload(turn_at_ - 1, stride_));
    }
    turn_at_ = 0;
    ring.before = ring.size;
  } else {
    ring.drop_first(ring.size);
    ring.before = 0;
  }
  ring.block = block;
  if (!aggregates_.initial().empty())
    std::memcpy(total(id), aggregates_.initial().data(), aggregates_.initial().size());
  return true;
}

// The cells of each row by itself, into cells_.
void RollingStep::load_cells(size_t begin, size_t end) {
  std::array<uint32_t, KeyTable::kBlock> rows;
  for (size_t i = begin; i < end; ++i)
    std::memcpy(cells_.cells(ids_[i - begin]), aggregates_.initial().data(), aggregates_.initial().size());
  for (size_t i = begin; i < end;) {
    const uint32_t number = run_[i].segment;
    const size_t first = i;
    for (; i < end && run_[i].segment == number; ++i) rows[i - first] = run_[i].row;
    aggregates_.update(segment(number).batch, rows.data(), ids_.data() + (first - begin), i - first, cells_, pools_);
  }
  // Rings are far apart.
  for (size_t i = begin; i < end; ++i) {
    const Ring& ring = key(run_[i].key).ring;
    if (ring.capacity == 0) continue;
    __builtin_prefetch(ring.slot(ring.size, stride_), 1);
    __builtin_prefetch(ring.slot(0, stride_));
  }
}

void RollingStep::add(size_t begin, size_t end, int64_t block) {
  const size_t size = stride_ - sizeof(Millis);
  for (size_t i = begin; i < end; ++i) {
    const Ref& ref = run_[i];
    Key& state = key(ref.key);
    const uint32_t capacity = state.ring.capacity;
    uint8_t* payload = state.ring.append(ref.time, stride_);
    ring_bytes_ += int64_t{state.ring.capacity - capacity} * static_cast<int64_t>(stride_);
    --state.held;
    state.ring.block = block;
    if (anew_) {
      store_cell(payload, Place{ref.segment, ref.row});
      continue;
    }
    const uint8_t* cells = cells_.cells(ids_[i % KeyTable::kBlock]);
    if (size > 0) std::memcpy(payload, cells, size);
    aggregates_.merge_cells(total(ref.key), cells);
  }
}

// The windows of these rows, into cells_.
void RollingStep::query(size_t begin, size_t end) {
  const size_t size = aggregates_.initial().size();
  for (size_t i = begin; i < end; ++i) {
    const Ref& ref = run_[i];
    Ring& ring = key(ref.key).ring;
    const Millis gone = ref.time - size_;
    while (ring.time(0, stride_) <= gone) ring.drop_first(1);  // this row itself stays
    const uint32_t id = ids_[i % KeyTable::kBlock];
    uint8_t* cells = cells_.cells(id);
    if (!anew_) {
      if (size == 0) continue;
      if (ring.before == 0) {
        std::memcpy(cells, total(ref.key), size);
      } else {
        std::memcpy(cells, ring.payload(0, stride_), size);
        aggregates_.merge_cells(cells, total(ref.key));
      }
      continue;
    }
    aggregates_.reset(cells_, pools_, id);
    std::array<uint32_t, KeyTable::kBlock> rows;
    std::array<uint32_t, KeyTable::kBlock> ids;
    ids.fill(id);
    for (uint32_t at = 0; at < ring.size;) {
      const uint32_t number = load_cell<Place>(ring.payload(at, stride_)).segment;
      size_t count = 0;
      for (; at < ring.size && count < rows.size(); ++at, ++count) {
        const auto place = load_cell<Place>(ring.payload(at, stride_));
        if (place.segment != number) break;
        rows[count] = place.row;
      }
      aggregates_.update(segment(number).batch, rows.data(), ids.data(), count, cells_, pools_);
    }
  }
}

void RollingStep::pass_moves(Millis time) {
  for (; next_move_ < moves_.size() && moves_[next_move_] <= time; ++next_move_)
    out_moves_.push_back({static_cast<int64_t>(out_rows_.size()), moves_[next_move_]});
}

void RollingStep::emit_rows(size_t begin, size_t end, Emitter& out) {
  std::array<uint32_t, KeyTable::kBlock> ids;
  size_t count = 0;
  const auto append = [&] {
    aggregates_.append_results(cells_, pools_, ids.data(), count, out_columns_);
    count = 0;
  };
  for (size_t i = begin; i < end; ++i) {
    const Ref& ref = run_[i];
    const uint32_t id = ids_[i % KeyTable::kBlock];
    if (next_move_ < moves_.size() && moves_[next_move_] <= ref.time) pass_moves(ref.time);
    ++counts_.panes;
    ++counts_.out;
    --counts_.held;
    if (aggregates_.may_overflow()) {
      if (const std::string* sum = aggregates_.overflow(cells_.cells(id))) {
        ++counts_.panes_dead;
        out.dead_pane(ref.time, reason::kOverflow,
                      "'" + *sum + "' does not fit int64: " + keys_.describe(table_.key(ref.key)) + ", window (" +
                          std::to_string(ref.time - size_) + ", " + std::to_string(ref.time) +
                          "]; sum(..., wide=True) holds it");
        row_done(ref.segment);
        continue;
      }
    }
    ++counts_.rows_out;
    ids[count++] = id;
    out_rows_.push_back(ref);
    if (out_rows_.size() == kMaxRows) {
      append();
      flush(out);
    }
  }
  append();
}

// One of the input's columns, of the rows that have come out.
ColumnPtr RollingStep::own_column(size_t column) {
  const bool one_segment = std::all_of(out_rows_.begin(), out_rows_.end(),
                                       [&](const Ref& ref) { return ref.segment == out_rows_[0].segment; });
  const Column& first = *segment(out_rows_[0].segment).batch.columns[column];
  if (one_segment) {
    Buffer<int64_t> rows(out_rows_.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = out_rows_[i].row;
    return gather(first, rows);
  }
  auto result = std::make_shared<Column>(first.type(), first.item());
  result->reserve(static_cast<int64_t>(out_rows_.size()));
  for (const Ref& ref : out_rows_) result->append_from(*segment(ref.segment).batch.columns[column], ref.row);
  return result;
}

void RollingStep::flush(Emitter& out) {
  if (out_rows_.empty() && out_moves_.empty()) return;
  Batch batch;
  batch.schema = output_;
  batch.length = static_cast<int64_t>(out_rows_.size());
  batch.watermark = below_;
  for (size_t i = 0; i < own_columns_; ++i) {
    const Field& field = input_->field(static_cast<int>(i));
    batch.columns.push_back(out_rows_.empty() ? std::make_shared<const Column>(field.type, field.item) : own_column(i));
  }
  for (Column& column : out_columns_) {
    Column next(column.type(), column.item());
    batch.columns.push_back(std::make_shared<Column>(std::move(column)));
    column = std::move(next);
  }
  batch.event_times.resize(out_rows_.size());
  for (size_t i = 0; i < out_rows_.size(); ++i) {
    batch.event_times[i] = out_rows_[i].time;
    row_done(out_rows_[i].segment);
  }
  batch.moves = std::move(out_moves_);
  out_moves_ = {};
  out_rows_.clear();
  below_ = batch.watermark_after();
  out.emit(Port::kMain, std::move(batch));
}

// A held row has come out for good: columns that no row needs any more go.
void RollingStep::row_done(uint32_t number) {
  Segment& segment = this->segment(number);
  if (--segment.held > 0) return;
  for (size_t i = 0; i < segment.batch.columns.size(); ++i) {
    if (!anew_ || !looked_at_[i]) segment.batch.columns[i].reset();
  }
  count_bytes(segment);
}

void RollingStep::count_bytes(Segment& segment) {
  segment_bytes_ -= segment.bytes;
  segment.bytes = static_cast<int64_t>(sizeof(Segment) + segment.batch.event_times.capacity() * sizeof(Millis));
  for (const ColumnPtr& column : segment.batch.columns) segment.bytes += column ? column->byte_size() : 0;
  segment_bytes_ += segment.bytes;
}

// Segments without a held row that no window reaches.
void RollingStep::release_segments() {
  while (!segments_.empty() && segments_.front().held == 0 &&
         (!anew_ || segments_.front().last <= out_of_reach(target_))) {
    segment_bytes_ -= segments_.front().bytes;
    segments_.pop_front();
    ++first_segment_;
  }
}

}  // namespace wrackline
