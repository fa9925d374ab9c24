#include "wrackline/job/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "wrackline/core/bytes.h"
#include "wrackline/core/logging.h"
#include "wrackline/job/formats.h"

namespace wrackline {
namespace {

constexpr uint8_t kVersion = 1;
constexpr std::string_view kManifestKey = "manifest";
// A unit with more blocks than this is written whole the next time, so that a chain stays short.
constexpr size_t kMaxBlocksPerUnit = 16;

}  // namespace

// Collects what the steps freeze, one step after the other.
class Checkpointer::Sink final : public FreezeSink {
 public:
  Sink(const Units& before, std::string file) : before_(before), file_(std::move(file)) {}

  void set_step(std::string step) { step_ = std::move(step); }
  bool wants_whole(const std::string& unit) const override {
    const auto found = before_.find({step_, unit});
    return found != before_.end() && found->second.size() >= kMaxBlocksPerUnit;
  }
  void live(std::string unit) override {
    const UnitKey key{step_, std::move(unit)};
    std::vector<BlockRef>& refs = units[key];  // keeps what block() put in
    const auto found = before_.find(key);
    if (found == before_.end() || (!refs.empty() && refs.front().whole)) return;
    refs.insert(refs.begin(), found->second.begin(), found->second.end());
  }
  void block(std::string unit, bool whole, Bytes bytes) override {
    BlockRef ref{file_, "block-" + std::to_string(blocks.size()), whole};
    std::vector<BlockRef>& refs = units[{step_, std::move(unit)}];
    if (whole) refs.clear();
    refs.push_back(ref);
    blocks.push_back({std::move(ref.key), std::move(bytes)});
  }

  Units units;
  std::vector<Block> blocks;

