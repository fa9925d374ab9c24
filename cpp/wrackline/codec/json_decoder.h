// JsonDecoder: JSON objects, one per record, to checked columns.
//
// simdjson's first stage finds the structure of many records at once; our walk over it takes each
// record in one pass, checks every field of the schema (and the grammar of everything else), and
// stores the fields that the job uses. A bad record is one entry in `bad`, never more: the structure
// is only taken for a whole run of records when no string is open at a record's edge, else that run
// is taken record by record. Cost: about that of simdjson's own iterate_many with the same fields.
//
// What is accepted (docs/formats.md):
//   bool       true, false
//   int64      a number without fraction and exponent that fits; 1.0 and 1e3 are a wrong type
//   float64    any number that a double can hold (1e400 is out of range, 1e-400 is 0)
//   string     a string
//   bytes      a string in base64, standard alphabet, padded
//   timestamp  an ISO 8601 string, or a number in the field's unit
//   list       an array of one of these, or nulls; times in it are ISO 8601 or ms
//   json       any value, as the text that it is (Field::json)
// Null or missing: null in a nullable field, an error in a required one. NaN and Infinity are not
// JSON. A field name with dots is a path into nested objects; a key of the outermost object that
// spells the whole name goes before. A field that occurs twice is an error, other keys are skipped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/records.h"
#include "wrackline/core/status.h"
#include "wrackline/time/timestamp.h"

namespace wrackline {

struct JsonDecoderOptions {
  int64_t max_record_bytes = 1 << 20;
  int max_depth = 64;           // of nested objects and arrays, 1 to 1,000
  std::vector<bool> used;       // per schema field: stored or only checked; empty: all stored
  std::vector<TimeUnit> units;  // per schema field: of numbers in timestamp fields; empty: all ms
  // The event-time field, or -1. Null or missing is delivered as null whatever the schema says, a
  // string that is no time has reason `timestamp`, and numbers of a timestamp field are delivered as
  // they are, with their forms: TimeStage judges them.
  int time_field = -1;
  // The records are JsonEncoder's: a name with dots is one key, not a path, and a float64 may also be "NaN",
  // "Infinity" or "-Infinity".
  bool encoded = false;
};

struct BadRecord {
  uint32_t record = 0;      // index in Records
  std::string_view reason;  // of core/step.h: decode, schema, too_large, timestamp
  std::string message;      // names the field and what was found
};

// Every record of the input is in exactly one of: batch.record_of, bad, tombstones (all ascending).
struct Decoded {
  Batch batch;           // schema, columns, length, records, record_of; event times are TimeStage's
  TimeForms time_forms;  // of the event-time column, if it is a timestamp that had numbers; else empty
  std::vector<BadRecord> bad;
  Buffer<uint32_t> tombstones;
};

// Owned by one thread. Keeps its working memory from one call to the next.
class JsonDecoder {
 public:
  static Result<JsonDecoder> make(Schema schema, JsonDecoderOptions options = {});
  JsonDecoder(JsonDecoder&&) noexcept;
  JsonDecoder& operator=(JsonDecoder&&) noexcept;
  ~JsonDecoder();

  // The used fields, in the order of the schema.
  const SchemaPtr& schema() const;

  // REQUIRES: fewer than 2^31 value bytes. Records that were not pad()ded are copied first.
  Decoded decode(std::shared_ptr<const Records> records);

 private:
  class Impl;
  explicit JsonDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wrackline
