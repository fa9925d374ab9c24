// What every store asks of a write before it touches anything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wrackline/store/store.h"

namespace wrackline {

// Letters, digits, '-', '_', '.'; 1 to 200 of them, not starting with '.'.
Status check_file_name(std::string_view name);
// Sorts `blocks` by key; kInvalidArgument if a key is there twice.
Status sort_blocks(std::vector<Block>& blocks);

Status missing_file(std::string_view name);                         // kNotFound
Status missing_block(std::string_view name, std::string_view key);  // kCorruption
Status existing_file(std::string_view name);                        // kAlreadyExists

}  // namespace wrackline
