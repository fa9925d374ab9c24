#include "wrackline/time/inputs.h"

#include <algorithm>

namespace wrackline {

Status Inputs::expect(uint32_t source, int32_t partitions) {
  if (source >= partitions_.size())
    return Status::corruption("source " + std::to_string(source) + " is not merged here");
  for (int32_t& known = partitions_[source]; known < partitions; ++known) inputs_.try_emplace({source, known});
  return {};
}

Millis Inputs::on_row(UpstreamId id, Millis watermark, Millis judged) {
  Input& input = inputs_.at(id);
  if (input.idle || input.ended) {  // it returns to where the task stands
    input.idle = input.ended = ended_ = false;
    input.watermark = std::max(input.watermark, watermark_);
  }
  if (watermark > input.watermark) {
    input.watermark = watermark;
    find_minimum();
  }
  return std::max(judged, input.watermark);
}

void Inputs::on_mark(UpstreamId id, const UpstreamMark& mark) {
  Input& input = inputs_.at(id);
  if ((input.idle || input.ended) && !mark.idle && !mark.ended) input.watermark = std::max(input.watermark, watermark_);
  input.watermark = std::max(input.watermark, mark.watermark);
  input.closes_from = mark.closes_from;
  input.seen_at = mark.seen_at;
  input.idle = mark.idle;
  input.ended = mark.ended;
  const bool heard_of_all = std::none_of(partitions_.begin(), partitions_.end(), [](int32_t n) { return n == 0; });
  const auto all = [&](auto predicate) {
    return heard_of_all &&
           std::all_of(inputs_.begin(), inputs_.end(), [&](const auto& entry) { return predicate(entry.second); });
  };
  ended_ = all([](const Input& of) { return of.ended; });
  if (all([](const Input& of) { return of.idle || of.ended; }))
    all_idle(mark.clock);
  else
    find_minimum();
}

// Over the inputs that are neither idle nor at their end.
void Inputs::find_minimum() {
  if (std::any_of(partitions_.begin(), partitions_.end(), [](int32_t n) { return n == 0; })) return;
  Millis least = kPlusInfinity;
  for (const auto& [id, input] : inputs_) {
    if (!input.idle && !input.ended) least = std::min(least, input.watermark);
  }
  if (least != kPlusInfinity) watermark_ = std::max(watermark_, least);
}

// The last one has left the minimum.
void Inputs::all_idle(Millis clock) {
  const Input* furthest = nullptr;
  for (const auto& [id, input] : inputs_) {
    watermark_ = std::max(watermark_, input.watermark);
    if (furthest == nullptr || input.closes_from > furthest->closes_from ||
        (input.closes_from == furthest->closes_from && input.seen_at < furthest->seen_at))
      furthest = &input;
  }
  if (idle_advance_ == IdleAdvance::kClose && furthest->closes_from != kMinusInfinity)
    watermark_ = std::max(watermark_, furthest->closes_from + std::max<Millis>(clock - furthest->seen_at, 0));
}

std::optional<UpstreamId> Inputs::slowest() const {
  std::optional<UpstreamId> slowest;
  Millis least = kPlusInfinity;
  for (const auto& [id, input] : inputs_) {
    if (input.idle || input.ended || input.watermark >= least) continue;
    least = input.watermark;
    slowest = id;
  }
  return slowest;
}

std::vector<InputStatus> Inputs::status() const {
  std::vector<InputStatus> all;
  for (uint32_t source = 0; source < partitions_.size(); ++source) {
    if (partitions_[source] == 0) all.push_back({.source = source, .partition = -1});
  }
  for (const auto& [id, input] : inputs_)
    all.push_back({id.source, id.partition, input.watermark, input.idle, input.ended});
  return all;
}

void Inputs::save(ByteWriter& out) const {
  out.put(watermark_);
  out.put(ended_);
  out.put(static_cast<uint32_t>(partitions_.size()));
  for (const int32_t partitions : partitions_) out.put(partitions);
  for (const auto& [id, input] : inputs_) {
    out.put(input.watermark);
    out.put(input.idle);
    out.put(input.ended);
    out.put(input.closes_from);
    out.put(input.seen_at);
  }
}

Status Inputs::restore(ByteReader& in) {
  watermark_ = in.get<Millis>();
  ended_ = in.get<bool>();
  if (in.get<uint32_t>() != partitions_.size()) return Status::corruption("inputs: another number of sources");
  for (uint32_t source = 0; source < partitions_.size(); ++source) {
    const auto partitions = in.get<int32_t>();
    if (in.failed() || partitions < 0) return Status::corruption("inputs: truncated");
    WL_RETURN_IF_ERROR(expect(source, partitions));
  }
  for (auto& [id, input] : inputs_) {
    input.watermark = in.get<Millis>();
    input.idle = in.get<bool>();
    input.ended = in.get<bool>();
    input.closes_from = in.get<Millis>();
    input.seen_at = in.get<Millis>();
  }
  return in.failed() ? Status::corruption("inputs: truncated") : Status();
}

}  // namespace wrackline