 private:
  const Units& before_;
  std::string file_;
  std::string step_;
};

std::string checkpoint_id(const std::string& transactional_id, int64_t recovery_count, int64_t commit_seq) {
  return transactional_id + "-" + std::to_string(recovery_count) + "-" + std::to_string(commit_seq);
}

int64_t recovery_count_of(std::string_view checkpoint_id) {
  const size_t last = checkpoint_id.rfind('-');
  if (last == std::string_view::npos || last == 0) return 0;
  const size_t before = checkpoint_id.rfind('-', last - 1);
  if (before == std::string_view::npos) return 0;
  const std::string_view digits = checkpoint_id.substr(before + 1, last - before - 1);
  int64_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return error == std::errc() && end == digits.data() + digits.size() ? count : 0;
}

Checkpointer::Checkpointer(std::unique_ptr<Store> store, Failpoints* failpoints, int64_t recovery_count)
    : store_(std::move(store)), failpoints_(failpoints), recovery_count_(recovery_count) {}

Status Checkpointer::freeze(const CheckpointSeal& seal, const std::vector<Step*>& steps) {
  WL_CHECK(!writing_ && durable_.empty());
  Sink sink(units_, seal.id);
  for (Step* step : steps) {
    sink.set_step(step->name());
    step->freeze(sink);
  }
  WL_RETURN_IF_ERROR(failpoints_->hit(Failpoint::kFrozen));
  next_id_ = seal.id;
  next_units_ = std::move(sink.units);
  sink.blocks.push_back(manifest_block(seal, next_units_));
  store_->start_write(seal.id, std::move(sink.blocks));
  writing_ = true;
  return {};
}

Status Checkpointer::poll(const std::vector<Step*>& steps) {
  if (!writing_) return {};
  const std::optional<Status> answer = store_->poll_write();
  if (!answer) return {};
  writing_ = false;
  if (!answer->ok()) {
    if (answer->code() == Code::kCrashed) return *answer;
    log_line(LogLevel::kWarning,
             "checkpoint " + next_id_ + " failed, its changes go into the next one: " + answer->to_string());
    for (Step* step : steps) step->changes_lost();
    return {};
  }
  WL_RETURN_IF_ERROR(failpoints_->hit(Failpoint::kBlockWritten));
  WL_RETURN_IF_ERROR(failpoints_->hit(Failpoint::kManifestSynced));
  durable_ = next_id_;
  return {};
}

Status Checkpointer::named() {
  named_id_ = std::move(durable_);
  durable_.clear();
  units_ = std::move(next_units_);
  next_units_.clear();
  WL_RETURN_IF_ERROR(remove_unneeded());
  return failpoints_->hit(Failpoint::kOldBlocksDropped);
}

Status Checkpointer::none_named() {
  named_id_.clear();
  units_.clear();
  return remove_unneeded();
}

Status Checkpointer::remove_unneeded() {
  std::set<std::string> needed{named_id_, durable_};
  if (writing_) needed.insert(next_id_);
  for (const auto& [unit, refs] : units_) {
    for (const BlockRef& ref : refs) needed.insert(ref.file);
  }
  for (const auto& [unit, refs] : next_units_) {
    for (const BlockRef& ref : refs) needed.insert(ref.file);
  }
  WL_ASSIGN_OR_RETURN(const std::vector<std::string> files, store_->list());
  for (const std::string& file : files) {
    if (needed.contains(file) || recovery_count_of(file) > recovery_count_) continue;
    // A file that stays is garbage, not wrong: the next checkpoint tries again.
    if (const Status status = store_->remove(file); !status.ok()) {
      if (status.code() == Code::kCrashed) return status;
      log_line(LogLevel::kWarning, "old checkpoint file " + file + " stays: " + status.to_string());
    }
  }
  return {};
}

Block Checkpointer::manifest_block(const CheckpointSeal& seal, const Units& units) const {
  ByteWriter writer;
  writer.put(kVersion);
  writer.put_string(seal.id);
  writer.put_string(seal.log_id);
  writer.put(seal.job_hash);
  writer.put(seal.commit_seq);
  writer.put(seal.offset);
  writer.put(seal.journal_offset);
  writer.put(seal.input_hash);
  write_ledger(writer, seal.ledger);
  writer.put_string(seal.time_state);
  writer.put(static_cast<uint32_t>(seal.fingerprints.size()));
  for (const auto& [step, text] : seal.fingerprints) {
    writer.put_string(step);
    writer.put_string(text);
  }
  writer.put(static_cast<uint32_t>(units.size()));
  for (const auto& [unit, refs] : units) {
    writer.put_string(unit.first);
    writer.put_string(unit.second);
    writer.put(static_cast<uint32_t>(refs.size()));
    for (const BlockRef& ref : refs) {
      writer.put_string(ref.file);
      writer.put_string(ref.key);
      writer.put(static_cast<uint8_t>(ref.whole));
    }
  }
  return {std::string(kManifestKey), writer.take()};
}

Result<CheckpointSeal> Checkpointer::read_manifest(const std::string& id) {
  WL_ASSIGN_OR_RETURN(const std::vector<std::string> files, store_->list());
  if (std::find(files.begin(), files.end(), id) == files.end()) return Status::not_found("no checkpoint " + id);
  CheckpointSeal seal;
  Units units;
  const auto parse = [&](std::string_view, std::string_view bytes) { return parse_manifest(bytes, seal, units); };
  WL_RETURN_IF_ERROR(store_->read(id, {std::string(kManifestKey)}, parse).with_context("checkpoint " + id));
  if (seal.id != id) return Status::corruption("checkpoint " + id + " holds the manifest of " + seal.id);
  units_ = std::move(units);
  named_id_ = id;
  return seal;
}

Status Checkpointer::check_owner(const std::string& log_id) {
  WL_ASSIGN_OR_RETURN(const std::vector<std::string> files, store_->list());
  for (const std::string& file : files) {
    CheckpointSeal seal;
    Units units;
    Status parsed;
    const auto parse = [&](std::string_view, std::string_view bytes) {
      parsed = parse_manifest(bytes, seal, units);
      return Status();
    };
    if (!store_->read(file, {std::string(kManifestKey)}, parse).ok()) continue;  // damaged, and needed by nobody
    WL_RETURN_IF_ERROR(parsed.with_context("checkpoint " + file));
    if (seal.log_id != log_id) return Status::invalid("checkpoint " + file + " belongs to another log or topic");
  }
  return {};
}

Status Checkpointer::parse_manifest(std::string_view bytes, CheckpointSeal& seal, Units& units) {
  ByteReader reader(bytes);
  if (const auto version = reader.get<uint8_t>(); version != kVersion) {
    return Status::corruption("manifest is of version " + std::to_string(version) + ", this wrackline reads version " +
                              std::to_string(kVersion) + ": use a newer one");
  }
  seal.id = reader.get_string();
  seal.log_id = reader.get_string();
  seal.job_hash = reader.get<uint64_t>();
  seal.commit_seq = reader.get<int64_t>();
  seal.offset = reader.get<int64_t>();
  seal.journal_offset = reader.get<int64_t>();
  seal.input_hash = reader.get<uint64_t>();
  seal.ledger = read_ledger(reader);
  seal.time_state = reader.get_string();
  for (auto n = reader.get<uint32_t>(); n > 0 && !reader.failed(); --n) {
    std::string step(reader.get_string());
    seal.fingerprints.emplace_back(std::move(step), std::string(reader.get_string()));
  }
  for (auto n = reader.get<uint32_t>(); n > 0 && !reader.failed(); --n) {
    std::string step(reader.get_string());
    std::vector<BlockRef>& refs = units[{std::move(step), std::string(reader.get_string())}];
    for (auto k = reader.get<uint32_t>(); k > 0 && !reader.failed(); --k) {
      BlockRef ref;
      ref.file = reader.get_string();
      ref.key = reader.get_string();
      ref.whole = reader.get<uint8_t>() != 0;
      refs.push_back(std::move(ref));
    }
  }
  return reader.finish("manifest");
}

Status Checkpointer::restore(const CheckpointSeal& seal, const std::vector<Step*>& steps,
                             const std::vector<std::string>& reset) {
  const auto is_reset = [&](const std::string& step) {
    return std::find(reset.begin(), reset.end(), step) != reset.end();
  };
  std::erase_if(units_, [&](const auto& entry) { return is_reset(entry.first.first); });
  const std::string& id = seal.id;
  for (const auto& [unit, refs] : units_) {
    const auto step = std::find_if(steps.begin(), steps.end(), [&](const Step* s) { return s->name() == unit.first; });
    if (step == steps.end()) {
      return Status::invalid("checkpoint " + id + " holds state of step '" + unit.first +
                             "', which this job does not have");
    }
    for (const BlockRef& ref : refs) {
      const auto give = [&](std::string_view, std::string_view bytes) {
        return (*step)->restore(unit.second, ref.whole, bytes);
      };
      WL_RETURN_IF_ERROR(store_->read(ref.file, {ref.key}, give)
                             .with_context("checkpoint " + id + ", step '" + unit.first + "', unit " + unit.second));
      WL_RETURN_IF_ERROR(failpoints_->hit(Failpoint::kDuringRestore));
    }
  }
  for (Step* step : steps) {
    if (is_reset(step->name())) continue;
    const auto entry = std::find_if(seal.ledger.begin(), seal.ledger.end(),
                                    [&](const LedgerEntry& e) { return e.step == step->name(); });
    if (entry != seal.ledger.end()) WL_RETURN_IF_ERROR(step->restored(entry->counts));
  }
  return {};
}

}  // namespace wrackline
