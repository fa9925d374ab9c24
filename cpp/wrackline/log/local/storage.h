// Storage: ordered keys and values with atomic writes, all that the embedded log asks of what is below it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/status.h"

namespace wrackline::local {

// Applied together or not at all, in this order: ranges, then puts.
struct Write {
  std::vector<std::pair<std::string, std::string>> delete_ranges;  // [first, second)
  std::vector<std::pair<std::string, Bytes>> puts;

  void put(std::string key, Bytes value) { puts.emplace_back(std::move(key), std::move(value)); }
};

// Walks keys in [lower, upper) upwards. Belongs to one thread; must not outlive its storage.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual void seek(std::string_view key) = 0;        // to the first key >= `key`
  virtual void seek_floor(std::string_view key) = 0;  // to the last key <= `key`
  virtual void next() = 0;                            // REQUIRES: valid()
  virtual bool valid() const = 0;                     // false at the end and after a failure
  virtual Status status() const = 0;                  // the failure, if that is why
  // REQUIRES: valid(). Views hold until the cursor is moved; pin() is the value for longer.
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual std::shared_ptr<const Bytes> pin() const = 0;
};

// Thread-safe. A write that is answered ok survives kill -9 of the process (if the storage is on disk).
class Storage {
 public:
  virtual ~Storage() = default;
  virtual Status write(Write write) = 0;
  virtual Result<std::optional<Bytes>> get(std::string_view key) = 0;
  virtual std::unique_ptr<Cursor> cursor(std::string lower, std::string upper) = 0;
  // Beside another process that writes: takes over what it has written. True: something may have changed.
  virtual Result<bool> catch_up() { return false; }
};

std::unique_ptr<Storage> make_memory_storage();

}  // namespace wrackline::local
