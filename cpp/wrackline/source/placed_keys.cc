#include "wrackline/source/placed_keys.h"

#include <utility>

namespace wrackline {

std::optional<int32_t> PlacedKeys::place(uint64_t hash, Hash128 key, int32_t partition) {
  const std::lock_guard lock(mutex_);
  const auto [found, fresh] = keys_.try_emplace(key, Placed{hash, partition});
  if (!fresh) return found->second.partition == partition ? std::nullopt : std::optional(found->second.partition);
  while (keys_.size() > kMaxKeys) {
    mask_ = mask_ * 2 + 1;
    std::erase_if(keys_, [&](const auto& one) { return !looks_at(one.second.hash); });
  }
  return std::nullopt;
}

size_t PlacedKeys::size() const {
  const std::lock_guard lock(mutex_);
  return keys_.size();
}

Result<PlacementCheck> PlacementCheck::make(const Schema& schema, const std::vector<std::string>& columns,
                                            bool with_nulls, TopicPartition input, PlacedKeys* all) {
  WL_ASSIGN_OR_RETURN(KeyPacker packer, KeyPacker::make(schema, columns, with_nulls));
  PlacementCheck check(std::move(packer), with_nulls, std::move(input), all);
  check.names_ = columns;
  return check;
}

Status PlacementCheck::check(const Batch& batch) {
  packer_.pack(batch);
  for (int64_t row = 0; row < batch.length; ++row) {
    if (packer_.is_null(row)) continue;
    const std::string_view key = packer_.key(row);
    const uint64_t hash = is_null(key) ? 0 : hash64(key);
    if (!all_->looks_at(hash)) continue;
    if (const auto other = all_->place(hash, hash128(key), input_.partition)) return misplaced(key, *other);
  }
  return {};
}

// A key of one null is always in the sample: it is the one that producers do not place.
bool PlacementCheck::is_null(std::string_view key) const {
  return with_nulls_ && names_.size() == 1 && key == std::string_view("\0", 1);
}

Status PlacementCheck::misplaced(std::string_view key, int32_t other) const {
  std::string names;
  for (const std::string& name : names_) names += (names.empty() ? "'" : ", '") + name + "'";
  return Status::invalid("partitioned_by=" + names + " does not hold: " + packer_.describe(key) + " is in partition " +
                         std::to_string(std::min(other, input_.partition)) + " and in partition " +
                         std::to_string(std::max(other, input_.partition)) + " of '" + input_.topic +
                         "'; without partitioned_by= the job brings the records of a key together itself");
}

}  // namespace wrackline
