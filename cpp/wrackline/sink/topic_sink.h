// TopicSink: rows to the records of one topic, as docs/formats.md has them.
//
//   result rows     value: JSON object of all columns; key: JSON array of key columns, then window start and end;
//                   partition: murmur2 of the JSON array of the key columns alone, so that a key's rows stay in order
//   late and other  value: JSON object; key: that of the original record; partition: the input's
//   dead letters    key, value, headers and timestamp of the original record, and headers that say why; one that the
//                   log would not take has its value cut, and headers wl.truncated (its size) and wl.sha256 of the
//                   whole
//   those as rows   value: JSON object; one that the log would not take has its "value" cut, and says so in "message"
//
// Belongs to one worker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "wrackline/codec/json_encoder.h"
#include "wrackline/core/batch.h"
#include "wrackline/core/status.h"
#include "wrackline/core/types.h"

namespace wrackline {

struct TopicSinkSpec {
  std::string topic;
  int32_t partitions = 1;
  std::string job;
  bool iso_times = false;
  bool nan_as_string = false;
  bool dead_letters = false;
  bool letter_columns = false;   // dead letters as rows, for files: base64 in JSON
  int64_t max_record_bytes = 0;  // dead letters are cut to it; 0: no limit
  // Of result rows: the key columns of their window, and those that say which window of the key it is. Not set: rows
  // that keep their input's key and partition.
  bool results = false;
  std::vector<std::string> key_columns;
  std::vector<std::string> window_columns;
};

class TopicSink {
 public:
  explicit TopicSink(TopicSinkSpec spec) : spec_(std::move(spec)) {}

  const std::string& topic() const { return spec_.topic; }
  // Adds the rows of `given` to `out` (partition -> records). `clock_now` is their log timestamp; dead letters keep
  // their own.
  Status write(const Batch& given, int32_t input_partition, Millis clock_now, std::map<int32_t, Records>& out);

 private:
  struct Encoding {
    SchemaPtr schema;
    JsonEncoder encoder;
    std::vector<int> key_columns;
  };
  Result<const Encoding*> encoding_of(const SchemaPtr& schema);
  Batch letters_that_fit(const Batch& batch) const;
  Status write_dead_letters(const Batch& batch, int32_t input_partition, Millis clock_now, Records& out) const;

  TopicSinkSpec spec_;
  std::vector<std::vector<int64_t>> rows_of_;         // by partition, of the batch that is being written
  std::vector<std::unique_ptr<Encoding>> encodings_;  // one per schema: job.late has several
};

}  // namespace wrackline
