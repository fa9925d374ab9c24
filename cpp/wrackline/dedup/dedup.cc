#include "wrackline/dedup/dedup.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "wrackline/core/key.h"
#include "wrackline/core/late.h"
#include "wrackline/dedup/id_bucket.h"

namespace wrackline {
namespace {

constexpr uint8_t kVersion = 1;
constexpr std::string_view kMeta = "meta";
constexpr int64_t kBlock = 64;  // rows whose slots are fetched together

class DedupStep final : public Step {
 public:
  DedupStep(std::string name, const DedupSpec& spec, const Schema& input, KeyPacker ids)
      : Step(std::move(name)),
        within_(spec.within),
        allowed_lateness_(spec.allowed_lateness),
        wide_(spec.within >= int64_t{1} << 32),
        late_schema_(late_schema(input)),
        ids_(std::move(ids)) {}

  void take(Batch batch) override {
    move_watermark(batch.watermark);
    counts_.in += batch.length;
    batch_ = std::move(batch);
  }
  bool busy() const override { return batch_.has_value(); }
  Status advance(Emitter& out) override;
  int64_t state_bytes() const override;
  StepStatus status() const override;
  int64_t entry_bytes() const override { return wide_ ? 24 : 20; }
  void freeze(FreezeSink& sink) override;
  void changes_lost() override { freeze_whole_ = true; }
  Status restore(std::string_view unit, bool whole, std::string_view bytes) override;
  Status restored(const StepCounts& counts) override {
    counts_ = counts;
    freeze_whole_ = false;
    return {};
  }
  std::string fingerprint() const override {
    return "dedup within=" + std::to_string(within_) + " columns" + ids_.fingerprint();
  }

 private:
  struct Bucket {
    explicit Bucket(bool wide) : ids(wide) {}
    IdBucket ids;
    bool frozen = false;
  };
  using Buckets = std::map<int64_t, Bucket>;

  void hash_ids();
  void fetch(int64_t begin, int64_t end);
  void judge(int64_t row, Emitter& out);
  bool seen(Hash128 id, Millis time) const;
  Bucket* find_bucket(int64_t number) const;
  void drop_past();

  const Millis within_;
  const Millis allowed_lateness_;
  const bool wide_;
  const SchemaPtr late_schema_;
  KeyPacker ids_;

  // +infinity is never stored (semantics.md 2): what was remembered still tells duplicates if the input is read on.
  void move_watermark(Millis watermark) {
    if (watermark != kPlusInfinity) watermark_ = std::max(watermark_, watermark);
  }

  Millis watermark_ = kMinusInfinity;
  Millis freed_ = kMinusInfinity;  // a record at or before it may have lost the one it doubles
  Buckets buckets_;                // number = floor(t / within)
  bool freeze_whole_ = true;

  std::optional<Batch> batch_;
  Buffer<Hash128> hashes_;
  Buffer<int64_t> passed_;
  Buffer<int64_t> duplicates_;
  std::vector<LateRow> late_;
  mutable int64_t cached_number_ = 0;  // the bucket asked for last and those beside it
  mutable Bucket* cached_[3] = {};
  mutable bool cached_valid_ = false;
};

void DedupStep::hash_ids() {
  ids_.pack(*batch_);
  hashes_.resize(static_cast<size_t>(batch_->length));
  for (int64_t row = 0; row < batch_->length; ++row) hashes_[static_cast<size_t>(row)] = hash128(ids_.key(row));
}

DedupStep::Bucket* DedupStep::find_bucket(int64_t number) const {
  const auto it = buckets_.find(number);
  return it == buckets_.end() ? nullptr : const_cast<Bucket*>(&it->second);
}

// The buckets of a record: an id that passed within `within` of it is in one of three.
void DedupStep::fetch(int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t number = floor_div(batch_->event_times[static_cast<size_t>(row)], within_);
    if (!cached_valid_ || number != cached_number_) {
      for (int i = 0; i < 3; ++i) cached_[i] = find_bucket(number + i - 1);
      cached_number_ = number;
      cached_valid_ = true;
    }
    for (const Bucket* bucket : cached_) {
      if (bucket != nullptr) bucket->ids.prefetch(hashes_[static_cast<size_t>(row)]);
    }
  }
}

bool DedupStep::seen(Hash128 id, Millis time) const {
  const int64_t number = cached_number_;
  for (int i = 0; i < 3; ++i) {
    if (cached_[i] == nullptr) continue;
    const int64_t in_bucket = cached_[i]->ids.find(id);
    if (in_bucket == IdBucket::kNone) continue;
    const Millis passed = (number + i - 1) * within_ + in_bucket;
    if ((passed < time ? time - passed : passed - time) < within_) return true;
  }
  return false;
}

void DedupStep::judge(int64_t row, Emitter& out) {
  const Millis time = batch_->event_times[static_cast<size_t>(row)];
  if (ids_.is_null(row)) {
    ++counts_.dead_lettered;
    out.dead_letter(*batch_, row, reason::kNullKey, "a part of the id is null");
    return;
  }
  const Millis watermark = batch_->judged(row, watermark_);
  if (time + allowed_lateness_ < watermark || time <= freed_) {
    ++counts_.late;
    // Less than 1 only where another allowed lateness has freed what would tell.
    late_.push_back({row, std::max<Millis>(watermark - time - allowed_lateness_, 1), watermark});
    return;
  }
  const int64_t number = floor_div(time, within_);
  if (!cached_valid_ || number != cached_number_) {
    for (int i = 0; i < 3; ++i) cached_[i] = find_bucket(number + i - 1);
    cached_number_ = number;
    cached_valid_ = true;
  }
  const Hash128 id = hashes_[static_cast<size_t>(row)];
  if (seen(id, time)) {
    ++counts_.duplicate;
    duplicates_.push_back(row);
    return;
  }
  if (cached_[1] == nullptr) cached_[1] = &buckets_.try_emplace(number, wide_).first->second;
  cached_[1]->ids.insert(id, time - number * within_);
  ++counts_.out;
  passed_.push_back(row);
}

Status DedupStep::advance(Emitter& out) {
  hash_ids();
  passed_.clear();
  duplicates_.clear();
  late_.clear();
  cached_valid_ = false;
  const std::vector<Move>& moves = batch_->moves;
  size_t move = 0;
  for (int64_t begin = 0; begin < batch_->length; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, batch_->length);
    fetch(begin, end);
    for (int64_t row = begin; row < end; ++row) {
      for (; move < moves.size() && moves[move].position <= row; ++move) {
        move_watermark(moves[move].watermark);
      }
      judge(row, out);
    }
  }
  move_watermark(batch_->watermark_after());
  drop_past();
  const Batch batch = std::move(*batch_);
  batch_.reset();
  if (!late_.empty()) out.emit(Port::kLate, late_batch(batch, late_schema_, late_, "dedup", name()));
  if (!duplicates_.empty()) {
    Batch rows = take_rows(batch, duplicates_);
    rows.moves.clear();
    out.emit(Port::kDuplicates, std::move(rows));
  }
  if (static_cast<int64_t>(passed_.size()) == batch.length)
    out.emit(Port::kMain, batch);
  else
    out.emit(Port::kMain, take_rows(batch, passed_));
  return {};
}

