// Checkpoints of a window step: a unit a slice, a unit a fired window with late records, and one for what
// belongs to no window. docs/formats.md, "Window state".
#include <charconv>

#include "wrackline/window/slices/late_cells.h"
#include "wrackline/window/slices/slice_step.h"

namespace wrackline {
namespace {

constexpr uint8_t kVersion = 1;
constexpr std::string_view kMeta = "meta";

bool parse_unit(std::string_view unit, char kind, Millis& time) {
  if (unit.size() < 3 || unit[0] != kind || unit[1] != ':') return false;
  const auto [end, error] = std::from_chars(unit.data() + 2, unit.data() + unit.size(), time);
  return error == std::errc() && end == unit.data() + unit.size();
}

}  // namespace

void SliceStep::freeze(FreezeSink& sink) {
  WL_CHECK(!busy());
  {
    ByteWriter out;
    out.reserve(64);
    out.put(kVersion);
    out.put(watermark_);
    out.put(freed_end_);
    sink.live(std::string(kMeta));
    sink.block(std::string(kMeta), true, out.take());
  }
  for (const auto& [start, slice] : slices_) {
    std::string unit = "s:" + std::to_string(start);
    sink.live(unit);
    Groups& groups = slice->groups;
    bool whole = freeze_whole_ || !slice->frozen;
    if (!whole && !slice->count_changed && !groups.table.dirty()) continue;
    whole = whole || groups.table.mostly_dirty() || sink.wants_whole(unit);
    ByteWriter out;
    out.put(kVersion);
    out.put(slice->unemitted);
    const auto write_pools = [&](uint32_t id, ByteWriter& writer) {
      aggregates_.write_pools(groups.pools, id, writer);
    };
    groups.table.freeze(whole, aggregates_.has_pools(), out, write_pools);
    slice->frozen = true;
    slice->count_changed = false;
    sink.block(std::move(unit), whole, out.take());
  }
  for (auto& [end, window] : late_windows_) {
    std::string unit = "l:" + std::to_string(end);
    sink.live(unit);
    bool whole = freeze_whole_ || !window.frozen;
    if (!whole && !window.keys.dirty()) continue;
    whole = whole || window.keys.mostly_dirty() || sink.wants_whole(unit);
    ByteWriter out;
    out.put(kVersion);
    window.keys.freeze(whole, false, out, [](uint32_t, ByteWriter&) {});
    window.frozen = true;
    sink.block(std::move(unit), whole, out.take());
  }
  freeze_whole_ = false;
}

Status SliceStep::restore(std::string_view unit, bool whole, std::string_view bytes) {
  const std::string what = "step '" + name() + "', unit " + std::string(unit);
  ByteReader in(bytes);
  if (const auto version = in.get<uint8_t>(); in.failed() || version != kVersion) {
    return Status::corruption(what + ": version " + std::to_string(version) + ", this program reads " +
                              std::to_string(kVersion));
  }
  Millis time = 0;
  if (unit == kMeta) {
    watermark_ = in.get<Millis>();
    freed_end_ = in.get<Millis>();
  } else if (parse_unit(unit, 's', time)) {
    if (grid_.slice_of(time) != time) return Status::corruption(what + ": no slice starts there");
    std::unique_ptr<Slice>& slice = slices_[time];
    if (whole || !slice) slice = std::make_unique<Slice>(time, aggregates_);
    slice->unemitted = in.get<int64_t>();
    slice->frozen = true;
    Groups& groups = slice->groups;
    WL_RETURN_IF_ERROR(
        groups.table
            .restore(in,
                     [&](uint32_t id, ByteReader& reader) { return aggregates_.read_pools(groups.pools, id, reader); })
            .with_context(what));
  } else if (parse_unit(unit, 'l', time)) {
    LateWindow& window = late_windows_[time];
    if (whole) window = LateWindow();
    window.frozen = true;
    WL_RETURN_IF_ERROR(window.keys.restore(in, [](uint32_t, ByteReader&) { return Status(); }).with_context(what));
  } else {
    return Status::corruption(what + ": unknown");
  }
  return in.finish(what);
}

Status SliceStep::restored(const StepCounts& counts) {
  counts_ = counts;
  for (auto& [end, window] : late_windows_) {
    for (uint32_t id = 0; id < window.keys.count(); ++id) {
      if (LateCells(window.keys.cells(id)).due()) window.due.push_back(id);
    }
  }
  results_.set_watermark(plus(watermark_, -spec_.allowed_lateness));
  find_boundary();
  freeze_whole_ = false;
  return {};
}

std::string SliceStep::fingerprint() const {
  return "window " + describe_window(spec_.kind) + " key" + keys_.fingerprint() + " aggregates " +
         aggregates_.fingerprint();
}

}  // namespace wrackline
