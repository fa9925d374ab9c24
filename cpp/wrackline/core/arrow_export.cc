// Export: every structure that leaves owns itself, so that a consumer may move a child out of its parent
// (copy the structure, mark it released) and keep it longer.
#include <string>
#include <utility>

#include "wrackline/core/arrow.h"

namespace wrackline {
namespace {

// What an empty column points to: consumers may want an address even where there is nothing to read.
alignas(64) constexpr uint8_t kNothing[64] = {};

const char* format_of(Type type) {
  switch (type) {
    case Type::kBool: return "b";
    case Type::kInt64: return "l";
    case Type::kFloat64: return "g";
    case Type::kString: return "u";
    case Type::kBytes: return "z";
    case Type::kTimestamp: return "tsm:UTC";
    case Type::kDecimal: return "d:38,0";
    case Type::kList: return "+l";
  }
  return "n";
}

struct SchemaOwner {
  std::string name;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> child_pointers;
};

void release_schema(ArrowSchema* schema) {
  const std::unique_ptr<SchemaOwner> owner(static_cast<SchemaOwner*>(schema->private_data));
  for (ArrowSchema* child : owner->child_pointers) {
    if (child->release != nullptr) child->release(child);
  }
  schema->release = nullptr;
}

// The children are filled by the caller.
ArrowSchema* make_schema(const char* format, std::string name, bool nullable, size_t children, ArrowSchema* out) {
  auto owner = std::make_unique<SchemaOwner>();
  owner->name = std::move(name);
  owner->children.resize(children);
  for (ArrowSchema& child : owner->children) owner->child_pointers.push_back(&child);
  *out = {};
  out->format = format;
  out->name = owner->name.c_str();
  out->flags = nullable ? ARROW_FLAG_NULLABLE : 0;
  out->n_children = static_cast<int64_t>(children);
  out->children = owner->child_pointers.data();
  out->release = release_schema;
  ArrowSchema* const first = owner->children.data();
  out->private_data = owner.release();
  return first;
}

struct ArrayOwner {
  std::shared_ptr<const Batch> batch;  // shared by all that were exported from it
  const void* buffers[3] = {};
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> child_pointers;
};

void release_array(ArrowArray* array) {
  const std::unique_ptr<ArrayOwner> owner(static_cast<ArrayOwner*>(array->private_data));
  for (ArrowArray* child : owner->child_pointers) {
    if (child->release != nullptr) child->release(child);
  }
  array->release = nullptr;
}

ArrayOwner* make_array(std::shared_ptr<const Batch> batch, int64_t length, int64_t null_count, int64_t buffers,
                       size_t children, ArrowArray* out) {
  auto owner = std::make_unique<ArrayOwner>();
  owner->batch = std::move(batch);
  owner->children.resize(children);
  for (ArrowArray& child : owner->children) owner->child_pointers.push_back(&child);
  *out = {};
  out->length = length;
  out->null_count = null_count;
  out->n_buffers = buffers;
  out->n_children = static_cast<int64_t>(children);
  out->buffers = owner->buffers;
  out->children = owner->child_pointers.data();
  out->release = release_array;
  out->private_data = owner.get();
  return owner.release();
}

template <typename T>
const void* address(const Buffer<T>& buffer) {
  return buffer.empty() ? static_cast<const void*>(kNothing) : buffer.data();
}

void export_column(const std::shared_ptr<const Batch>& batch, const Column& column, ArrowArray* out) {
  const bool text = column.type() == Type::kString || column.type() == Type::kBytes;
  const bool list = column.type() == Type::kList;
  ArrayOwner* owner = make_array(batch, column.length(), column.null_count(), text ? 3 : 2, list ? 1 : 0, out);
  if (column.null_count() != 0) owner->buffers[0] = column.validity().data();
  // A column of no rows may have no offsets at all.
  const void* offsets = column.length() == 0 ? static_cast<const void*>(kNothing) : column.offsets();
  owner->buffers[1] = text || list ? offsets : address(column.values());
  if (text) owner->buffers[2] = address(column.values());
  if (list) export_column(batch, column.items(), owner->child_pointers[0]);
}

struct StreamOwner {
  SchemaPtr schema;
  std::vector<std::shared_ptr<const Batch>> batches;
  size_t next = 0;
};

int stream_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  export_schema(*static_cast<StreamOwner*>(stream->private_data)->schema, out);
  return 0;
}

int stream_next(ArrowArrayStream* stream, ArrowArray* out) {
  auto& owner = *static_cast<StreamOwner*>(stream->private_data);
  if (owner.next == owner.batches.size()) {
    *out = {};
    return 0;
  }
  const std::shared_ptr<const Batch> batch = std::move(owner.batches[owner.next++]);
  export_batch(batch, out);
  return 0;
}

const char* stream_error(ArrowArrayStream*) { return nullptr; }

void release_stream(ArrowArrayStream* stream) {
  delete static_cast<StreamOwner*>(stream->private_data);
  stream->release = nullptr;
}

}  // namespace

void export_schema(const Schema& schema, ArrowSchema* out) {
  ArrowSchema* child = make_schema("+s", "", false, static_cast<size_t>(schema.size()), out);
  for (const Field& field : schema.fields()) {
    const bool list = field.type == Type::kList;
    ArrowSchema* item = make_schema(format_of(field.type), field.name, field.nullable, list ? 1 : 0, child++);
    if (list) make_schema(format_of(field.item), "item", true, 0, item);
  }
}

void export_batch(const std::shared_ptr<const Batch>& batch, ArrowArray* out) {
  ArrayOwner* owner = make_array(batch, batch->length, 0, 1, batch->columns.size(), out);
  for (size_t i = 0; i < batch->columns.size(); ++i) {
    export_column(batch, *batch->columns[i], owner->child_pointers[i]);
  }
}

void export_stream(SchemaPtr schema, std::vector<std::shared_ptr<const Batch>> batches, ArrowArrayStream* out) {
  *out = {};
  out->get_schema = stream_schema;
  out->get_next = stream_next;
  out->get_last_error = stream_error;
  out->release = release_stream;
  out->private_data = new StreamOwner{std::move(schema), std::move(batches), 0};
}

}  // namespace wrackline
