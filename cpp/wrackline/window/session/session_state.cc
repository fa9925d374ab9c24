// Checkpoints of sessions: a unit for each 256th of the keys' hashes, and one for what belongs to no key.
// docs/formats.md, "Session state".
#include <charconv>
#include <cstring>

#include "wrackline/window/session/session_step.h"

namespace wrackline {
namespace {

constexpr uint8_t kVersion = 2;
constexpr std::string_view kMeta = "meta";

std::string unit_name(size_t unit) { return "k:" + std::to_string(unit); }

bool parse_unit(std::string_view name, size_t& unit) {
  if (name.size() < 3 || name.substr(0, 2) != "k:") return false;
  const auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), unit);
  return error == std::errc() && end == name.data() + name.size();
}

}  // namespace

void SessionStep::write_key(uint32_t id, ByteWriter& out) {
  SessionKey state = key(id);
  state.flags = (state.flags & ~session_flag::kChanged) | session_flag::kFrozen;
  set_key(id, state);
  const Older& others = older(id);
  out.put_string(table_.key(id));
  out.put(static_cast<uint32_t>(others.size() + 1));
  const auto write = [&](uint32_t entry) {
    const Session one = session(entry);
    out.put(one.start);
    out.put(one.end);
    out.put(one.unemitted);
    out.put(one.revision);
    out.put(static_cast<uint8_t>(one.row_is_out));
    out.put_bytes(table_.cells(entry), aggregate_bytes_);
    if (aggregates_.has_pools()) aggregates_.write_pools(pools_, entry, out);
  };
  for (const auto& [start, entry] : others) write(entry);
  write(id);
}

void SessionStep::freeze(FreezeSink& sink) {
  WL_CHECK(!busy());
  {
    ByteWriter out;
    out.put(kVersion);
    out.put(watermark_);
    out.put(freed_end_);
    out.put(plus(watermark_, -spec_.allowed_lateness));
    sink.live(std::string(kMeta));
    sink.block(std::string(kMeta), true, out.take());
  }
  if (aggregates_.has_pools()) aggregates_.grow_pools(pools_, table_.count());
  std::vector<ByteWriter> writers(kUnits);
  bool any_whole = false;
  for (size_t i = 0; i < kUnits; ++i) {
    Unit& unit = units_[i];
    if (unit.keys == 0) {
      forget_changes(unit);
      continue;
    }
    const bool changed = unit.whole || !unit.changed.empty() || unit.gone_count > 0;
    if (changed && (unit.changed.size() * 4 > size_t{unit.keys} * 3 || sink.wants_whole(unit_name(i))))
      forget_changes(unit);
    any_whole = any_whole || unit.whole;
    if (!changed) continue;
    ByteWriter& out = writers[i];
    out.reserve((unit.whole ? unit.keys : unit.changed.size()) * (aggregate_bytes_ + 64));
    out.put(kVersion);
    out.put(unit.whole ? 0 : unit.gone_count);
    if (unit.whole) continue;
    out.put_bytes(unit.gone.view().data(), unit.gone.size());
    for (const uint32_t id : unit.changed) {
      // Not what has gone since, nor what came to its entry, nor a key a second time.
      if (table_.use(id) != KeyTable::Use::kKey || unit_of(id) != i) continue;
      if ((key(id).flags & session_flag::kChanged) && !is_empty(id)) write_key(id, out);
    }
  }
  if (any_whole) {  // in the order in which entries lie in memory
    for (uint32_t id = 0; id < table_.count(); ++id) {
      if (table_.use(id) != KeyTable::Use::kKey || is_empty(id)) continue;
      if (const size_t unit = unit_of(id); units_[unit].whole) write_key(id, writers[unit]);
    }
  }
  for (size_t i = 0; i < kUnits; ++i) {
    Unit& unit = units_[i];
    if (unit.keys == 0) continue;
    std::string name = unit_name(i);
    sink.live(name);
    if (writers[i].size() == 0) continue;
    const bool whole = unit.whole;
    forget_changes(unit);
    unit.whole = false;
    sink.block(std::move(name), whole, writers[i].take());
  }
}

void SessionStep::changes_lost() {
  for (Unit& unit : units_) forget_changes(unit);
}

