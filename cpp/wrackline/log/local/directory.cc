#include "wrackline/log/local/directory.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "wrackline/core/hash.h"
#include "wrackline/core/logging.h"
#include "wrackline/log/local/rocksdb_storage.h"

namespace wrackline::local {
namespace {

namespace fs = std::filesystem;

const std::string kOwner = "owner";
const std::string kGuard = "guard";
const std::string kDb = "db";
const std::string kNewDb = "db.new";

Status failed(const std::string& what) { return Status::unavailable(what + ": " + std::strerror(errno)); }

class File {
 public:
  explicit File(int fd = -1) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

// A lock of the kernel: gone with the process, however that ends.
Result<File> lock_owner(const std::string& path) {
  const std::string name = path + "/" + kOwner;
  File file(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (file.fd() < 0) return failed("cannot write '" + name + "'");
  if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("cannot lock '" + name + "'");
    char text[32] = {};
    const ssize_t size = pread(file.fd(), text, sizeof text - 1, 0);
    const std::string pid = size > 0 ? "process " + std::string(text, strcspn(text, "\n")) : "another process";
    return Status::unavailable(
        "it is held for writing by " + pid +
        "; one process at a time writes to an embedded log, several need Kafka (kafka://host:port)");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(file.fd(), 0) != 0 ||
      pwrite(file.fd(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return failed("cannot write '" + name + "'");
  }
  return file;
}

// Changes with each start of the machine; 0 if it is not known.
uint64_t boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  return file >> text ? hash64(text) : 0;
}

struct Guard {
  char magic[4] = {'W', 'L', 'G', 'D'};
  uint32_t version = 1;
  uint64_t boot = 0;
  Position acknowledged;
};
static_assert(sizeof(Guard) == 48);

Result<File> open_guard(const std::string& path, int flags) {
  const std::string name = path + "/" + kGuard;
  File file(open(name.c_str(), O_CLOEXEC | flags, 0644));
  if (file.fd() < 0)
    return errno == ENOENT ? Status::corruption("'" + name + "' is missing") : failed("cannot open '" + name + "'");
  return file;
}

Status write_guard(const File& file, const Guard& guard) {
  if (pwrite(file.fd(), &guard, sizeof guard, 0) != static_cast<ssize_t>(sizeof guard))
    return failed("cannot write 'guard'");
  return {};
}

Result<Guard> read_guard(const File& file) {
  Guard guard;
  const Guard expected;
  if (pread(file.fd(), &guard, sizeof guard, 0) != static_cast<ssize_t>(sizeof guard) ||
      std::memcmp(guard.magic, expected.magic, sizeof guard.magic) != 0 || guard.version == 0) {
    return Status::corruption("the file 'guard' is damaged");
  }
  if (guard.version != expected.version) {
    return Status::corruption("it was written by a newer program (guard version " + std::to_string(guard.version) +
                              ")");
  }
  return guard;
}

// True: a log is there. False: nothing is, so one may be made.
Result<bool> is_log(const std::string& path) {
  std::error_code error;
  std::set<std::string> names;
  fs::directory_iterator entries(path, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    names.insert(entries->path().filename().string());
  }
  if (error == std::errc::not_a_directory) return Status::invalid("'" + path + "' is not a directory");
  if (error == std::errc::no_such_file_or_directory) return false;
  if (error) return Status::unavailable("'" + path + "': " + error.message());
  if (names.contains(kDb)) {
    if (!names.contains(kGuard))
      return Status::corruption("'" + path + "' is not a log, or its file 'guard' is missing");
    return true;
  }
  for (const std::string& name : names) {
    if (name != kOwner && name != kGuard && name != kNewDb) {
      return Status::invalid("'" + path + "' is not a log: it holds '" + name + "'; give an empty or a new directory");
    }
  }
  return false;
}

Status create(const std::string& path) {
  std::error_code error;
  fs::remove_all(path + "/" + kNewDb, error);
  if (error) return Status::unavailable("cannot remove '" + path + "/" + kNewDb + "': " + error.message());
  WL_RETURN_IF_ERROR(create_rocksdb(path + "/" + kNewDb));
  WL_ASSIGN_OR_RETURN(const File guard, open_guard(path, O_RDWR | O_CREAT));
  WL_RETURN_IF_ERROR(write_guard(guard, {}));
  fs::rename(path + "/" + kNewDb, path + "/" + kDb, error);
  return error ? Status::unavailable("cannot make '" + path + "/" + kDb + "': " + error.message()) : Status();
}

// Owns the lock for as long as the storage below is open.
class DirectoryStorage final : public Storage {
 public:
  DirectoryStorage(File owner, std::unique_ptr<Storage> storage)
      : owner_(std::move(owner)), storage_(std::move(storage)) {}
  Status write(Write write) override { return storage_->write(std::move(write)); }
  Result<std::optional<Bytes>> get(std::string_view key) override { return storage_->get(key); }
  std::unique_ptr<Cursor> cursor(std::string lower, std::string upper) override {
    return storage_->cursor(std::move(lower), std::move(upper));
  }

 private:
  File owner_;  // before storage_: released after it
  std::unique_ptr<Storage> storage_;
};

}  // namespace

Result<std::unique_ptr<Storage>> open_directory(const std::string& path) {
  WL_RETURN_IF_ERROR(is_log(path).status());
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return Status::unavailable("cannot make the directory: " + error.message());
  WL_ASSIGN_OR_RETURN(File owner, lock_owner(path));
  WL_ASSIGN_OR_RETURN(const bool exists, is_log(path));  // again: another process may just have made it
  if (!exists) WL_RETURN_IF_ERROR(create(path));

  WL_ASSIGN_OR_RETURN(File guard_file, open_guard(path, O_RDWR));
  WL_ASSIGN_OR_RETURN(Guard guard, read_guard(guard_file));
  if (exists) {
    WL_RETURN_IF_ERROR(check_manifest(path + "/" + kDb, guard.acknowledged));
    WL_ASSIGN_OR_RETURN(const uint64_t last, inspect_rocksdb(path + "/" + kDb));
    if (last < guard.acknowledged.sequence) {
      const std::string lost = std::to_string(guard.acknowledged.sequence - last) + " acknowledged changes are missing";
      if (guard.boot != 0 && guard.boot == boot_id())
        return Status::corruption(lost + ": its files were cut or damaged");
      log_line(LogLevel::kWarning, "log '" + path + "': " + lost + " since the machine stopped; going on without them");
    }
  }
  guard.boot = boot_id();
  auto shared_guard = std::make_shared<File>(std::move(guard_file));  // std::function wants it copyable
  const auto acknowledged = [shared_guard, guard](const Position& position) mutable {
    guard.acknowledged = position;
    const Status written = write_guard(*shared_guard, guard);
    (void)written;  // then a loss may go unnoticed; the log itself is whole
  };
  WL_ASSIGN_OR_RETURN(std::unique_ptr<Storage> storage, open_rocksdb(path + "/" + kDb, acknowledged));
  return std::unique_ptr<Storage>(std::make_unique<DirectoryStorage>(std::move(owner), std::move(storage)));
}

Result<std::unique_ptr<Storage>> open_directory_for_reading(const std::string& path) {
  WL_ASSIGN_OR_RETURN(const bool exists, is_log(path));
  if (!exists) return Status::not_found("no log at '" + path + "'");
  WL_ASSIGN_OR_RETURN(File guard_file, open_guard(path, O_RDONLY));
  auto shared_guard = std::make_shared<File>(std::move(guard_file));  // std::function wants it copyable
  const auto acknowledged = [shared_guard]() -> Result<uint64_t> {
    WL_ASSIGN_OR_RETURN(const Guard guard, read_guard(*shared_guard));
    return guard.acknowledged.sequence;
  };
  return open_rocksdb_beside(path + "/" + kDb, acknowledged);
}

}  // namespace wrackline::local
