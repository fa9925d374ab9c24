#include "wrackline/job/memory_stores.h"

#include <map>
#include <mutex>
#include <vector>

namespace wrackline {
namespace {

class Handle final : public Store {
 public:
  explicit Handle(std::shared_ptr<Store> store) : store_(std::move(store)) {}
  void start_write(const std::string& name, std::vector<Block> blocks) override {
    store_->start_write(name, std::move(blocks));
  }
  std::optional<Status> poll_write() override { return store_->poll_write(); }
  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view, std::string_view)>& f) override {
    return store_->read(name, keys, f);
  }
  Result<std::vector<std::string>> list() override { return store_->list(); }
  Status remove(const std::string& name) override { return store_->remove(name); }

 private:
  std::shared_ptr<Store> store_;
};

struct OfLog {
  std::weak_ptr<Log> log;
  std::map<std::string, std::shared_ptr<Store>> stores;
};

std::mutex mutex;

std::vector<OfLog>& logs() {  // guarded by mutex
  static auto* const instance = new std::vector<OfLog>;
  return *instance;
}

}  // namespace

std::unique_ptr<Store> memory_store_of(const std::shared_ptr<Log>& log, const std::string& name) {
  const std::lock_guard lock(mutex);
  std::erase_if(logs(), [](const OfLog& of) { return of.log.expired(); });
  OfLog* found = nullptr;
  for (OfLog& of : logs()) {
    if (of.log.lock() == log) found = &of;
  }
  if (found == nullptr) {
    logs().push_back({log, {}});
    found = &logs().back();
  }
  std::shared_ptr<Store>& store = found->stores[name];
  if (store == nullptr) store = make_memory_store();
  return std::make_unique<Handle>(store);
}

}  // namespace wrackline