void SessionStep::remove_sessions(uint32_t id) {
  if (key(id).older != KeyTable::kNone) {
    Older& others = make_older(id);
    hidden_ -= static_cast<int64_t>(others.size());
    for (const auto& [start, entry] : others) release(entry);
    others.clear();
    drop_older(id);
  }
  --units_[unit_of(id)].keys;
  set_session(id, {});
  set_key(id, {});
  aggregates_.reset(table_, pools_, id);
}

Status SessionStep::read_key(ByteReader& in) {
  const auto bad = [] { return Status::corruption("a key that does not fit"); };
  const std::string_view bytes = in.get_string();
  if (in.failed() || (keys_.is_fixed() && bytes.size() != sizeof(int64_t))) return bad();
  const TableKey name = bytes_key(keys_, bytes);
  const uint32_t id = table_.find_or_insert(name);
  if (aggregates_.has_pools()) aggregates_.grow_pools(pools_, table_.count());
  if (!is_empty(id)) remove_sessions(id);
  ++units_[unit_of(id)].keys;
  const auto count = in.get<uint32_t>();
  Millis end = kMinusInfinity;
  for (uint32_t i = 0; i < count; ++i) {
    Session one;
    one.start = in.get<Millis>();
    one.end = in.get<Millis>();
    one.unemitted = in.get<int64_t>();
    one.revision = in.get<int64_t>();
    one.row_is_out = in.get<uint8_t>() == 0 ? 0 : 1;
    const std::string_view cells = in.get_bytes(aggregate_bytes_);
    if (in.failed() || (i > 0 && one.start <= end) || one.end < one.start) return bad();
    end = one.end;
    if (i > 0) shelve(id);
    set_session(id, one);
    if (!cells.empty()) std::memcpy(table_.cells(id), cells.data(), cells.size());
    if (aggregates_.has_pools()) WL_RETURN_IF_ERROR(aggregates_.read_pools(pools_, id, in));
  }
  return count > 0 && !in.failed() ? Status() : bad();
}

Status SessionStep::restore(std::string_view unit, bool whole, std::string_view bytes) {
  const std::string what = "step '" + name() + "', unit " + std::string(unit);
  ByteReader in(bytes);
  if (const auto version = in.get<uint8_t>(); in.failed() || version != kVersion) {
    return Status::corruption(what + ": version " + std::to_string(version) + ", this program reads " +
                              std::to_string(kVersion));
  }
  size_t number = 0;
  if (unit == kMeta) {
    watermark_ = in.get<Millis>();
    freed_end_ = in.get<Millis>();
    restored_lost_ = in.get<Millis>();
    return in.finish(what);
  }
  if (!parse_unit(unit, number) || number >= kUnits) return Status::corruption(what + ": unknown");
  for (uint32_t id = 0; whole && units_[number].keys > 0 && id < table_.count(); ++id) {
    if (table_.use(id) == KeyTable::Use::kKey && unit_of(id) == number && !is_empty(id)) remove_sessions(id);
  }
  const auto gone = in.get<uint32_t>();
  for (uint32_t i = 0; i < gone && !in.failed(); ++i) {
    const std::string_view key = in.get_string();
    if (keys_.is_fixed() && key.size() != sizeof(int64_t))
      return Status::corruption(what + ": a key that does not fit");
    const uint32_t id = table_.find(bytes_key(keys_, key));
    if (id != KeyTable::kNone && !is_empty(id)) remove_sessions(id);
  }
  while (in.left() > 0) WL_RETURN_IF_ERROR(read_key(in).with_context(what));
  return in.finish(what);
}

Status SessionStep::restored(const StepCounts& counts) {
  counts_ = counts;
  for (Unit& unit : units_) {
    forget_changes(unit);
    unit.whole = unit.keys == 0;
  }
  for (uint32_t id = 0; id < table_.count(); ++id) {
    if (table_.use(id) != KeyTable::Use::kKey) continue;
    if (is_empty(id)) {
      table_.erase(id);
      continue;
    }
    SessionKey state = key(id);
    state.flags = session_flag::kFrozen;
    set_key(id, state);
    // What only waited for it is freed: another allowed lateness does not open it again.
    free_before(id, restored_lost_);
    if (is_empty(id)) {
      table_.erase(id);
      continue;
    }
    schedule(id, watermark_);
    if (spec_.early) touch(id, session_flag::kFresh);  // those with nothing new are left out then
  }
  results_.set_watermark(below(watermark_));
  set_lost();
  find_boundary();
  return {};
}

}  // namespace wrackline
