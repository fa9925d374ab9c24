#include "wrackline/core/status.h"

namespace wrackline {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kNotFound: return "not found";
    case Code::kAlreadyExists: return "already exists";
    case Code::kRetriable: return "retriable";
    case Code::kAbort: return "abort";
    case Code::kFenced: return "fenced";
    case Code::kCorruption: return "corruption";
    case Code::kUnavailable: return "unavailable";
    case Code::kFatal: return "fatal";
    case Code::kCrashed: return "crashed";
  }
  return "unknown";
}

Status::Status(Code code, std::string message)
    : rep_(code == Code::kOk ? nullptr : std::make_shared<const Rep>(Rep{code, std::move(message)})) {}

const std::string& Status::message() const {
  static const std::string empty;
  return rep_ ? rep_->message : empty;
}

std::string Status::to_string() const { return ok() ? "ok" : std::string(code_name(code())) + ": " + message(); }

Status Status::with_context(std::string_view prefix) const {
  return ok() ? *this : Status(code(), std::string(prefix) + ": " + message());
}

}  // namespace wrackline
