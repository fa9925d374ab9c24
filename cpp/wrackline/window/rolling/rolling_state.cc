// Checkpoints of rolling windows: rows are written once, in the checkpoint after they came ("p:<n>", while they are
// held) and in that after they came out ("w:<n>", while a window may reach them). docs/formats.md, "Rolling state".
#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "wrackline/window/rolling/rolling_step.h"
#include "wrackline/window/rolling/values.h"

namespace wrackline {
namespace {

constexpr uint8_t kVersion = 1;
constexpr std::string_view kMeta = "meta";
constexpr size_t kMaxUnits = 256;  // more are written as one

bool parse_unit(std::string_view unit, char& kind, int64_t& number) {
  if (unit.size() < 3 || unit[1] != ':') return false;
  kind = unit[0];
  const auto [end, error] = std::from_chars(unit.data() + 2, unit.data() + unit.size(), number);
  return (kind == 'p' || kind == 'w') && error == std::errc() && end == unit.data() + unit.size();
}

Status bad() { return Status::corruption("a row that does not fit"); }

}  // namespace

void RollingStep::write_held(ByteWriter& out, Millis& last) {
  std::vector<Ref> rows;
  const auto take = [&](const Ref& ref) {
    if (ref.segment >= frozen_segment_) rows.push_back(ref);
  };
  for (const Ref& ref : queue_) take(ref);
  for (const Ref& ref : heap_) take(ref);
  std::sort(rows.begin(), rows.end(),
            [](const Ref& a, const Ref& b) { return a.segment != b.segment ? a.segment < b.segment : a.row < b.row; });
  for (const Ref& ref : rows) {
    last = std::max(last, ref.time);
    out.put(ref.time);
    for (const ColumnPtr& column : segment(ref.segment).batch.columns) write_value(*column, ref.row, out);
  }
}

void RollingStep::write_window(ByteWriter& out) {
  // Rows out of reach may still be in rings; their segments have gone.
  const Millis from = watermark_ == kMinusInfinity ? frozen_to_ : std::max(frozen_to_, out_of_reach(watermark_) + 1);
  for (uint32_t id = 0; id < table_.count(); ++id) {
    if (table_.use(id) != KeyTable::Use::kKey) continue;
    const Ring& ring = key(id).ring;
    uint32_t first = ring.size;
    while (first > 0 && ring.time(first - 1, stride_) >= from) --first;
    if (first == ring.size) continue;
    out.put_string(table_.key(id));
    out.put(ring.block);
    out.put(ring.before > first ? ring.before - first : 0);
    out.put(ring.size - first);
    for (uint32_t i = first; i < ring.size; ++i) {
      if (!anew_) {
        out.put_bytes(ring.slot(i, stride_), stride_);
        continue;
      }
      out.put(ring.time(i, stride_));
      const auto place = load_cell<Place>(ring.payload(i, stride_));
      const Batch& batch = segment(place.segment).batch;
      for (size_t column = 0; column < looked_at_.size(); ++column) {
        if (looked_at_[column]) write_value(*batch.columns[column], place.row, out);
      }
    }
  }
}

void RollingStep::freeze(FreezeSink& sink) {
  WL_CHECK(!busy());
  std::erase_if(units_, [&](const Unit& unit) {
    return unit.of_held ? unit.last < lost_ : unit.last <= out_of_reach(watermark_);
  });
  if (units_.size() >= kMaxUnits) changes_lost();
  std::vector<Bytes> blocks;
  const auto add = [&](const char* kind, bool of_held, auto write) {
    ByteWriter rows;
    Millis last = watermark_ == kMinusInfinity ? kMinusInfinity : watermark_ - 1;
    write(rows, last);
    if (rows.size() == 0) return;
    ByteWriter out;
    out.reserve(rows.size() + 16);
    out.put(kVersion);
    out.put(last);
    out.put_bytes(rows.view().data(), rows.size());
    units_.push_back({kind + std::to_string(next_unit_), last, of_held});
    blocks.push_back(out.take());
  };
  add("p:", true, [this](ByteWriter& out, Millis& last) { write_held(out, last); });
  add("w:", false, [this](ByteWriter& out, Millis&) { write_window(out); });
  ++next_unit_;
  frozen_segment_ = first_segment_ + static_cast<uint32_t>(segments_.size());
  frozen_to_ = watermark_;

  ByteWriter meta;
  meta.put(kVersion);
  meta.put(watermark_);
  meta.put(released_);
  meta.put(next_unit_);
  sink.live(std::string(kMeta));
  sink.block(std::string(kMeta), true, meta.take());
  for (const Unit& unit : units_) sink.live(unit.name);
  for (size_t i = 0; i < blocks.size(); ++i)
    sink.block(units_[units_.size() - blocks.size() + i].name, true, std::move(blocks[i]));
}

void RollingStep::changes_lost() {
  units_.clear();
  frozen_segment_ = first_segment_;
  frozen_to_ = kMinusInfinity;
}

Status RollingStep::restore(std::string_view unit, bool /*whole*/, std::string_view bytes) {
  const std::string what = "step '" + name() + "', unit " + std::string(unit);
  ByteReader in(bytes);
  if (const auto version = in.get<uint8_t>(); in.failed() || version != kVersion) {
    return Status::corruption(what + ": version " + std::to_string(version) + ", this program reads " +
                              std::to_string(kVersion));
  }
  if (unit == kMeta) {
    watermark_ = in.get<Millis>();
    released_ = in.get<Millis>();
    next_unit_ = in.get<int64_t>();
    return in.finish(what);
  }
  char kind = 0;
  int64_t number = 0;
  if (!parse_unit(unit, kind, number)) return Status::corruption(what + ": unknown");
  const auto last = in.get<Millis>();
  units_.push_back({std::string(unit), last, kind == 'p'});
  // In the order of their numbers, and not before the watermark is known.
  (kind == 'p' ? read_held_ : read_window_)[number] = std::string(in.get_bytes(in.left()));
  return in.failed() ? in.finish(what) : Status();
}

Batch RollingStep::empty_batch() const {
  Batch batch;
  batch.schema = input_;
  return batch;
}

Status RollingStep::read_held(std::string_view bytes) {
  ByteReader in(bytes);
  std::vector<std::shared_ptr<Column>> columns;
  for (const Field& field : input_->fields()) columns.push_back(std::make_shared<Column>(field.type, field.item));
  Batch batch = empty_batch();
  Buffer<uint32_t> rows;
  while (in.left() > 0) {
    batch.event_times.push_back(in.get<Millis>());
    for (const auto& column : columns) read_value(*column, in);
    if (batch.event_times.back() >= lost_) rows.push_back(static_cast<uint32_t>(batch.length));
    ++batch.length;
  }
  if (in.failed()) return bad();
  batch.columns.assign(columns.begin(), columns.end());
  keys_.pack(batch);
  if (!rows.empty()) hold(batch, rows.data(), rows.size());
  return {};
}

Status RollingStep::read_window(std::string_view bytes) {
  ByteReader in(bytes);
  const auto number = first_segment_ + static_cast<uint32_t>(segments_.size());
  std::vector<std::shared_ptr<Column>> columns(looked_at_.size());
  if (anew_) {
    segments_.emplace_back().batch = empty_batch();
    for (size_t i = 0; i < columns.size(); ++i) {
      const Field& field = input_->field(static_cast<int>(i));
      if (looked_at_[i]) columns[i] = std::make_shared<Column>(field.type, field.item);
    }
  }
  while (in.left() > 0) {
    const std::string_view name = in.get_string();
    const auto block = in.get<int64_t>();
    const auto turned = in.get<uint32_t>();
    const auto count = in.get<uint32_t>();
    if (in.failed() || count == 0 || turned > count || (keys_.is_fixed() && name.size() != sizeof(int64_t)))
      return bad();
    const uint32_t id = table_.find_or_insert(bytes_key(keys_, name));
    Ring& ring = key(id).ring;
    if (!anew_) settle(id, turned, block);
    for (uint32_t i = 0; i < count; ++i) {
      const auto time = in.get<Millis>();
      if (in.failed() || (ring.size > 0 && time < ring.time(ring.size - 1, stride_))) return bad();
      uint8_t* payload = ring.append(time, stride_);
      if (anew_) {
        Segment& segment = segments_.back();
        store_cell(payload, Place{number, static_cast<uint32_t>(segment.batch.length++)});
        segment.batch.event_times.push_back(time);
        segment.last = std::max(segment.last, time);
        for (const auto& column : columns) {
          if (column) read_value(*column, in);
        }
        continue;
      }
      const std::string_view cells = in.get_bytes(stride_ - sizeof(Millis));
      if (!cells.empty()) std::memcpy(payload, cells.data(), cells.size());
      if (i + 1 == turned) {
        // Rows of older units that lie in the same block were not turned over when those were written.
        for (uint32_t at = ring.size - turned; at > 0; --at)
          aggregates_.merge_cells(ring.payload(at - 1, stride_), ring.payload(at, stride_));
        ring.before = ring.size;
        ring.block = block;
      } else if (i >= turned) {
        aggregates_.merge_cells(total(id), payload);
      }
    }
  }
  if (anew_) {
    segments_.back().batch.columns.assign(columns.begin(), columns.end());
    count_bytes(segments_.back());
  }
  return in.failed() ? bad() : Status();
}

// Makes the ring ready for rows of `block`, behind `turned` ones of the block before.
void RollingStep::settle(uint32_t id, uint32_t turned, int64_t block) {
  Ring& ring = key(id).ring;
  size_t work = 0;
  const auto turn_to = [&](int64_t to) {
    while (ring.block != to && !turn_over(id, to, work)) work = 0;
  };
  if (turned == 0) return turn_to(block);
  turn_to(block - 1);
  ring.drop_first(ring.before);
  if (!aggregates_.initial().empty())
    std::memcpy(total(id), aggregates_.initial().data(), aggregates_.initial().size());
}

Status RollingStep::restored(const StepCounts& counts) {
  set_lost();
  for (const auto& [number, bytes] : read_window_)
    WL_RETURN_IF_ERROR(read_window(bytes).with_context("step '" + name() + "', unit w:" + std::to_string(number)));
  for (const auto& [number, bytes] : read_held_)
    WL_RETURN_IF_ERROR(read_held(bytes).with_context("step '" + name() + "', unit p:" + std::to_string(number)));
  read_window_.clear();
  read_held_.clear();
  for (uint32_t id = 0; id < table_.count(); ++id) {
    Key& state = key(id);
    ring_bytes_ += int64_t{state.ring.capacity} * static_cast<int64_t>(stride_);
    if (state.timer != kPlusInfinity || state.ring.size == 0) continue;
    state.timer = state.ring.time(state.ring.size - 1, stride_) + size_;
    timers_.add({state.timer, KeyTable::tag_at(table_.entry(id)), id});
  }
  counts_ = counts;
  below_ = watermark_;
  target_ = watermark_;
  frozen_segment_ = first_segment_ + static_cast<uint32_t>(segments_.size());
  frozen_to_ = watermark_;
  return {};
}

}  // namespace wrackline
