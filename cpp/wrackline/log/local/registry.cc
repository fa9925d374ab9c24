#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>

#include "wrackline/log/local/directory.h"
#include "wrackline/log/local/local_log.h"

namespace wrackline::local {
namespace {

// What this process has open. An engine that is being closed is waited for, so that its directory is free
// when it is opened again.
class Registry {
 public:
  using Opener = std::function<Result<std::shared_ptr<Engine>>()>;

  static Registry& instance() {
    static auto* const registry = new Registry;  // outlives every static of other files
    return *registry;
  }

  // The open one of that name, or else what `open` makes. Null if there is neither.
  Result<std::shared_ptr<Engine>> get(const std::string& name, const Opener& open) {
    std::unique_lock lock(mutex_);
    std::shared_ptr<Engine> engine;
    closed_.wait(lock, [&] {
      const auto found = engines_.find(name);
      return found == engines_.end() || (engine = found->second.lock()) != nullptr;
    });
    if (engine != nullptr || !open) return engine;
    WL_ASSIGN_OR_RETURN(std::shared_ptr<Engine> owned, open());
    Engine* const raw = owned.get();
    engine = std::shared_ptr<Engine>(raw, [this, name, owned = std::move(owned)](Engine*) mutable {
      owned.reset();
      std::lock_guard guard(mutex_);
      engines_.erase(name);
      closed_.notify_all();
    });
    engines_[name] = engine;
    return engine;
  }

 private:
  std::mutex mutex_;
  std::condition_variable closed_;
  std::map<std::string, std::weak_ptr<Engine>> engines_;
};

Result<std::shared_ptr<Engine>> new_memory_engine() {
  std::unique_ptr<Storage> storage = make_memory_storage();
  WL_RETURN_IF_ERROR(initialise(*storage));
  return Engine::open(std::move(storage), true);
}

}  // namespace

Result<std::shared_ptr<Log>> open_memory_log(const std::string& name, const std::string& uri, bool writable) {
  std::shared_ptr<Engine> engine;
  if (name.empty()) {
    if (!writable) return Status::not_found("'" + uri + "' is a new log; to read one, open 'memory:NAME'");
    WL_ASSIGN_OR_RETURN(engine, new_memory_engine());
  } else {
    const Registry::Opener open = writable ? new_memory_engine : Registry::Opener();
    WL_ASSIGN_OR_RETURN(engine, Registry::instance().get("memory:" + name, open));
    if (engine == nullptr) return Status::not_found("no log '" + uri + "' is open in this process");
  }
  return make_log(std::move(engine), uri, writable);
}

Result<std::shared_ptr<Log>> open_directory_log(const std::string& directory, const std::string& uri, bool writable) {
  std::error_code error;
  const std::string path = std::filesystem::weakly_canonical(directory, error).string();
  if (error) return Status::unavailable("'" + uri + "': " + error.message());
  Registry& registry = Registry::instance();
  std::shared_ptr<Engine> engine;
  if (!writable) {  // what this process writes itself needs no second look at the files
    WL_ASSIGN_OR_RETURN(engine, registry.get("local:" + path, {}));
  }
  if (engine == nullptr) {
    const auto open = [&]() -> Result<std::shared_ptr<Engine>> {
      WL_ASSIGN_OR_RETURN(auto storage, writable ? open_directory(path) : open_directory_for_reading(path));
      return Engine::open(std::move(storage), writable);
    };
    auto opened = registry.get((writable ? "local:" : "reading:") + path, open);
    if (!opened.ok()) return opened.status().with_context("log '" + uri + "'");
    engine = std::move(opened).value();
  }
  return make_log(std::move(engine), uri, writable);
}

}  // namespace wrackline::local
