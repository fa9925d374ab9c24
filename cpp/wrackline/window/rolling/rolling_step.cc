#include "wrackline/window/rolling/rolling_step.h"

#include <algorithm>
#include <cstring>

namespace wrackline {
namespace {

constexpr Millis kBucketsPerWindow = 256;
constexpr size_t kPiece = 4096;  // timers

Buffer<uint8_t> key_cells(const void* key, size_t size, const Aggregates& aggregates, bool anew) {
  Buffer<uint8_t> cells(size);
  std::memcpy(cells.data(), key, size);
  if (!anew) cells.insert(cells.end(), aggregates.initial().begin(), aggregates.initial().end());
  cells.resize((cells.size() + 7) / 8 * 8, 0);  // a Key is aligned
  return cells;
}

}  // namespace

std::unique_ptr<Step> make_rolling_step(std::string name, WindowShape shape) {
  return std::make_unique<RollingStep>(std::move(name), std::move(shape));
}

RollingStep::RollingStep(std::string name, WindowShape shape)
    : Step(std::move(name)),
      spec_(std::move(shape.spec)),
      size_(spec_.as<RollingWindow>()->size),
      input_(std::move(shape.input)),
      output_(std::move(shape.output)),
      late_schema_(std::move(shape.late)),
      own_columns_(static_cast<size_t>(input_->size() - spec_.hidden)),
      looked_at_(static_cast<size_t>(input_->size()), 0),
      keys_(std::move(shape.keys)),
      aggregates_(std::move(shape.aggregates)),
      anew_(aggregates_.has_pools()),
      stride_(sizeof(Millis) + (anew_ ? sizeof(Place) : aggregates_.initial().size())),
      table_(
          [&] {
            const Key none;
            return key_cells(&none, sizeof(none), aggregates_, anew_);
          }(),
          KeyTable::Keys::kGo),
      timers_(table_, std::max<Millis>(1, size_ / kBucketsPerWindow), KeyTable::kKeyBytes),
      cells_(aggregates_.initial()),
      pools_(aggregates_.make_pools()) {
  for (const std::string& column : window_reads(spec_)) {
    const int index = column.empty() ? -1 : input_->index_of(column);
    if (index >= 0) looked_at_[static_cast<size_t>(index)] = 1;
  }
  for (int64_t i = 0; i < static_cast<int64_t>(ids_.size()); ++i)
    ids_[static_cast<size_t>(i)] = cells_.find_or_insert(table_key::fixed_key(&i));
  if (anew_) aggregates_.grow_pools(pools_, cells_.count());
  for (const Field& field : aggregates_.fields()) out_columns_.emplace_back(field.type, field.item);
}

RollingStep::~RollingStep() {
  for (uint32_t id = 0; id < table_.count(); ++id) {
    if (table_.use(id) == KeyTable::Use::kKey) key(id).ring.free_slots();
  }
}

void RollingStep::take(Batch batch) {
  // A watermark that rose without a move is one.
  if (batch.watermark > watermark_ && batch.watermark != kPlusInfinity) {
    batch.moves.insert(batch.moves.begin(), Move{0, batch.watermark});
  }
  counts_.in += batch.length;
  batch_ = std::move(batch);
  stage_ = Stage::kScan;
}

Status RollingStep::advance(Emitter& out) {
  switch (stage_) {
    case Stage::kScan: scan(out); break;
    case Stage::kRelease: release_piece(out); break;
    case Stage::kExpire: expire_piece(); break;
    case Stage::kIdle: return {};
  }
  if (stage_ == Stage::kIdle) finish(out);
  return aggregates_.failure();
}

// Rows are judged and held, all of them before any comes out: a row that is not late is not before the watermark that
// it is judged by, and so comes out after it.
void RollingStep::scan(Emitter& out) {
  keys_.pack(batch_);
  const Millis* times = batch_.event_times.data();
  const bool null_keys = keys_.any_null();
  moves_.clear();
  next_move_ = 0;
  target_ = watermark_;
  scan_rows_.resize(static_cast<size_t>(batch_.length));
  size_t accepted = 0;
  size_t move = 0;
  for (int64_t row = 0;;) {
    const bool more_moves = move < batch_.moves.size();
    const int64_t stop = more_moves ? std::min(batch_.moves[move].position, batch_.length) : batch_.length;
    for (; row < stop; ++row) {
      if (null_keys && keys_.is_null(row)) {
        ++counts_.dead_lettered;
        out.dead_letter(batch_, row, reason::kNullKey, "a part of the key is null");
      } else if (times[row] < lost_ || times[row] < batch_.judged(row, watermark_)) {
        add_late(row, out);
      } else {
        scan_rows_[accepted++] = static_cast<uint32_t>(row);
      }
    }
    if (!more_moves) break;
    const Millis watermark = batch_.moves[move++].watermark;
    if (watermark <= target_) continue;
    moves_.push_back(watermark);
    target_ = watermark;
    if (watermark == kPlusInfinity) continue;  // never stored: the input may be read on (semantics.md 2)
    watermark_ = watermark;
    set_lost();
  }
  flush_late_rows(out);
  if (accepted > 0) hold(batch_, scan_rows_.data(), accepted);
  batch_ = Batch();
  stage_ = Stage::kRelease;
}

void RollingStep::set_lost() {
  lost_ = watermark_;
  if (released_ != kMinusInfinity) lost_ = std::max(lost_, released_ + 1);
}

void RollingStep::add_late(int64_t row, Emitter& out) {
  ++counts_.late;
  // Less than 1 only after an input that was closed is read on.
  const Millis watermark = batch_.judged(row, watermark_);
  const Millis by = std::max<Millis>(watermark - batch_.event_times[static_cast<size_t>(row)], 1);
  late_rows_.push_back({.row = row, .late_by_ms = by, .watermark = watermark});
  if (late_rows_.size() >= kMaxRows) flush_late_rows(out);
}

void RollingStep::flush_late_rows(Emitter& out) {
  if (late_rows_.empty()) return;
  out.emit(Port::kLate, late_batch(batch_, late_schema_, late_rows_, "rolling", name()));
  late_rows_.clear();
}

// A segment of these rows of the batch that keys_ has packed.
void RollingStep::hold(const Batch& batch, const uint32_t* rows, size_t count) {
  const auto number = first_segment_ + static_cast<uint32_t>(segments_.size());
  Segment& segment = segments_.emplace_back();
  segment.batch.schema = batch.schema;
  segment.batch.columns = batch.columns;
  segment.batch.length = batch.length;
  segment.batch.event_times = batch.event_times;
  segment.held = static_cast<int64_t>(count);
  count_bytes(segment);
  counts_.held += segment.held;
  const auto later = [](const Ref& a, const Ref& b) { return a > b; };
  std::array<uint32_t, KeyTable::kBlock> ids;
  for (size_t begin = 0; begin < count; begin += KeyTable::kBlock) {
    const size_t size = std::min(KeyTable::kBlock, count - begin);
    table_.resolve(keys_, rows + begin, size, ids.data());
    for (size_t i = 0; i < size; ++i) {
      const uint32_t row = rows[begin + i];
      const Ref ref{batch.event_times[row], number, row, ids[i]};
      segment.last = std::max(segment.last, ref.time);
      Key& state = key(ids[i]);
      ++state.held;
      if (state.timer == kPlusInfinity) {
        state.timer = ref.time + size_;
        timers_.add({state.timer, KeyTable::tag_at(table_.entry(ids[i])), ids[i]});
      }
      if (queue_.empty() || queue_.back().time <= ref.time) {
        queue_.push_back(ref);
      } else {
        heap_.push_back(ref);
        std::push_heap(heap_.begin(), heap_.end(), later);
      }
    }
  }
}

// When nothing of a key is in reach any more.
Millis RollingStep::due(const Timer& timer) {
  Key& state = key(timer.id);
  if (state.timer != timer.time) return kPlusInfinity;
  if (state.held > 0)
    state.timer = std::max(timer.time, watermark_) + size_;
  else if (state.ring.size > 0)
    state.timer = state.ring.time(state.ring.size - 1, stride_) + size_;
  return state.timer;
}

void RollingStep::expire_piece() {
  const auto time_of = [this](const Timer& timer) { return due(timer); };
  if (!timers_.prepare(target_, time_of)) return;
  for (size_t i = 0; i < kPiece; ++i) {
    const Timer* top = timers_.top();
    if (top == nullptr || top->time > target_) {
      if (timers_.next() > target_ || timers_.next() == kPlusInfinity) stage_ = Stage::kIdle;
      return;
    }
    Timer timer = timers_.take();
    const Millis time = due(timer);
    if (time == kPlusInfinity) continue;
    if (time > target_) {
      timer.time = time;
      timers_.add(timer);
      continue;
    }
    Key& state = key(timer.id);
    ring_bytes_ -= int64_t{state.ring.capacity} * static_cast<int64_t>(stride_);
    state.ring.free_slots();
    state.timer = kPlusInfinity;
    table_.erase(timer.id);
  }
}

void RollingStep::finish(Emitter& out) {
  set_lost();
  pass_moves(kPlusInfinity);
  flush(out);
  release_segments();
  if (target_ == kPlusInfinity) changes_lost();  // nothing is left that units hold
}

StepStatus RollingStep::status() const {
  StepStatus status{.state_bytes = state_bytes(), .entries = counts_.held, .open_windows = counts_.held};
  for (uint32_t id = 0; id < table_.count(); ++id) {
    if (table_.use(id) == KeyTable::Use::kKey) status.entries += key(id).ring.size;
  }
  if (!queue_.empty()) status.next_end = queue_.front().time + 1;
  if (!heap_.empty()) status.next_end = std::min(status.next_end, heap_.front().time + 1);
  return status;
}

int64_t RollingStep::entry_bytes() const { return static_cast<int64_t>(stride_); }

int64_t RollingStep::state_bytes() const {
  int64_t bytes = table_.allocated_bytes() + timers_.allocated_bytes() + ring_bytes_ + segment_bytes_;
  bytes +=
      static_cast<int64_t>((queue_.size() + heap_.capacity() + run_.capacity() + out_rows_.capacity()) * sizeof(Ref));
  for (const Pool& pool : pools_) bytes += pool.allocated_bytes();
  return bytes;
}

std::string RollingStep::fingerprint() const {
  return "window " + describe_window(spec_.kind) + " key" + keys_.fingerprint() + " aggregates " +
         aggregates_.fingerprint();
}

}  // namespace wrackline
