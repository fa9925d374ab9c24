// The directory of a log on disk:
//
//   owner   locked by the one process that writes; its pid as text
//   guard   how many writes were acknowledged, so that a shorter log is noticed (docs/formats.md)
//   db/     RocksDB; there only when it is complete (made as db.new/)
#pragma once

#include <memory>
#include <string>

#include "wrackline/log/local/storage.h"

namespace wrackline::local {

// Makes the log if the directory is missing or empty. Everything is checked before anything is changed.
// kUnavailable: held by another process (named), not writable, full. kInvalidArgument: another's directory.
// kCorruption: damaged, shorter than it was, or of a newer format.
Result<std::unique_ptr<Storage>> open_directory(const std::string& path);
// Beside a process that writes, or without one. kNotFound: no log there.
Result<std::unique_ptr<Storage>> open_directory_for_reading(const std::string& path);

}  // namespace wrackline::local
