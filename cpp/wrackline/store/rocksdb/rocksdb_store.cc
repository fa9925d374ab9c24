#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "wrackline/store/check.h"
#include "wrackline/store/rocksdb/block_file.h"
#include "wrackline/store/store.h"

namespace wrackline {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".sst";
constexpr std::string_view kUnfinished = ".tmp";
constexpr size_t kMaxOpenFiles = 4;  // a restore reads blocks of few files in turn

Status unavailable(const std::string& path, const std::error_code& error) {
  return Status::unavailable(path + ": " + error.message());
}

std::error_code last_error() { return {errno, std::generic_category()}; }

// A rename is durable when its directory is.
Status sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return unavailable(directory, last_error());
  const bool synced = ::fsync(fd) == 0;
  const std::error_code error = last_error();
  ::close(fd);
  return synced ? Status() : unavailable(directory, error);
}

// The thread that writes. One write at a time; what is in it when the store goes is written to its end.
class Writer {
 public:
  explicit Writer(std::string directory) : directory_(std::move(directory)), thread_([this] { run(); }) {}
  ~Writer() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void start(std::string path, std::vector<Block> blocks) {
    {
      const std::lock_guard lock(mutex_);
      WL_CHECK(!order_ && !answer_);
      order_.emplace(Order{std::move(path), std::move(blocks)});
    }
    wake_.notify_one();
  }
  std::optional<Status> poll() {
    const std::lock_guard lock(mutex_);
    return std::exchange(answer_, std::nullopt);
  }

 private:
  struct Order {
    std::string path;
    std::vector<Block> blocks;
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stop_ || order_; });
      if (!order_) return;
      {
        Order order = std::move(*order_);
        lock.unlock();
        Status status = write(order);
        order = {};  // the blocks may be large: gone before the answer is there
        lock.lock();
        order_.reset();
        answer_ = std::move(status);
      }
    }
  }

  Status write(Order& order) {
    if (!cleaned_) remove_unfinished();
    WL_RETURN_IF_ERROR(sort_blocks(order.blocks));
    std::error_code error;
    if (fs::exists(order.path, error)) return existing_file(fs::path(order.path).stem().string());
    const std::string unfinished = order.path + std::string(kUnfinished);
    Status status = write_block_file(unfinished, order.blocks);
    if (status.ok()) {
      fs::rename(unfinished, order.path, error);
      status = error ? unavailable(order.path, error) : sync_directory(directory_);
      if (!status.ok()) fs::remove(order.path, error);
    }
    if (!status.ok()) fs::remove(unfinished, error);
    // On a new file everything that fails is the disk.
    return status.code() == Code::kCorruption ? Status::unavailable(status.message()) : status;
  }

  // What a killed process left. Not when the store is opened: it may be opened just to read, beside the one
  // that writes.
  void remove_unfinished() {
    cleaned_ = true;
    std::error_code error;
    fs::directory_iterator entry(directory_, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      std::error_code stays;  // then it is garbage for longer
      if (entry->path().extension() == kUnfinished) fs::remove(entry->path(), stays);
    }
  }

  const std::string directory_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Order> order_;    // guarded by mutex_; there until it is answered
  std::optional<Status> answer_;  // guarded by mutex_
  bool stop_ = false;             // guarded by mutex_
  bool cleaned_ = false;          // of thread_
  std::thread thread_;            // last: starts when all else is there
};

class RocksdbStore final : public Store {
 public:
  explicit RocksdbStore(std::string directory) : directory_(std::move(directory)) {}

  void start_write(const std::string& name, std::vector<Block> blocks) override {
    WL_CHECK(!refused_);
    refused_ = check_file_name(name);
    if (!refused_->ok()) return;
    refused_.reset();
    if (!writer_) writer_ = std::make_unique<Writer>(directory_);
    writer_->start(path(name), std::move(blocks));
  }

  std::optional<Status> poll_write() override {
    if (refused_) return std::exchange(refused_, std::nullopt);
    return writer_ ? writer_->poll() : std::nullopt;
  }

  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view key, std::string_view bytes)>& f) override {
    WL_ASSIGN_OR_RETURN(BlockFile* const file, open(name));
    return file->read(keys, f);
  }

  Result<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    std::error_code error;
    fs::directory_iterator entry(directory_, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      if (entry->path().extension() == kEnding) names.push_back(entry->path().stem().string());
    }
    if (error) return unavailable(directory_, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status remove(const std::string& name) override {
    WL_RETURN_IF_ERROR(check_file_name(name));
    open_.remove_if([&](const OpenFile& file) { return file.name == name; });
    std::error_code error;
    fs::remove(path(name), error);
    return error ? unavailable(path(name), error) : Status();
  }

 private:
  struct OpenFile {
    std::string name;
    std::unique_ptr<BlockFile> file;
  };

  std::string path(const std::string& name) const { return directory_ + "/" + name + std::string(kEnding); }

  Result<BlockFile*> open(const std::string& name) {
    const auto known =
        std::find_if(open_.begin(), open_.end(), [&](const OpenFile& file) { return file.name == name; });
    if (known != open_.end()) {
      open_.splice(open_.begin(), open_, known);
      return open_.front().file.get();
    }
    WL_RETURN_IF_ERROR(check_file_name(name));
    std::error_code error;
    if (!fs::exists(path(name), error) && !error) return missing_file(name);
    WL_ASSIGN_OR_RETURN(std::unique_ptr<BlockFile> file, BlockFile::open(path(name)));
    open_.push_front({name, std::move(file)});
    if (open_.size() > kMaxOpenFiles) open_.pop_back();
    return open_.front().file.get();
  }

  const std::string directory_;
  std::optional<Status> refused_;  // of a write that never started
  std::unique_ptr<Writer> writer_;
  std::list<OpenFile> open_;  // the last one used first
};

}  // namespace

Result<std::unique_ptr<Store>> open_rocksdb_store(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (!error && !fs::is_directory(directory, error)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) return unavailable(directory, error);
  return std::unique_ptr<Store>(std::make_unique<RocksdbStore>(directory));
}

}  // namespace wrackline
