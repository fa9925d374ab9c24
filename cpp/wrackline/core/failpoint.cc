#include "wrackline/core/failpoint.h"

#include <charconv>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

namespace wrackline {
namespace {

constexpr size_t kPoints = static_cast<size_t>(Failpoint::kCount);

constexpr std::array<std::string_view, kPoints> kNames = {
    "record_taken",       "pane_out",  "sealed",         "journal_row_sent", "offsets_sent",    "end_txn_sent",
    "answer_lost",        "committed", "frozen",         "block_written",    "manifest_synced", "naming_commit_sent",
    "old_blocks_dropped", "claim",     "during_restore", "during_replay",
};

// kCount stands for "any".
struct Order {
  Failpoint point = Failpoint::kCount;
  int64_t nth = 0;
  bool fail = false;
};

Result<Order> parse_order(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return Status::invalid("failpoint '" + std::string(text) + "': " + std::string(why) +
                           "; wanted NAME@N (kill) or NAME@N=fail");
  };
  Order order;
  const size_t at = text.find('@');
  if (at == std::string_view::npos) return bad("no @");
  std::string_view count = text.substr(at + 1);
  if (const size_t equals = count.find('='); equals != std::string_view::npos) {
    if (count.substr(equals + 1) != "fail") return bad("the only action is fail");
    order.fail = true;
    count = count.substr(0, equals);
  }
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), order.nth);
  if (error != std::errc() || end != count.data() + count.size() || order.nth < 1) return bad("N counts from 1");
  const std::string_view name = text.substr(0, at);
  if (name != "any") {
    WL_ASSIGN_OR_RETURN(order.point, parse_failpoint(name));
  }
  return order;
}

// The end of this process as a power cut would have it: no destructor, no flush. Not reached again.
Status kill_process(Failpoint point) {
  static_cast<void>(std::raise(SIGKILL));
  return Status::crashed("failpoint " + std::string(failpoint_name(point)));
}

Status fail(Failpoint point) { return Status::abort("failpoint " + std::string(failpoint_name(point))); }

}  // namespace

std::string_view failpoint_name(Failpoint point) {
  const auto index = static_cast<size_t>(point);
  return index < kPoints ? kNames[index] : "any";
}

Result<Failpoint> parse_failpoint(std::string_view name) {
  std::string known;
  for (size_t i = 0; i < kPoints; ++i) {
    if (kNames[i] == name) return static_cast<Failpoint>(i);
    known += (i == 0 ? "" : ", ") + std::string(kNames[i]);
  }
  return Status::invalid("no failpoint '" + std::string(name) + "'; there are " + known);
}

void Failpoints::arm(Failpoint point, int64_t nth, Action action) {
  points_[static_cast<size_t>(point)] = {nth, std::move(action)};
  armed_ = true;
}

void Failpoints::arm_all(Action action) {
  all_ = std::move(action);
  armed_ = true;
}

Status Failpoints::arm_from(std::string_view text) {
  std::vector<Order> orders;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    WL_ASSIGN_OR_RETURN(const Order order, parse_order(text.substr(0, comma)));
    orders.push_back(order);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  for (const Order& order : orders) {
    Armed& armed = order.point == Failpoint::kCount ? any_ : points_[static_cast<size_t>(order.point)];
    armed = {order.nth, order.fail ? fail : kill_process};
    armed_ = true;
  }
  return {};
}

Status Failpoints::slow_hit(Failpoint point) {
  if (all_) {
    // A copy: the action may arm anew.
    const Action all = all_;
    WL_RETURN_IF_ERROR(all(point));
  }
  for (Armed* armed : {&points_[static_cast<size_t>(point)], &any_}) {
    if (!armed->action || --armed->hits_left > 0) continue;
    const Action action = std::exchange(armed->action, nullptr);
    WL_RETURN_IF_ERROR(action(point));
  }
  return {};
}

}  // namespace wrackline
