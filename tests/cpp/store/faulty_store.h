// A store that fails, tears, delays and forgets as a test asks, around another one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wrackline/store/store.h"

namespace wrackline {

// Counts are from now on: 1 is the next one. Belongs to one thread. `inner` outlives what a test crashes: after
// crash(), a new FaultyStore around the same inner store is what the next process finds.
class FaultyStore final : public Store {
 public:
  explicit FaultyStore(std::shared_ptr<Store> inner) : inner_(std::move(inner)) {}

  // The nth write answers `status`, and nothing of it is there.
  void fail_write(int64_t nth, Status status) { write_faults_[writes_ + nth] = std::move(status); }
  // The nth write is torn by a crash in the middle of it: nothing of it is there, and the answer is kCrashed.
  void tear_write(int64_t nth) { fail_write(nth, Status::crashed("write torn")); }
  void fail_read(int64_t nth, Status status) { read_faults_[reads_ + nth] = std::move(status); }
  void fail_remove(int64_t nth, Status status) { remove_faults_[removes_ + nth] = std::move(status); }
  // From now on a write is answered after `polls` polls that say nothing.
  void slow_writes(int64_t polls) { delay_ = polls; }
  // The process dies: a write that was not answered is gone, whole.
  void crash() { pending_.reset(); }

  int64_t writes() const { return writes_; }
  bool writing() const { return pending_.has_value(); }

  void start_write(const std::string& name, std::vector<Block> blocks) override {
    WL_CHECK(!pending_);
    pending_.emplace(Write{name, std::move(blocks), delay_, fault(write_faults_, ++writes_), false});
  }

  std::optional<Status> poll_write() override {
    if (!pending_ || pending_->polls_left-- > 0) return std::nullopt;
    if (!pending_->fault.ok()) {
      const Status status = pending_->fault;
      pending_.reset();
      return status;
    }
    if (!std::exchange(pending_->started, true)) inner_->start_write(pending_->name, std::move(pending_->blocks));
    std::optional<Status> answer = inner_->poll_write();
    if (answer) pending_.reset();
    return answer;
  }

  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view key, std::string_view bytes)>& f) override {
    WL_RETURN_IF_ERROR(fault(read_faults_, ++reads_));
    return inner_->read(name, keys, f);
  }
  Result<std::vector<std::string>> list() override { return inner_->list(); }
  Status remove(const std::string& name) override {
    WL_RETURN_IF_ERROR(fault(remove_faults_, ++removes_));
    return inner_->remove(name);
  }

 private:
  struct Write {
    std::string name;
    std::vector<Block> blocks;
    int64_t polls_left = 0;
    Status fault;
    bool started = false;  // in the inner store
  };
  using Faults = std::map<int64_t, Status>;

  static Status fault(const Faults& faults, int64_t number) {
    const auto found = faults.find(number);
    return found == faults.end() ? Status() : found->second;
  }

  std::shared_ptr<Store> inner_;
  std::optional<Write> pending_;
  int64_t delay_ = 0;
  int64_t writes_ = 0;
  int64_t reads_ = 0;
  int64_t removes_ = 0;
  Faults write_faults_;
  Faults read_faults_;
  Faults remove_faults_;
};

}  // namespace wrackline
