// Status and Result: how the core reports failure. No exception crosses a station's boundary.
//
// Codes are *actions*: what the caller has to do next, not where it went wrong. Bugs are
// assertions (WL_CHECK), not statuses.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace wrackline {

enum class Code {
  kOk,
  kInvalidArgument,  // the user has to change the job or the call
  kNotFound,         // a name that does not exist
  kAlreadyExists,    // a name that exists
  kRetriable,        // call again with the same arguments, until a deadline
  kAbort,            // drop what is not committed and recover
  kFenced,           // another owner has taken over; stop
  kCorruption,       // bytes are not what was written; nothing may be overwritten
  kUnavailable,      // locked, unwritable, full: stop cleanly, go on when the cause is gone
  kFatal,            // stop
  kCrashed,          // a failpoint killed this (simulated) process; only tests see it
};

std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(Code code, std::string message);

  static Status invalid(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }
  static Status not_found(std::string message) { return {Code::kNotFound, std::move(message)}; }
  static Status already_exists(std::string message) { return {Code::kAlreadyExists, std::move(message)}; }
  static Status retriable(std::string message) { return {Code::kRetriable, std::move(message)}; }
  static Status abort(std::string message) { return {Code::kAbort, std::move(message)}; }
  static Status fenced(std::string message) { return {Code::kFenced, std::move(message)}; }
  static Status corruption(std::string message) { return {Code::kCorruption, std::move(message)}; }
  static Status unavailable(std::string message) { return {Code::kUnavailable, std::move(message)}; }
  static Status fatal(std::string message) { return {Code::kFatal, std::move(message)}; }
  static Status crashed(std::string message) { return {Code::kCrashed, std::move(message)}; }

  bool ok() const { return rep_ == nullptr; }
  Code code() const { return rep_ ? rep_->code : Code::kOk; }
  const std::string& message() const;
  std::string to_string() const;

  // The same failure with `prefix: ` before its message; ok stays ok.
  Status with_context(std::string_view prefix) const;

 private:
  struct Rep {
    Code code;
    std::string message;
  };
  std::shared_ptr<const Rep> rep_;  // shared: statuses are copied, never changed; null is ok
};

// A value or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }
  Status status() const { return ok() ? Status() : std::get<Status>(state_); }
  // REQUIRES: ok().
  T& value() & { return std::get<T>(state_); }
  const T& value() const& { return std::get<T>(state_); }
  T value() && { return std::get<T>(std::move(state_)); }  // by value: `for (x : f().value())` must not dangle
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace wrackline

#define WL_RETURN_IF_ERROR(expression)                                                   \
  do {                                                                                   \
    if (::wrackline::Status wl_status = (expression); !wl_status.ok()) return wl_status; \
  } while (false)

#define WL_CONCAT_(a, b) a##b
#define WL_CONCAT(a, b) WL_CONCAT_(a, b)
#define WL_ASSIGN_OR_RETURN(declaration, expression) \
  WL_ASSIGN_OR_RETURN_(WL_CONCAT(wl_result_, __LINE__), declaration, expression)
#define WL_ASSIGN_OR_RETURN_(result, declaration, expression) \
  auto result = (expression);                                 \
  if (!result.ok()) return result.status();                   \
  declaration = std::move(result).value()

// A broken invariant of ours: says where and aborts, in release builds too.
#define WL_CHECK(condition)                                                                  \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
