#include "wrackline/job/formats.h"

#include "wrackline/core/base64.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"

namespace wrackline {
namespace {

constexpr uint8_t kMetadataVersion = 2;
constexpr uint8_t kRowVersion = 2;
constexpr uint8_t kCutRowVersion = 3;

// version | length-free body | hash64 of all before it
Bytes seal(ByteWriter writer) {
  writer.put(hash64(writer.view()));
  return writer.take();
}

struct Unsealed {
  uint8_t version = 0;
  std::string_view body;
};

Result<Unsealed> unseal(std::string_view bytes, std::string_view what, uint8_t newest) {
  if (bytes.size() < sizeof(uint64_t) + 1) return Status::corruption(std::string(what) + ": truncated");
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(uint64_t));
  ByteReader tail(bytes.substr(body.size()));
  if (tail.get<uint64_t>() != hash64(body)) return Status::corruption(std::string(what) + ": checksum differs");
  if (const auto version = static_cast<uint8_t>(body[0]); version > newest) {
    return Status::corruption(std::string(what) + " is of version " + std::to_string(version) +
                              ", this wrackline reads version " + std::to_string(newest) + ": use a newer one");
  }
  return Unsealed{static_cast<uint8_t>(body[0]), body.substr(1)};
}

void write_decision(ByteWriter& writer, const Decision& decision) {
  writer.put(decision.kind);
  writer.put(decision.offset);
  writer.put(decision.watermark);
  writer.put(decision.clock);
}

Decision read_decision(ByteReader& reader) {
  Decision decision;
  decision.kind = reader.get<Decision::Kind>();
  decision.offset = reader.get<int64_t>();
  decision.watermark = reader.get<Millis>();
  decision.clock = reader.get<Millis>();
  return decision;
}

void write_cut(ByteWriter& writer, const Cut& cut) {
  writer.put(cut.end);
  writer.put(cut.trigger.has_value());
  if (cut.trigger) write_decision(writer, *cut.trigger);
  writer.put(static_cast<uint32_t>(cut.rows.size()));
  for (const auto& [way, rows] : cut.rows) {
    writer.put(way);
    writer.put(rows);
  }
}

Cut read_cut(ByteReader& reader) {
  Cut cut;
  cut.end = reader.get<int64_t>();
  if (reader.get<bool>()) cut.trigger = read_decision(reader);
  for (auto n = reader.get<uint32_t>(); n > 0 && !reader.failed(); --n) {
    const auto way = reader.get<uint32_t>();
    cut.rows[way] = reader.get<int64_t>();
  }
  return cut;
}

}  // namespace

void CommitMetadata::write(ByteWriter& writer) const {
  writer.put(job_hash);
  writer.put(commit_seq);
  writer.put_string(checkpoint);
  writer.put(watermark);
  writer.put(ledger_hash);
  writer.put(rows_hash);
  writer.put_string(transactional_id);
  writer.put(recovery_count);
  writer.put(start_offset);
  writer.put(journal_offset);
  writer.put(read_to);
  if (starts_over > 0) writer.put(starts_over);
}

CommitMetadata CommitMetadata::read(ByteReader& reader, uint8_t version) {
  CommitMetadata metadata;
  metadata.job_hash = reader.get<uint64_t>();
  metadata.commit_seq = reader.get<int64_t>();
  metadata.checkpoint = reader.get_string();
  metadata.watermark = reader.get<Millis>();
  metadata.ledger_hash = reader.get<uint64_t>();
  metadata.rows_hash = reader.get<uint64_t>();
  metadata.transactional_id = reader.get_string();
  metadata.recovery_count = reader.get<int64_t>();
  metadata.start_offset = reader.get<int64_t>();
  metadata.journal_offset = reader.get<int64_t>();
  if (version > 1) metadata.read_to = reader.get<int64_t>();
  if (reader.left() > 0) metadata.starts_over = reader.get<int64_t>();
  return metadata;
}

std::string CommitMetadata::encode() const {
  ByteWriter writer;
  writer.put(kMetadataVersion);
  write(writer);
  const Bytes bytes = seal(std::move(writer));
  return encode_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<CommitMetadata> CommitMetadata::decode(std::string_view text) {
  const std::optional<std::string> bytes = decode_base64(text);
  if (!bytes) return Status::corruption("offset metadata: not base64");
  WL_ASSIGN_OR_RETURN(const Unsealed unsealed, unseal(*bytes, "offset metadata", kMetadataVersion));
  ByteReader reader(unsealed.body);
  CommitMetadata metadata = read(reader, unsealed.version);
  WL_RETURN_IF_ERROR(reader.finish("offset metadata"));
  return metadata;
}

void write_ledger(ByteWriter& writer, const Ledger& ledger) {
  writer.put(static_cast<uint32_t>(ledger.size()));
  for (const LedgerEntry& entry : ledger) {
    writer.put_string(entry.step);
    StepCounts::for_each([&](const char*, auto member) { writer.put(entry.counts.*member); });
  }
}

Ledger read_ledger(ByteReader& reader) {
  Ledger ledger;
  for (auto n = reader.get<uint32_t>(); n > 0 && !reader.failed(); --n) {
    LedgerEntry entry;
    entry.step = reader.get_string();
    StepCounts::for_each([&](const char*, auto member) { entry.counts.*member = reader.get<int64_t>(); });
    ledger.push_back(std::move(entry));
  }
  return ledger;
}

uint64_t hash_of(const Ledger& ledger) {
  ByteWriter writer;
  write_ledger(writer, ledger);
  return hash64(writer.view());
}

Bytes JournalRow::encode() const {
  ByteWriter writer;
  writer.put(cut ? kCutRowVersion : kRowVersion);
  writer.put(job_hash);
  writer.put(commit_seq);
  writer.put(offset);
  writer.put(watermark);
  writer.put(auto_unit);
  writer.put(refused);
  writer.put(input_hash);
  write_ledger(writer, ledger);
  writer.put(static_cast<uint32_t>(decisions.size()));
  for (const Decision& decision : decisions) write_decision(writer, decision);
  ByteWriter beside;
  metadata.write(beside);
  writer.put_string(beside.view());
  writer.put_string(time_state);
  if (cut) write_cut(writer, *cut);
  return seal(std::move(writer));
}

Result<JournalRow> JournalRow::decode(std::string_view bytes) {
  WL_ASSIGN_OR_RETURN(const Unsealed unsealed, unseal(bytes, "journal row", kCutRowVersion));
  ByteReader reader(unsealed.body);
  JournalRow row;
  row.job_hash = reader.get<uint64_t>();
  row.commit_seq = reader.get<int64_t>();
  row.offset = reader.get<int64_t>();
  row.watermark = reader.get<Millis>();
  row.auto_unit = reader.get<uint8_t>();
  row.refused = reader.get<int64_t>();
  row.input_hash = reader.get<uint64_t>();
  row.ledger = read_ledger(reader);
  for (auto n = reader.get<uint32_t>(); n > 0 && !reader.failed(); --n) row.decisions.push_back(read_decision(reader));
  if (unsealed.version == 1) {
    row.metadata.job_hash = row.job_hash;
    row.metadata.commit_seq = row.commit_seq;
  } else {
    ByteReader beside(reader.get_string());
    row.metadata = CommitMetadata::read(beside, kMetadataVersion);
    WL_RETURN_IF_ERROR(beside.finish("journal row, metadata"));
    row.time_state = reader.get_string();
    if (unsealed.version == kCutRowVersion) row.cut = read_cut(reader);
  }
  WL_RETURN_IF_ERROR(reader.finish("journal row"));
  return row;
}

}  // namespace wrackline
