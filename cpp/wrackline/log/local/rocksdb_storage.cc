#include "wrackline/log/local/rocksdb_storage.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/metadata.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <cstring>
#include <filesystem>

#include "wrackline/log/local/engine.h"
#include "wrackline/log/local/state.h"

namespace wrackline::local {
namespace {

constexpr size_t kBlockCacheBytes = 32 << 20;  // shared by all logs of the process
constexpr size_t kWriteBufferBytes = 16 << 20;
constexpr int kWriteBuffers = 2;
constexpr int kMaxOpenFiles = 256;
constexpr size_t kMinBlobBytes = 4096;  // larger values are written once and never moved by compactions

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

Status translate(const rocksdb::Status& status) {
  if (status.ok()) return {};
  const std::string text = status.ToString();
  if (status.IsNoSpace()) return Status::unavailable("the disk is full: " + text);
  if (status.IsPathNotFound()) return Status::corruption("a file is missing: " + text);
  if (status.IsIOError()) return Status::unavailable(text);
  if (status.IsCorruption() || status.IsNotSupported() || status.IsInvalidArgument()) return Status::corruption(text);
  return Status::unavailable(text);
}

class Silent final : public rocksdb::Logger {
 public:
  Silent() : rocksdb::Logger(rocksdb::InfoLogLevel::HEADER_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::Options make_options() {
  static const auto cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  rocksdb::Options options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;
  options.blob_compression_type = rocksdb::kNoCompression;
  options.enable_blob_files = true;
  options.min_blob_size = kMinBlobBytes;
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = kWriteBuffers;
  options.max_total_wal_size = 2 * kWriteBufferBytes;
  options.max_background_jobs = 2;
  options.max_open_files = kMaxOpenFiles;
  options.max_file_opening_threads = 1;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_manifest_file_size = 8 << 20;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.paranoid_checks = true;
  options.max_bgerror_resume_count = 0;  // write() resumes
  // Up to the first damaged record. That it is the last one is what the guard file checks.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  return options;
}

class RocksDbCursor final : public Cursor {
 public:
  RocksDbCursor(rocksdb::DB& db, std::string lower, std::string upper)
      : lower_(std::move(lower)), upper_(std::move(upper)), lower_slice_(lower_), upper_slice_(upper_) {
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower_slice_;
    options.iterate_upper_bound = &upper_slice_;
    iterator_.reset(db.NewIterator(options));
  }
  void seek(std::string_view key) override { iterator_->Seek(slice(key)); }
  void seek_floor(std::string_view key) override { iterator_->SeekForPrev(slice(key)); }
  void next() override { iterator_->Next(); }
  bool valid() const override { return iterator_->Valid(); }
  Status status() const override { return translate(iterator_->status()); }
  std::string_view key() const override { return view(iterator_->key()); }
  std::string_view value() const override { return view(iterator_->value()); }
  std::shared_ptr<const Bytes> pin() const override {
    const std::string_view bytes = value();
    auto copy = std::make_shared<Bytes>(bytes.size());
    std::memcpy(copy->data(), bytes.data(), bytes.size());
    return copy;
  }

 private:
  const std::string lower_;
  const std::string upper_;
  const rocksdb::Slice lower_slice_;
  const rocksdb::Slice upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksDbStorage : public Storage {
 public:
  RocksDbStorage(std::unique_ptr<rocksdb::DB> db, std::function<void(uint64_t)> acknowledged)
      : db_(std::move(db)), acknowledged_(std::move(acknowledged)) {}

  Status write(Write write) override {
    size_t bytes = 64;
    for (const auto& [key, value] : write.puts) bytes += key.size() + value.size() + 16;
    rocksdb::WriteBatch batch(bytes);
    rocksdb::Status status;
    for (const auto& [first, last] : write.delete_ranges) {
      if (status.ok()) status = batch.DeleteRange(first, last);
    }
    for (const auto& [key, value] : write.puts) {
      if (status.ok()) status = batch.Put(key, {reinterpret_cast<const char*>(value.data()), value.size()});
    }
    // After a failure RocksDB refuses all writes until it is told that the cause may be gone.
    if (status.ok() && failed_) status = db_->Resume();
    if (status.ok()) status = db_->Write(rocksdb::WriteOptions(), &batch);
    failed_ = !status.ok();
    if (status.ok() && acknowledged_) acknowledged_(db_->GetLatestSequenceNumber());
    return translate(status);
  }

  Result<std::optional<Bytes>> get(std::string_view key) override {
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), slice(key), &value);
    if (status.IsNotFound()) return std::optional<Bytes>();
    if (!status.ok()) return translate(status);
    Bytes bytes(value.size());
    std::memcpy(bytes.data(), value.data(), value.size());
    return std::optional<Bytes>(std::move(bytes));
  }

  std::unique_ptr<Cursor> cursor(std::string lower, std::string upper) override {
    return std::make_unique<RocksDbCursor>(*db_, std::move(lower), std::move(upper));
  }

 protected:
  const std::unique_ptr<rocksdb::DB> db_;

 private:
  const std::function<void(uint64_t)> acknowledged_;
  std::atomic<bool> failed_ = false;
};

class SecondaryStorage final : public RocksDbStorage {
 public:
  SecondaryStorage(std::unique_ptr<rocksdb::DB> db, std::string scratch)
      : RocksDbStorage(std::move(db), {}), scratch_(std::move(scratch)) {}
  ~SecondaryStorage() override {
    std::error_code ignored;  // a log file of RocksDB at most
    std::filesystem::remove_all(scratch_, ignored);
  }

