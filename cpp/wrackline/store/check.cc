#include "wrackline/store/check.h"

#include <algorithm>

namespace wrackline {
namespace {

constexpr size_t kMaxName = 200;  // file systems end at 255 bytes, and an ending is added

bool fits(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

}  // namespace

Status check_file_name(std::string_view name) {
  if (!name.empty() && name.size() <= kMaxName && name[0] != '.' && std::all_of(name.begin(), name.end(), fits))
    return {};
  return Status::invalid("no file name for a store: '" + std::string(name) + "' (letters, digits, '-', '_', '.')");
}

Status sort_blocks(std::vector<Block>& blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.key < b.key; });
  const auto twice =
      std::adjacent_find(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.key == b.key; });
  if (twice == blocks.end()) return {};
  return Status::invalid("block '" + twice->key + "' is there twice");
}

Status missing_file(std::string_view name) {
  return Status::not_found("no file '" + std::string(name) + "' in the store");
}

Status missing_block(std::string_view name, std::string_view key) {
  return Status::corruption("file '" + std::string(name) + "' has no block '" + std::string(key) + "'");
}

Status existing_file(std::string_view name) {
  return Status::already_exists("file '" + std::string(name) + "' is there already; files never change");
}

}  // namespace wrackline