void DedupStep::drop_past() {
  cached_valid_ = false;
  while (!buckets_.empty()) {
    const Millis last = (buckets_.begin()->first + 1) * within_ - 1;
    if (last + within_ + allowed_lateness_ > watermark_) return;
    freed_ = std::max(freed_, last + within_ - 1);
    buckets_.erase(buckets_.begin());
  }
}

StepStatus DedupStep::status() const {
  StepStatus status{.state_bytes = state_bytes()};
  for (const auto& [number, bucket] : buckets_) status.entries += bucket.ids.count();
  return status;
}

int64_t DedupStep::state_bytes() const {
  int64_t bytes = 0;
  for (const auto& [number, bucket] : buckets_) bytes += bucket.ids.allocated_bytes();
  return bytes;
}

void DedupStep::freeze(FreezeSink& sink) {
  WL_CHECK(!busy());
  ByteWriter meta;
  meta.reserve(64);
  meta.put(kVersion);
  meta.put(watermark_);
  meta.put(freed_);
  sink.live(std::string(kMeta));
  sink.block(std::string(kMeta), true, meta.take());
  for (auto& [number, bucket] : buckets_) {
    std::string unit = "b:" + std::to_string(number);
    sink.live(unit);
    bool whole = freeze_whole_ || !bucket.frozen;
    if (!whole && !bucket.ids.changed()) continue;
    whole = whole || sink.wants_whole(unit);
    Bytes entries = bucket.ids.freeze(whole);
    bucket.frozen = true;
    sink.block(std::move(unit), whole, std::move(entries));
  }
  freeze_whole_ = false;
}

Status DedupStep::restore(std::string_view unit, bool whole, std::string_view bytes) {
  const std::string what = "step '" + name() + "', unit " + std::string(unit);
  if (unit == kMeta) {
    ByteReader in(bytes);
    if (const auto version = in.get<uint8_t>(); in.failed() || version != kVersion) {
      return Status::corruption(what + ": version " + std::to_string(version) + ", this program reads " +
                                std::to_string(kVersion));
    }
    watermark_ = in.get<Millis>();
    freed_ = in.get<Millis>();
    return in.finish(what);
  }
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(unit.data() + std::min<size_t>(2, unit.size()), unit.data() + unit.size(), number);
  if (unit.substr(0, 2) != "b:" || error != std::errc() || end != unit.data() + unit.size()) {
    return Status::corruption(what + ": unknown");
  }
  if (whole) buckets_.erase(number);
  Bucket& bucket = buckets_.try_emplace(number, wide_).first->second;
  bucket.frozen = true;
  return bucket.ids.restore(bytes).with_context(what);
}

}  // namespace

Result<std::unique_ptr<Step>> make_dedup_step(std::string name, const DedupSpec& spec, const SchemaPtr& input) {
  if (spec.columns.empty()) return Status::invalid("dedup: needs the columns that identify a record");
  if (spec.within <= 0) return Status::invalid("dedup: within must be positive");
  if (spec.within > kMaxDuration) return Status::invalid("dedup: within is longer than 10^15 ms");
  if (spec.allowed_lateness < 0) return Status::invalid("dedup: allowed_lateness is negative");
  if (spec.allowed_lateness > kMaxDuration)
    return Status::invalid("dedup: allowed_lateness is longer than 10^15 ms, or infinite");
  WL_ASSIGN_OR_RETURN(KeyPacker ids, KeyPacker::make(*input, spec.columns, spec.null_key_group));
  return std::unique_ptr<Step>(std::make_unique<DedupStep>(std::move(name), spec, *input, std::move(ids)));
}

}  // namespace wrackline