  Status write(Write) override { return Status::unavailable("the log was opened for reading"); }

  Result<bool> catch_up() override {
    rocksdb::Status status;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {  // files may vanish while it looks
      status = db_->TryCatchUpWithPrimary();
      if (status.ok()) break;
    }
    if (!status.ok()) return translate(status);
    const uint64_t sequence = db_->GetLatestSequenceNumber();
    const bool changed = sequence != sequence_;
    sequence_ = sequence;
    return changed;
  }

 private:
  static constexpr int kAttempts = 3;
  const std::string scratch_;
  uint64_t sequence_ = 0;
};

Status check_blob_files(rocksdb::DB& db, const std::string& path) {
  rocksdb::ColumnFamilyMetaData files;
  db.GetColumnFamilyMetaData(&files);
  for (const rocksdb::BlobMetaData& blob : files.blob_files) {
    std::error_code error;
    const auto name = std::filesystem::path(path) / std::filesystem::path(blob.blob_file_name).relative_path();
    const uintmax_t size = std::filesystem::file_size(name, error);
    if (error) return Status::corruption("'" + name.string() + "' is missing");
    if (size != blob.blob_file_size) {
      return Status::corruption("'" + name.string() + "' has " + std::to_string(size) + " bytes instead of " +
                                std::to_string(blob.blob_file_size));
    }
  }
  return {};
}

}  // namespace

Status create_rocksdb(const std::string& path) {
  rocksdb::Options options = make_options();
  options.create_if_missing = true;
  options.error_if_exists = true;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, path, &raw);
  if (status.IsIOError()) return Status::unavailable(status.ToString());
  WL_RETURN_IF_ERROR(translate(status));
  RocksDbStorage storage(std::unique_ptr<rocksdb::DB>(raw), {});
  return initialise(storage);
}

Result<uint64_t> inspect_rocksdb(const std::string& path) {
  rocksdb::Options options = make_options();
  options.info_log = std::make_shared<Silent>();
  rocksdb::DB* raw = nullptr;
  WL_RETURN_IF_ERROR(translate(rocksdb::DB::OpenForReadOnly(options, path, &raw)));
  std::unique_ptr<rocksdb::DB> db(raw);
  WL_RETURN_IF_ERROR(check_blob_files(*db, path));
  const uint64_t last = db->GetLatestSequenceNumber();
  RocksDbStorage storage(std::move(db), {});
  WL_ASSIGN_OR_RETURN(const std::string id, load_id(storage));
  return last;
}

Result<std::unique_ptr<Storage>> open_rocksdb(const std::string& path, std::function<void(uint64_t)> acknowledged) {
  rocksdb::DB* raw = nullptr;
  WL_RETURN_IF_ERROR(translate(rocksdb::DB::Open(make_options(), path, &raw)));
  std::unique_ptr<rocksdb::DB> db(raw);
  acknowledged(db->GetLatestSequenceNumber());
  return std::unique_ptr<Storage>(std::make_unique<RocksDbStorage>(std::move(db), std::move(acknowledged)));
}

Result<std::unique_ptr<Storage>> open_rocksdb_beside(const std::string& path, const std::string& scratch) {
  rocksdb::Options options = make_options();
  options.max_open_files = -1;  // else files that the writer drops would be gone here too
  options.info_log = std::make_shared<Silent>();
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status = rocksdb::DB::OpenAsSecondary(options, path, scratch, &raw);
  if (!status.ok()) {
    std::error_code ignored;
    std::filesystem::remove_all(scratch, ignored);
    return translate(status);
  }
  return std::unique_ptr<Storage>(std::make_unique<SecondaryStorage>(std::unique_ptr<rocksdb::DB>(raw), scratch));
}

}  // namespace wrackline::local
