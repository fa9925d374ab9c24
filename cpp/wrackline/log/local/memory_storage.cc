#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "wrackline/log/local/storage.h"

namespace wrackline::local {
namespace {

using Value = std::shared_ptr<const Bytes>;

std::string_view as_view(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

class MemoryStorage final : public Storage {
 public:
  Status write(Write write) override {
    std::unique_lock lock(mutex_);
    for (const auto& [first, last] : write.delete_ranges) {
      values_.erase(values_.lower_bound(first), values_.lower_bound(last));
    }
    for (auto& [key, value] : write.puts) {
      values_.insert_or_assign(std::move(key), std::make_shared<const Bytes>(std::move(value)));
    }
    return {};
  }

  Result<std::optional<Bytes>> get(std::string_view key) override {
    std::shared_lock lock(mutex_);
    const auto found = values_.find(key);
    if (found == values_.end()) return std::optional<Bytes>();
    return std::optional<Bytes>(*found->second);
  }

  std::unique_ptr<Cursor> cursor(std::string lower, std::string upper) override;

 private:
  friend class MemoryCursor;
  std::shared_mutex mutex_;
  std::map<std::string, Value, std::less<>> values_;
};

// Looks its next key up anew, so it sees what is written meanwhile.
class MemoryCursor final : public Cursor {
 public:
  MemoryCursor(MemoryStorage& storage, std::string lower, std::string upper)
      : storage_(storage), lower_(std::move(lower)), upper_(std::move(upper)) {}

  void seek(std::string_view key) override {
    std::shared_lock lock(storage_.mutex_);
    take(storage_.values_.lower_bound(std::max<std::string_view>(key, lower_)));
  }
  void seek_floor(std::string_view key) override {
    std::shared_lock lock(storage_.mutex_);
    auto found =
        key < std::string_view(upper_) ? storage_.values_.upper_bound(key) : storage_.values_.lower_bound(upper_);
    if (found == storage_.values_.begin()) {
      value_ = nullptr;
      return;
    }
    take(--found);
  }
  void next() override {
    std::shared_lock lock(storage_.mutex_);
    take(storage_.values_.upper_bound(key_));
  }
  bool valid() const override { return value_ != nullptr; }
  Status status() const override { return {}; }
  std::string_view key() const override { return key_; }
  std::string_view value() const override { return as_view(*value_); }
  Value pin() const override { return value_; }

 private:
  void take(std::map<std::string, Value, std::less<>>::const_iterator at) {
    if (at == storage_.values_.end() || at->first < lower_ || at->first >= upper_) {
      value_ = nullptr;
      return;
    }
    key_ = at->first;
    value_ = at->second;
  }

  MemoryStorage& storage_;
  std::string lower_;
  std::string upper_;
  std::string key_;
  Value value_;
};

std::unique_ptr<Cursor> MemoryStorage::cursor(std::string lower, std::string upper) {
  return std::make_unique<MemoryCursor>(*this, std::move(lower), std::move(upper));
}

}  // namespace

std::unique_ptr<Storage> make_memory_storage() { return std::make_unique<MemoryStorage>(); }

}  // namespace wrackline::local
