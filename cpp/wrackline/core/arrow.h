// Batches over the Arrow C data interface: how columns reach Polars, pyarrow, pandas and DuckDB and come
// back, without the Arrow library.
//
// Export copies nothing: every exported child keeps its batch alive on its own, so a consumer may keep one
// column and drop the rest. Import copies into our layout, and takes ownership: what was given is released
// when the call returns, also when it fails. All functions may be called on any thread; release callbacks may
// run on any thread.
//
// | our type  | exported as        | imported from                                                         |
// |-----------|--------------------|-----------------------------------------------------------------------|
// | bool      | b                  | b                                                                     |
// | int64     | l                  | c C s S i I l L (L: beyond int64 is an error)                         |
// | float64   | g                  | f g                                                                   |
// | string    | u                  | u U vu, dictionaries of these (any index type), n (all null)          |
// | bytes     | z                  | z Z vz, w:N, dictionaries of these                                    |
// | timestamp | tsm:UTC            | tss tsm tsu tsn with any zone or none, tdD, tdm; floored to ms        |
// | decimal   | d:38,0             | d:P,0 of 128 bits                                                     |
// | list      | +l                 | +l +L of the above, not of lists                                      |
//
// Anything else is Code::kInvalidArgument naming the column and the format.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/status.h"

// The interface's own structures; the guards are the specification's, so that other headers may define them too.
extern "C" {

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};

#endif  // ARROW_C_STREAM_INTERFACE

}  // extern "C"

namespace wrackline {

// Fills `out`, which the caller owns from then on (out->release). The schema is a struct with one child a field.
void export_schema(const Schema& schema, ArrowSchema* out);
// Only schema, columns and length travel; times and moves do not.
void export_batch(const std::shared_ptr<const Batch>& batch, ArrowArray* out);
// A stream of `batches`, all of `schema`. One stream is read once; for a restartable object export anew.
void export_stream(SchemaPtr schema, std::vector<std::shared_ptr<const Batch>> batches, ArrowArrayStream* out);

// What a stream held. A field is nullable iff it is flagged so or a null was found in any batch. Batches have
// schema, columns and length, nothing else.
struct ImportedTable {
  SchemaPtr schema;
  std::vector<Batch> batches;
};
Result<ImportedTable> import_stream(ArrowArrayStream* stream);
// One record batch, given as a struct array and its schema.
Result<ImportedTable> import_batch(ArrowSchema* schema, ArrowArray* array);

}  // namespace wrackline
