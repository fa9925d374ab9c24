#include "wrackline/log/local/rocksdb_storage.h"

#include <atomic>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/metadata.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "wrackline/core/hash.h"
#include "wrackline/log/local/engine.h"
#include "wrackline/log/local/state.h"

namespace wrackline::local {
namespace {

constexpr size_t kBlockCacheBytes = 32 << 20;  // shared by all logs of the process
constexpr size_t kWriteBufferBytes = 8 << 20;
constexpr uint64_t kRoomToResume = 2 << 20;  // of disk, beside what is to be flushed
constexpr int kWriteBuffers = 4;
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

// By itself RocksDB would look every few seconds for free space, and be busy with it; write() resumes at once.
class NoRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
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
  options.max_total_wal_size = kWriteBuffers * kWriteBufferBytes;
  options.delayed_write_rate = 512 << 20;  // by default it crawls at 16 MB/s as soon as flushes lag
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
  options.max_bgerror_resume_count = 0;
  options.listeners = {std::make_shared<NoRecovery>()};
  // Up to the first damaged record. That it is the last one is what the guard file checks.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  return options;
}

class RocksDbCursor final : public Cursor {
 public:
  RocksDbCursor(std::shared_ptr<rocksdb::DB> db, std::string lower, std::string upper)
      : db_(std::move(db)),
        lower_(std::move(lower)),
        upper_(std::move(upper)),
        lower_slice_(lower_),
        upper_slice_(upper_) {
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower_slice_;
    options.iterate_upper_bound = &upper_slice_;
    iterator_.reset(db_->NewIterator(options));
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
  const std::shared_ptr<rocksdb::DB> db_;  // a reader may open its files anew meanwhile
  const std::string lower_;
  const std::string upper_;
  const rocksdb::Slice lower_slice_;
  const rocksdb::Slice upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

Result<std::optional<Bytes>> get_from(rocksdb::DB& db, std::string_view key) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = db.Get(rocksdb::ReadOptions(), db.DefaultColumnFamily(), slice(key), &value);
  if (status.IsNotFound()) return std::optional<Bytes>();
  if (!status.ok()) return translate(status);
  Bytes bytes(value.size());
  std::memcpy(bytes.data(), value.data(), value.size());
  return std::optional<Bytes>(std::move(bytes));
}

Result<std::unique_ptr<rocksdb::DB>> open_read_only(const std::string& path) {
  rocksdb::Options options = make_options();
  options.max_open_files = -1;  // all of them now: what the writer drops later stays readable
  options.info_log = std::make_shared<Silent>();
  rocksdb::DB* raw = nullptr;
  WL_RETURN_IF_ERROR(translate(rocksdb::DB::OpenForReadOnly(options, path, &raw)));
  return std::unique_ptr<rocksdb::DB>(raw);
}

// Notices when the files change, from RocksDB's threads.
class FilesChanged final : public rocksdb::EventListener {
 public:
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { changed_ = true; }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override { changed_ = true; }
  bool take() { return changed_.exchange(false); }

 private:
  std::atomic<bool> changed_ = true;
};

// 0: it is no manifest's name.
uint64_t manifest_number(std::string_view name) {
  constexpr std::string_view kPrefix = "MANIFEST-";
  if (!name.starts_with(kPrefix)) return 0;
  name.remove_prefix(kPrefix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

// The hash of the first `size` bytes of a file; nullopt: it does not have so many.
std::optional<uint64_t> hash_of_beginning(const std::string& path, uint64_t size) {
  std::error_code error;
  if (const uintmax_t there = std::filesystem::file_size(path, error); error || there < size) return std::nullopt;
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) return std::nullopt;
  return hash64(bytes);
}

class RocksDbStorage final : public Storage {
 public:
  using Acknowledged = std::function<void(const Position&)>;

  explicit RocksDbStorage(std::unique_ptr<rocksdb::DB> db, Acknowledged acknowledged = {},
                          std::shared_ptr<FilesChanged> files = nullptr)
      : db_(std::move(db)), acknowledged_(std::move(acknowledged)), files_(std::move(files)) {
    acknowledge();
  }

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
    if (status.ok() && failed_) status = resume();
    if (status.ok()) status = db_->Write(rocksdb::WriteOptions(), &batch);
    failed_ = !status.ok();
    if (status.ok()) acknowledge();
    return translate(status);
  }

  Result<std::optional<Bytes>> get(std::string_view key) override { return get_from(*db_, key); }
  std::unique_ptr<Cursor> cursor(std::string lower, std::string upper) override {
    return std::make_unique<RocksDbCursor>(db_, std::move(lower), std::move(upper));
  }

 private:
  const std::shared_ptr<rocksdb::DB> db_;  // shared with cursors
  // After a failure RocksDB refuses all writes until it is told that the cause may be gone. It then flushes, and if a
  // flush fails while it does, it may wait for ever (10.4.2): so there has to be room first, and what still runs from
  // before has to end: the pause waits for it, about a second where a flush fails.
  rocksdb::Status resume() {
    rocksdb::Status status = db_->PauseBackgroundWork();
    if (status.ok()) status = db_->ContinueBackgroundWork();
    if (!status.ok()) return status;
    uint64_t unflushed = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &unflushed);
    std::error_code error;
    const std::filesystem::space_info space = std::filesystem::space(db_->GetName(), error);
    if (!error && space.available < unflushed + kRoomToResume)
      return rocksdb::Status::NoSpace("the disk is still full");
    return db_->Resume();
  }

