#include "simulation/faulty_disk.h"

#include <utility>

namespace wrackline::simulation {
namespace {

class FaultyStore final : public Store {
 public:
  FaultyStore(std::shared_ptr<Disk> disk, std::shared_ptr<Process> process)
      : disk_(std::move(disk)), process_(std::move(process)) {}

  ~FaultyStore() override {
    if (!writing_) return;
    // The write was under way: a process that lives on ends it or gives it up, a crash may tear it.
    switch (random().between(0, process_->crashed ? 2 : 1)) {
      case 0: break;
      case 1: static_cast<void>(write()); break;
      default: tear();
    }
  }

  void start_write(const std::string& name, std::vector<Block> blocks) override {
    name_ = name;
    blocks_ = std::move(blocks);
    writing_ = true;
    polls_left_ = process_->faults->slow() ? random().between(1, 12) : random().between(0, 2);
    process_->faults->trace().note("write", {}, static_cast<int64_t>(blocks_.size()));
    if (process_->faults->strike("crash in write")) process_->crashed = true;
  }
  std::optional<Status> poll_write() override {
    if (process_->crashed) return process_->crash("poll_write");
    if (!writing_) return std::nullopt;
    if (polls_left_-- > 0) return std::nullopt;
    writing_ = false;
    if (process_->faults->strike("disk full", 2.0)) {
      if (random().chance(0.3)) tear();
      return Status::unavailable("simulated: no space left");
    }
    Status status = write();
    if (process_->faults->strike("crash after write")) return process_->crash("write");
    process_->faults->trace().note("written");
    return status;
  }
  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view, std::string_view)>& f) override {
    WL_RETURN_IF_ERROR(process_->call("store read"));
    if (disk_->torn.contains(name)) return Status::corruption("simulated: " + name + " is torn");
    return disk_->store->read(name, keys, f);
  }
  Result<std::vector<std::string>> list() override {
    WL_RETURN_IF_ERROR(process_->call("list"));
    WL_ASSIGN_OR_RETURN(std::vector<std::string> names, disk_->store->list());
    names.insert(names.end(), disk_->torn.begin(), disk_->torn.end());
    return names;
  }
  Status remove(const std::string& name) override {
    WL_RETURN_IF_ERROR(process_->call("remove"));
    disk_->torn.erase(name);
    return disk_->store->remove(name);
  }

 private:
  Random& random() { return process_->faults->random(); }
  Status write() {
    disk_->store->start_write(name_, std::move(blocks_));
    while (true) {
      if (std::optional<Status> answer = disk_->store->poll_write()) return *answer;
    }
  }
  void tear() { disk_->torn.insert(name_); }

  const std::shared_ptr<Disk> disk_;
  const std::shared_ptr<Process> process_;
  bool writing_ = false;
  int64_t polls_left_ = 0;
  std::string name_;
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<Store> make_faulty_store(std::shared_ptr<Disk> disk, std::shared_ptr<Process> process) {
  return std::make_unique<FaultyStore>(std::move(disk), std::move(process));
}

}  // namespace wrackline::simulation
