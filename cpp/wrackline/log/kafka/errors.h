// What librdkafka and brokers report, as what to do next: the one place where that is decided.
//
//   kRetriable        the same call again, with the same arguments, until its deadline
//   kAbort            drop what is not committed and recover, with a new producer
//   kFenced           perhaps another owner; perhaps this process slept longer than its transaction may last
//   kNotFound, kInvalidArgument, kUnavailable: stop; the message says what to change
//
// Whatever is not listed is kAbort: a new producer and the committed offsets answer every question.
#pragma once

#include <string>
#include <string_view>

#include <librdkafka/rdkafka.h>

#include "wrackline/core/status.h"

namespace wrackline::kafka {

// `what` says what was tried: "commit", "topic 't'".
Status status_of(rd_kafka_resp_err_t error, std::string_view what, std::string_view detail = {});
// The error's flags count only where its code leaves a choice: a fenced producer is reported as abortable by some
// calls and as fatal by others.
Status status_of(const rd_kafka_error_t* error, std::string_view what);

}  // namespace wrackline::kafka
