// Checkpoints of a window step: a unit a slice, a unit a fired window with late records, and one for what
// belongs to no window. docs/formats.md, "Window state".
#include <charconv>

#include "wrackline/core/logging.h"
#include "wrackline/time/zones.h"
#include "wrackline/window/slices/slice_step.h"

namespace wrackline {
namespace {

constexpr uint8_t kVersion = 2;
constexpr std::string_view kMeta = "meta";

std::string unit_of(char kind, Span span) {
  return std::string(1, kind) + ":" + std::to_string(span.start) + ":" + std::to_string(span.end);
}

std::string unit_of(const SliceId& id) {
  return unit_of('s', id.span) + (id.after == kMinusInfinity ? "" : ":" + std::to_string(id.after));
}

// `after`: null where there is none.
bool parse_unit(std::string_view unit, char kind, Span& span, Millis* after = nullptr) {
  if (unit.size() < 3 || unit[0] != kind || unit[1] != ':') return false;
  const char* stop = unit.data() + unit.size();
  const auto [colon, first_error] = std::from_chars(unit.data() + 2, stop, span.start);
  if (first_error != std::errc() || colon == stop || *colon != ':') return false;
  const auto [end, error] = std::from_chars(colon + 1, stop, span.end);
  if (error != std::errc()) return false;
  if (end == stop) return true;
  if (after == nullptr || *end != ':') return false;
  const auto [last, last_error] = std::from_chars(end + 1, stop, *after);
  return last_error == std::errc() && last == stop;
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
    out.put_string(calendar_ ? tz_version() : std::string_view());
    sink.live(std::string(kMeta));
    sink.block(std::string(kMeta), true, out.take());
  }
  for (const auto& [id, slice] : slices_) {
    std::string unit = unit_of(id);
    sink.live(unit);
    Groups& groups = slice->groups;
    bool whole = freeze_whole_ || !slice->frozen;
    if (!whole && !slice->count_changed && !groups.table.dirty()) continue;
    whole = whole || groups.table.mostly_dirty() || sink.wants_whole(unit);
    ByteWriter out;
    out.put(kVersion);
    out.put(slice->unemitted);
    out.put(with_head_);
    const auto write_pools = [&](uint32_t id, ByteWriter& writer) {
      aggregates_.write_pools(groups.pools, id, writer);
    };
    groups.table.freeze(whole, aggregates_.has_pools(), out, write_pools);
    slice->frozen = true;
    slice->count_changed = false;
    sink.block(std::move(unit), whole, out.take());
  }
  for (auto& [span, window] : windows_) {
    std::string unit = unit_of('w', span);
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
  Span span;
  Millis after = kMinusInfinity;
  if (unit == kMeta) {
    watermark_ = in.get<Millis>();
    freed_end_ = in.get<Millis>();
    const std::string_view version = in.get_string();
    if (calendar_ && version != tz_version()) {
      log_line(LogLevel::kInfo, "step '" + name() + "': its windows were made with tz database " +
                                    std::string(version) + ", now it is " + std::string(tz_version()) +
                                    ": open windows keep their edges");
    }
  } else if (parse_unit(unit, 's', span, &after)) {
    if (spec_.as<FixedWindow>() && grid_.slice_of(span.start) != span)
      return Status::corruption(what + ": no slice starts there");
    const SliceId id{span, after};
    if (after != kMinusInfinity && !slices_.contains(id)) ++partial_slices_;
    std::unique_ptr<Slice>& slice = slices_[id];
    if (whole || !slice) slice = std::make_unique<Slice>(id, aggregates_);
    slice->unemitted = in.get<int64_t>();
    if (slice->unemitted > 0) unemitted_from_ = std::min(unemitted_from_, span.start);
    const bool had_head = in.get<bool>();
    slice->frozen = had_head == with_head_;
    Groups& groups = slice->groups;
    // Whether there are early panes is free to change: entries gain a head, of which all is new, or lose it.
    const auto more = static_cast<int64_t>(had_head ? sizeof(EntryHead) : 0) -
                      static_cast<int64_t>(with_head_ ? sizeof(EntryHead) : 0);
    const auto read_extra = [&](uint32_t id, ByteReader& reader) {
      if (more < 0) change_head(groups, id, [](EntryHead& of) { of.rows = 1; });
      return aggregates_.has_pools() ? aggregates_.read_pools(groups.pools, id, reader) : Status();
    };
    WL_RETURN_IF_ERROR(groups.table.restore(in, read_extra, more).with_context(what));
  } else if (parse_unit(unit, 'w', span)) {
    WindowKeys& window = windows_[span];
    if (whole) window = WindowKeys();
    window.frozen = true;
    WL_RETURN_IF_ERROR(window.keys.restore(in, [](uint32_t, ByteReader&) { return Status(); }).with_context(what));
  } else {
    return Status::corruption(what + ": unknown");
  }
  return in.finish(what);
}

Status SliceStep::restored(const StepCounts& counts) {
  counts_ = counts;
  for (auto& [id, slice] : slices_) {
    const KeyTable& table = slice->groups.table;
    for (uint32_t id = 0; with_head_ && !slice->news && id < table.count(); ++id)
      slice->news = load_cell<EntryHead>(table.cells(id)).rows > 0;
  }
  results_.set_watermark(plus(watermark_, -spec_.allowed_lateness));
  find_boundary();
  freeze_whole_ = false;
  return {};
}

std::string SliceStep::fingerprint() const {
  // What has come out in parts is no longer there as a whole.
  const bool parts = delta() && (spec_.early || spec_.early_rows);
  return std::string(parts ? "window emit=delta " : "window ") + describe_window(spec_.kind) + " key" +
         keys_.fingerprint() + " aggregates " + aggregates_.fingerprint();
}

}  // namespace wrackline