  void acknowledge() {
    if (!acknowledged_) return;
    if (files_->take()) look_at_manifest();
    position_.sequence = db_->GetLatestSequenceNumber();
    acknowledged_(position_);
  }

  void look_at_manifest() {
    std::vector<std::string> names;
    uint64_t size = 0;
    if (!db_->GetLiveFiles(names, &size, false).ok()) return;
    for (const std::string& name : names) {
      const uint64_t number = manifest_number(std::string_view(name).substr(1));
      if (number == 0) continue;
      if (const auto hash = hash_of_beginning(db_->GetName() + name, size)) {
        position_.manifest = number;
        position_.manifest_bytes = size;
        position_.manifest_hash = *hash;
      }
    }
  }

  const Acknowledged acknowledged_;
  const std::shared_ptr<FilesChanged> files_;
  Position position_;
  std::atomic<bool> failed_ = false;
};

// Which tables and write-ahead logs the writing process counts on now.
std::string files_of(const std::string& path) {
  std::set<std::string> files;
  std::error_code error;
  std::filesystem::directory_iterator entries(path, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code vanished;
    if (name.starts_with("MANIFEST")) files.insert(name + "=" + std::to_string(entries->file_size(vanished)));
    if (name.ends_with(".log")) files.insert(name);
  }
  std::string all;
  for (const std::string& file : files) all += file + " ";
  return all;
}

class ReaderStorage final : public Storage {
 public:
  ReaderStorage(std::string path, std::function<Result<uint64_t>()> acknowledged)
      : path_(std::move(path)), acknowledged_(std::move(acknowledged)) {}

  Status write(Write) override { return Status::unavailable("the log was opened for reading"); }

  Result<bool> catch_up() override {
    WL_ASSIGN_OR_RETURN(const uint64_t last, acknowledged_());
    std::lock_guard lock(mutex_);
    if (db_ != nullptr && last == seen_) return false;
    // A manifest and write-ahead logs of different instants would make a log with a hole.
    Status status = Status::unavailable("the writing process changes its files faster than they can be opened");
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const std::string before = files_of(path_);
      auto opened = open_read_only(path_);
      if (files_of(path_) != before) continue;
      if (!opened.ok()) return opened.status();
      db_ = std::move(opened).value();
      seen_ = last;
      return true;
    }
    return status;
  }

  Result<std::optional<Bytes>> get(std::string_view key) override { return get_from(*db(), key); }
  std::unique_ptr<Cursor> cursor(std::string lower, std::string upper) override {
    return std::make_unique<RocksDbCursor>(db(), std::move(lower), std::move(upper));
  }

 private:
  static constexpr int kAttempts = 100;

  std::shared_ptr<rocksdb::DB> db() {
    std::lock_guard lock(mutex_);
    return db_;
  }

  const std::string path_;
  const std::function<Result<uint64_t>()> acknowledged_;
  std::mutex mutex_;
  std::shared_ptr<rocksdb::DB> db_;  // shared with cursors
  uint64_t seen_ = 0;
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
  RocksDbStorage storage{std::unique_ptr<rocksdb::DB>(raw)};
  return initialise(storage);
}

Result<uint64_t> inspect_rocksdb(const std::string& path) {
  WL_ASSIGN_OR_RETURN(std::unique_ptr<rocksdb::DB> db, open_read_only(path));
  WL_RETURN_IF_ERROR(check_blob_files(*db, path));
  const uint64_t last = db->GetLatestSequenceNumber();
  RocksDbStorage storage(std::move(db));
  WL_RETURN_IF_ERROR(load_id(storage).status());
  return last;
}

Status check_manifest(const std::string& path, const Position& known) {
  if (known.manifest == 0) return {};
  std::string current;
  std::ifstream file(path + "/CURRENT");
  std::getline(file, current);
  const uint64_t number = manifest_number(current);
  if (number == 0) return {};              // RocksDB says what is wrong with it
  if (number > known.manifest) return {};  // it begins with all that the former one said
  if (number < known.manifest) return Status::corruption("'CURRENT' names an old list of files, " + current);
  if (hash_of_beginning(path + "/" + current, known.manifest_bytes) != known.manifest_hash) {
    return Status::corruption("the list of files, '" + current + "', was cut or damaged");
  }
  return {};
}

Result<std::unique_ptr<Storage>> open_rocksdb(const std::string& path,
                                              std::function<void(const Position&)> acknowledged) {
  rocksdb::Options options = make_options();
  const auto files = std::make_shared<FilesChanged>();
  options.listeners.push_back(files);
  rocksdb::DB* raw = nullptr;
  WL_RETURN_IF_ERROR(translate(rocksdb::DB::Open(options, path, &raw)));
  std::unique_ptr<rocksdb::DB> db(raw);
  return std::unique_ptr<Storage>(std::make_unique<RocksDbStorage>(std::move(db), std::move(acknowledged), files));
}

Result<std::unique_ptr<Storage>> open_rocksdb_beside(const std::string& path,
                                                     std::function<Result<uint64_t>()> acknowledged) {
  auto storage = std::make_unique<ReaderStorage>(path, std::move(acknowledged));
  WL_RETURN_IF_ERROR(storage->catch_up().status());
  return std::unique_ptr<Storage>(std::move(storage));
}

}  // namespace wrackline::local
