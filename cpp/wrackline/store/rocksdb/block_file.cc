#include "wrackline/store/rocksdb/block_file.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"

namespace wrackline {
namespace {

constexpr size_t kPiece = 256 * 1024;
constexpr uint32_t kMagic = 0x42465257;  // "WRFB"
constexpr uint16_t kVersion = 1;
constexpr uint32_t kDirectory = 0;  // the number of the directory; blocks count from 1

using InternalKey = std::array<char, 8>;

// Big-endian, so that the table's order is that of the numbers.
InternalKey internal_key(uint32_t number, uint32_t piece) {
  InternalKey key;
  for (size_t i = 0; i < 4; ++i) {
    key[i] = static_cast<char>(number >> (24 - 8 * i));
    key[4 + i] = static_cast<char>(piece >> (24 - 8 * i));
  }
  return key;
}

rocksdb::Slice slice(const InternalKey& key) { return {key.data(), key.size()}; }

rocksdb::Options options() {
  rocksdb::BlockBasedTableOptions table;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 6;
  table.block_size = 64 * 1024;
  table.no_block_cache = true;
  rocksdb::Options options;
  options.compression = rocksdb::kNoCompression;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Whatever is not the disk's fault is the file's.
Status from_rocksdb(const rocksdb::Status& status, std::string_view path) {
  if (status.ok()) return {};
  const std::string message = std::string(path) + ": " + status.ToString();
  if (status.IsIOError() || status.IsBusy() || status.IsTimedOut()) return Status::unavailable(message);
  return Status::corruption(message);
}

Status put(rocksdb::SstFileWriter& writer, const std::string& path, uint32_t number, const uint8_t* bytes,
           size_t size) {
  for (size_t at = 0, piece = 0; at < size; at += kPiece, ++piece) {
    const InternalKey key = internal_key(number, static_cast<uint32_t>(piece));
    const rocksdb::Slice value(reinterpret_cast<const char*>(bytes) + at, std::min(kPiece, size - at));
    WL_RETURN_IF_ERROR(from_rocksdb(writer.Put(slice(key), value), path));
  }
  return {};
}

Bytes encode_directory(const std::vector<Block>& blocks) {
  ByteWriter writer;
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put(static_cast<uint32_t>(blocks.size()));
  for (const Block& block : blocks) {
    writer.put_string(block.key);
    writer.put(static_cast<uint64_t>(block.bytes.size()));
    writer.put(hash64(block.bytes.data(), block.bytes.size()));
  }
  return writer.take();
}

}  // namespace

Status write_block_file(const std::string& path, const std::vector<Block>& blocks) {
  rocksdb::EnvOptions env;
  env.bytes_per_sync = 1 << 20;  // a steady flow to the disk instead of one burst at the end
  rocksdb::SstFileWriter writer(env, options(), nullptr, /*invalidate_page_cache=*/false);
  WL_RETURN_IF_ERROR(from_rocksdb(writer.Open(path), path));
  const Bytes directory = encode_directory(blocks);
  WL_RETURN_IF_ERROR(put(writer, path, kDirectory, directory.data(), directory.size()));
  uint32_t number = kDirectory;
  for (const Block& block : blocks) {
    WL_RETURN_IF_ERROR(put(writer, path, ++number, block.bytes.data(), block.bytes.size()));
  }
  return from_rocksdb(writer.Finish(), path);  // syncs
}

BlockFile::BlockFile(std::string path) : path_(std::move(path)) {}
BlockFile::~BlockFile() = default;

Status BlockFile::damaged(std::string_view what) const { return Status::corruption(path_ + ": " + std::string(what)); }

Result<std::unique_ptr<BlockFile>> BlockFile::open(const std::string& path) {
  std::unique_ptr<BlockFile> file(new BlockFile(path));
  file->reader_ = std::make_unique<rocksdb::SstFileReader>(options());
  WL_RETURN_IF_ERROR(from_rocksdb(file->reader_->Open(path), path));
  rocksdb::ReadOptions read;
  read.verify_checksums = true;
  read.fill_cache = false;
  file->iterator_.reset(file->reader_->NewIterator(read));
  WL_RETURN_IF_ERROR(file->read_directory());
  return file;
}

// All pieces of `number`, in their order.
Status BlockFile::read_block(uint32_t number, Bytes& bytes) {
  bytes.clear();
  uint32_t piece = 0;
  iterator_->Seek(slice(internal_key(number, 0)));
  while (iterator_->Valid() && iterator_->key() == slice(internal_key(number, piece))) {
    const rocksdb::Slice value = iterator_->value();
    bytes.insert(bytes.end(), value.data(), value.data() + value.size());
    ++piece;
    iterator_->Next();
  }
  return from_rocksdb(iterator_->status(), path_);
}

Status BlockFile::read_directory() {
  WL_RETURN_IF_ERROR(read_block(kDirectory, buffer_));
  ByteReader reader{std::span<const uint8_t>(buffer_)};
  if (reader.get<uint32_t>() != kMagic) return damaged("not a file of blocks");
  if (const auto version = reader.get<uint16_t>(); version != kVersion) {
    return damaged("its format is version " + std::to_string(version) + ", this program reads version " +
                   std::to_string(kVersion));
  }
  for (auto left = reader.get<uint32_t>(); left > 0 && !reader.failed(); --left) {
    Entry entry;
    entry.key = reader.get_string();
    entry.size = reader.get<uint64_t>();
    entry.hash = reader.get<uint64_t>();
    directory_.push_back(std::move(entry));
  }
  return reader.finish(path_);
}

Status BlockFile::give(size_t index, const std::function<Status(std::string_view key, std::string_view bytes)>& f) {
  const Entry& entry = directory_[index];
  WL_RETURN_IF_ERROR(read_block(static_cast<uint32_t>(index) + 1, buffer_));
  if (buffer_.size() != entry.size || hash64(buffer_.data(), buffer_.size()) != entry.hash) {
    return damaged("block '" + entry.key + "' is not what was written");
  }
  return f(entry.key, {reinterpret_cast<const char*>(buffer_.data()), buffer_.size()});
}

Status BlockFile::read(const std::vector<std::string>& keys,
                       const std::function<Status(std::string_view key, std::string_view bytes)>& f) {
  if (keys.empty()) {
    for (size_t i = 0; i < directory_.size(); ++i) WL_RETURN_IF_ERROR(give(i, f));
  }
  for (const std::string& key : keys) {
    const auto entry = std::lower_bound(directory_.begin(), directory_.end(), key,
                                        [](const Entry& e, const std::string& k) { return e.key < k; });
    if (entry == directory_.end() || entry->key != key) return damaged("has no block '" + key + "'");
    WL_RETURN_IF_ERROR(give(static_cast<size_t>(entry - directory_.begin()), f));
  }
  return {};
}

}  // namespace wrackline
