#include <map>
#include <utility>

#include "wrackline/store/check.h"
#include "wrackline/store/store.h"

namespace wrackline {
namespace {

class MemoryStore final : public Store {
 public:
  void start_write(const std::string& name, std::vector<Block> blocks) override {
    WL_CHECK(!answer_.has_value());
    answer_ = write(name, std::move(blocks));
  }

  std::optional<Status> poll_write() override { return std::exchange(answer_, std::nullopt); }

  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view key, std::string_view bytes)>& f) override {
    const auto file = files_.find(name);
    if (file == files_.end()) return missing_file(name);
    const auto give = [&](const Blocks::value_type& block) {
      return f(block.first, {reinterpret_cast<const char*>(block.second.data()), block.second.size()});
    };
    if (keys.empty()) {
      for (const auto& block : file->second) WL_RETURN_IF_ERROR(give(block));
    }
    for (const std::string& key : keys) {
      const auto block = file->second.find(key);
      if (block == file->second.end()) return missing_block(name, key);
      WL_RETURN_IF_ERROR(give(*block));
    }
    return {};
  }

  Result<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    names.reserve(files_.size());
    for (const auto& [name, blocks] : files_) names.push_back(name);
    return names;
  }

  Status remove(const std::string& name) override {
    files_.erase(name);
    return {};
  }

 private:
  using Blocks = std::map<std::string, Bytes>;

  Status write(const std::string& name, std::vector<Block> blocks) {
    WL_RETURN_IF_ERROR(check_file_name(name));
    WL_RETURN_IF_ERROR(sort_blocks(blocks));
    if (files_.contains(name)) return existing_file(name);
    Blocks& file = files_[name];
    for (Block& block : blocks) file.emplace_hint(file.end(), std::move(block.key), std::move(block.bytes));
    return {};
  }

  std::map<std::string, Blocks> files_;
  std::optional<Status> answer_;
};

}  // namespace

std::unique_ptr<Store> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace wrackline
