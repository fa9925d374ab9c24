#include "wrackline/time/watermark.h"

#include <algorithm>

namespace wrackline {

Status check_watermark(const WatermarkSpec& spec, bool topic) {
  if (spec.kind == WatermarkKind::kBounded) {
    if (!spec.out_of_orderness) {
      return Status::invalid(
          "out_of_orderness is required for a topic: how long after a record may one with an earlier event time still "
          "come? Start with the usual delay of your producers (\"30s\"); what comes later than that goes to .late");
    }
    if (*spec.out_of_orderness < 0 || *spec.out_of_orderness > kMaxDuration) {
      return Status::invalid("out_of_orderness must be between 0 and 10^15 ms, not " +
                             std::to_string(*spec.out_of_orderness));
    }
  }
  if (spec.kind == WatermarkKind::kAll && topic) {
    return Status::invalid(
        "out_of_orderness=\"all\" is for bounded inputs: a topic has no end, and no window would ever close");
  }
  if (spec.idle_after && (*spec.idle_after <= 0 || *spec.idle_after > kMaxDuration)) {
    return Status::invalid("idle_after must be > 0 and at most 10^15 ms, not " + std::to_string(*spec.idle_after));
  }
  if (spec.warn_late < 0 || spec.warn_late > kMaxDuration) {
    return Status::invalid("warn_late must be between 0 and 10^15 ms, not " + std::to_string(spec.warn_late));
  }
  return {};
}

void InputWatermark::start(Millis clock_now) {
  idle_since = clock_now;
  idle = false;
}

void InputWatermark::saw(Millis reached_now, Millis clock_now) {
  idle_since = clock_now;
  idle = false;
  if (reached_now > reached) {
    reached = reached_now;
    reached_at = clock_now;
  }
}

std::optional<Millis> InputWatermark::check_idle(const WatermarkSpec& spec, Millis clock_now, bool at_end_of_log) {
  if (!spec.idle_after) return std::nullopt;
  // A clock that was set back has measured nothing.
  idle_since = std::min(idle_since, clock_now);
  if (!at_end_of_log || clock_now - idle_since < *spec.idle_after) return std::nullopt;
  return go_idle(spec, clock_now);
}

std::optional<Millis> InputWatermark::go_idle(const WatermarkSpec& spec, Millis clock_now) {
  idle = true;
  // Only input of its task: with "hold" it has the largest watermark already.
  if (spec.idle_advance == IdleAdvance::kHold) return std::nullopt;
  idle_since = clock_now;  // again after each further idle_after
  const Millis from = closes_from(spec);
  if (from == kMinusInfinity) return std::nullopt;
  const Millis closed = from + std::max<Millis>(clock_now - reached_at, 0);
  if (closed <= watermark) return std::nullopt;
  return closed;
}

Millis InputWatermark::closes_from(const WatermarkSpec& spec) const {
  if (reached == kMinusInfinity || spec.kind == WatermarkKind::kAll) return kMinusInfinity;
  return reached - (spec.kind == WatermarkKind::kBounded ? *spec.out_of_orderness : 0);
}

void InputWatermark::save(ByteWriter& out) const {
  out.put(watermark);
  out.put(reached);
  out.put(reached_at);
}

void InputWatermark::restore(ByteReader& in) {
  watermark = in.get<Millis>();
  reached = in.get<Millis>();
  reached_at = in.get<Millis>();
}

}  // namespace wrackline
