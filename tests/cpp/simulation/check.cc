#include "simulation/check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "simulation/oracle.h"

#include "wrackline/job/run.h"

namespace wrackline::simulation {
namespace {

constexpr size_t kMostFailures = 6;

struct Found {
  std::optional<std::string> key;
  std::optional<std::string> value;
  Headers headers;
  Millis timestamp = 0;
  int64_t offset = 0;
};

// Doubles between two of the same sign; 0: equal.
int64_t ulps(double a, double b) {
  if (a == b) return 0;
  if (std::signbit(a) != std::signbit(b)) return std::numeric_limits<int64_t>::max();
  return std::abs(std::bit_cast<int64_t>(a) - std::bit_cast<int64_t>(b));
}

std::optional<double> number_in(const Cell& cell) {
  if (const auto* whole = std::get_if<int64_t>(&cell.value)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&cell.value)) return *real;
  return std::nullopt;
}

bool same(const AggregateSpec& spec, const Cell& expected, const Cell& found) {
  if (std::holds_alternative<double>(expected.value)) {
    const double wanted = std::get<double>(expected.value);
    const std::optional<double> got = number_in(found);
    if (!got) return false;
    if (spec.function == "sum") return ulps(wanted, *got) <= 1;
    if (spec.function == "mean") return ulps(wanted, *got) <= 3;
    if (spec.function == "var" || spec.function == "std")
      return std::fabs(wanted - *got) <= 1e-9 * std::max(std::fabs(wanted), 1e-9);
    return wanted == *got;
  }
  return to_text(expected) == to_text(found);
}

class Checker {
 public:
  Checker(const JobSpec& job, const Input& input, const Journal& journal, Log& log)
      : job_(job), input_(input), journal_(journal), log_(log) {}

  std::vector<std::string> run() {
    for (int32_t p = 0; p < job_.partitions; ++p) expect_partition(p);
    if (!failures_.empty()) return failures_;
    for (int32_t p = 0; p < job_.partitions; ++p) {
      check_journal(p);
      check_offsets(p);
      check_rows(p, "late", job_.write_late && (job_.window || job_.dedup), expected_[p].late);
      check_rows(p, "duplicates", job_.write_duplicates && job_.dedup, expected_[p].duplicates);
      check_dead(p);
    }
    if (job_.window && job_.window->rolling())
      check_rolled();
    else if (job_.window)
      check_results("out", job_.out_partitions);
    if (job_.window && job_.write_again) {
      check_results("again", job_.partitions);
      if (!job_.at_least_once) check_again();
    }
    if (!job_.window || job_.write_rows) check_passed(job_.window ? "rows" : "out");
    check_ledger();
    return failures_;
  }

 private:
  void fail(std::string text) {
    if (failures_.size() < kMostFailures) failures_.push_back(std::move(text));
  }
  static std::string at(int32_t partition) { return "partition " + std::to_string(partition) + ": "; }

  std::vector<Found> read(const std::string& topic, int32_t partition) {
    std::vector<Found> all;
    const TopicPartition from{topic, partition};
    const Result<int64_t> start = log_.start_offset(from);
    const Result<int64_t> end = log_.end_offset(from, Isolation::kReadCommitted);
    const Result<int64_t> last = log_.end_offset(from, Isolation::kReadUncommitted);
    if (!start.ok() || !end.ok() || !last.ok()) {
      if (start.status().code() != Code::kNotFound) fail(topic + ": " + start.status().to_string());
      return all;
    }
    if (*end != *last) fail(at(partition) + topic + " has a transaction that was left open");
    for (int64_t offset = *start; offset < *end;) {
      Result<event::Polled> polled = log_.read(from, offset, 1 << 20, Isolation::kReadCommitted);
      if (!polled.ok()) {
        fail(topic + ": " + polled.status().to_string());
        break;
      }
      const Records& records = *polled->records;
      for (int64_t i = 0; i < records.size(); ++i) {
        Found found;
        if (records.has_key(i)) found.key = std::string(records.key(i));
        if (records.has_value(i)) found.value = std::string(records.value(i));
        if (records.any_headers()) found.headers = records.headers(i);
        found.timestamp = records.timestamp(i);
        found.offset = records.offset(i);
        all.push_back(std::move(found));
      }
      if (polled->next_offset <= offset) break;
      offset = polled->next_offset;
    }
    return all;
  }

  void expect_partition(int32_t p) {
    const std::vector<InputRecord>& sent = input_.partitions[static_cast<size_t>(p)];
    std::vector<Placed> placed;
    if (job_.bounded) {
      for (size_t i = 0; i < sent.size(); ++i) placed.push_back({static_cast<int64_t>(i), &sent[i]});
    } else {
      const std::vector<Found> in = read(job_.topic, p);
      if (in.size() != sent.size()) return fail(at(p) + "the input lost records: the simulation is wrong");
      for (size_t i = 0; i < in.size(); ++i) placed.push_back({in[i].offset, &sent[i]});
    }
    const auto rows = journal_.find(p);
    expected_[p] = expect(job_, placed, rows == journal_.end() ? std::vector<JournalRow>() : rows->second);
    if (expected_[p].probation) expected_[p].dead.clear();
  }

  void check_journal(int32_t p) {
    const auto found = journal_.find(p);
    bool ended = false;
    if (found != journal_.end()) {
      for (const JournalRow& row : found->second) {
        for (const Decision& decision : row.decisions) ended = ended || decision.kind == Decision::Kind::kEnded;
      }
    }
    if (ended != job_.ends()) fail(at(p) + (ended ? "the input ended, and must not" : "the input has not ended"));
    if (found == journal_.end()) return;
    int64_t offset = 0;
    for (size_t i = 0; i < found->second.size(); ++i) {
      const JournalRow& row = found->second[i];
      const std::string which = at(p) + "journal row " + std::to_string(i + 1);
      if (row.commit_seq != static_cast<int64_t>(i) + 1)
        return fail(which + " has commit_seq " + std::to_string(row.commit_seq));
      if (row.offset < offset) return fail(which + " goes back to offset " + std::to_string(row.offset));
      offset = row.offset;
      if (row.watermark != expected_[p].watermarks[i]) {
        fail(which + ": W is " + std::to_string(row.watermark) + ", must be " +
             std::to_string(expected_[p].watermarks[i]));
      }
      compare_ledger(which, row.ledger, expected_[p].ledgers[i], row.cut.has_value());
    }
  }

  void compare_ledger(const std::string& where, const Ledger& ledger, const std::map<std::string, StepCounts>& expected,
                      bool cut = false) {
    for (const auto& [step, counts] : expected) {
      const auto entry =
          std::find_if(ledger.begin(), ledger.end(), [&](const LedgerEntry& e) { return e.step == step; });
      if (entry == ledger.end()) {
        fail(where + ": the ledger has no step " + step);
        continue;
      }
      if (!entry->counts.balances()) fail(where + ": the ledger of " + step + " does not balance");
      // Which late panes come out may follow the commits (semantics.md 4).
      const bool free = job_.window && job_.window->coalesces();
      StepCounts::for_each([&](const char* name, auto member) {
        int64_t got = entry->counts.*member;
        int64_t wanted = counts.*member;
        if (cut && free && step == "window") {  // pending late panes have not come out
          if (std::string_view(name) == "held") return;
          if (std::string_view(name) == "out") {
            got += entry->counts.held;
            wanted += counts.held;
          }
        }
        const bool of_panes = std::string_view(name) == "panes" || std::string_view(name) == "panes_dead" ||
                              std::string_view(name) == "rows_out";
        if (of_panes && (step != "window" || (free && got <= wanted))) return;
        if (got != wanted) {
          fail(where + ": ledger " + step + "." + name + " is " + std::to_string(got) + ", must be " +
               std::to_string(wanted));
        }
      });
    }
  }

  void check_ledger() {
    const Result<std::map<int32_t, Ledger>> ledgers = read_ledger(log_, job_.name);
    if (!ledgers.ok()) {
      if (ledgers.status().code() != Code::kNotFound || !journal_.empty())
        fail("read_ledger: " + ledgers.status().to_string());
      return;
    }
    for (int32_t p = 0; p < job_.partitions; ++p) {
      Expected& expected = expected_[p];
      if (expected.probation) expected.ledger["read"] = StepCounts();
      const auto found = ledgers->find(p);
      if (found != ledgers->end()) {
        compare_ledger(at(p) + "at the end", found->second, expected.ledger);
        for (const LedgerEntry& entry : found->second) {
          if (entry.step != "window") continue;
          const StepCounts& c = entry.counts;
          if (job_.at_least_once ? c.rows_out > rows_of_[p] : c.rows_out != rows_of_[p]) {
            fail(at(p) + "the ledger has " + std::to_string(c.rows_out) + " rows out, the topic " +
                 std::to_string(rows_of_[p]));
          }
          // Of sessions also the withdrawn ones are rows.
          const bool sessions = job_.window->spec.as<SessionWindow>() != nullptr;
          if (sessions ? c.panes > c.rows_out + c.panes_dead : c.panes != c.rows_out + c.panes_dead)
            fail(at(p) + "firings are neither rows nor dead panes");
          if (job_.at_least_once ? c.panes_dead > dead_panes_[p] : c.panes_dead != dead_panes_[p]) {
            fail(at(p) + "the ledger has " + std::to_string(c.panes_dead) + " dead panes, the topic " +
                 std::to_string(dead_panes_[p]));
          }
        }
      } else if (!input_.partitions[static_cast<size_t>(p)].empty() && !expected.probation) {
        fail(at(p) + "has no ledger");
      }
    }
  }

  void check_offsets(int32_t p) {
    const TopicPartition in{job_.bounded ? job_.name + ".journal-0" : job_.topic, p};
    const Result<Offsets> committed = log_.committed(job_.name);
    const Result<int64_t> end = log_.end_offset(in, Isolation::kReadCommitted);
    if (!committed.ok() || !end.ok()) return fail("committed: " + committed.status().to_string());
    const auto found = committed->find(in);
    if (found == committed->end()) return fail(at(p) + "has no committed offset");
    int64_t at_offset = found->second.offset;
    int64_t wanted = expected_[p].probation ? 0 : *end;
    if (job_.bounded) {  // where it stands is in the journal
      const auto rows = journal_.find(p);
      at_offset = rows == journal_.end() ? 0 : rows->second.back().offset;
      if (!expected_[p].probation) wanted = static_cast<int64_t>(input_.partitions[0].size());
    }
    if (at_offset != wanted &&
        !(expected_[p].probation && at_offset == *end && input_.partitions[static_cast<size_t>(p)].empty())) {
      fail(at(p) + "offset " + std::to_string(at_offset) + " is committed, the end is " + std::to_string(wanted));
    }
    const Result<CommitMetadata> metadata = CommitMetadata::decode(found->second.metadata);
    if (!metadata.ok()) return fail(at(p) + metadata.status().to_string());
    const auto rows = journal_.find(p);
    const int64_t commits = rows == journal_.end() ? 0 : static_cast<int64_t>(rows->second.size());
    if (metadata->commit_seq != commits) {
      fail(at(p) + "commit_seq " + std::to_string(metadata->commit_seq) + " is committed, the journal has " +
           std::to_string(commits));
    }
    if (metadata->watermark != expected_[p].watermark) fail(at(p) + "another W is committed than the records make");
  }

  // Rows with their record's columns, in any order.
  void check_rows(int32_t p, const std::string& topic, bool written, std::vector<std::string> expected) {
    if (!written) return;
    std::vector<std::string> texts;
    for (const Found& found : read(topic, p)) {
      const std::optional<Row> row = found.value ? parse_object(*found.value) : std::nullopt;
      if (!row) return fail(at(p) + topic + ": not a row: " + found.value.value_or("null"));
      check_record_key(p, topic, found, *row);
      texts.push_back(to_text(*row));
    }
    std::sort(texts.begin(), texts.end());
    std::sort(expected.begin(), expected.end());
    compare_texts(p, topic, texts, expected);
  }

  // Each of `expected` at least as often, and nothing else.
  void compare_repeated(int32_t p, const std::string& topic, const std::vector<std::string>& found,
                        const std::vector<std::string>& expected) {
    std::map<std::string, int64_t> times;
    for (const std::string& text : found) ++times[text];
    std::map<std::string, int64_t> wanted;
    for (const std::string& text : expected) ++wanted[text];
    for (const auto& [text, n] : wanted) {
      if (times[text] < n) fail(at(p) + topic + ": missing: " + text);
    }
    for (const auto& [text, n] : times) {
      if (n > 0 && !wanted.contains(text)) fail(at(p) + topic + ": must not be there: " + text);
    }
  }

  void compare_texts(int32_t p, const std::string& topic, const std::vector<std::string>& found,
                     const std::vector<std::string>& expected) {
    if (job_.at_least_once) return compare_repeated(p, topic, found, expected);
    if (found == expected) return;
    const auto [f, e] = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
    fail(at(p) + topic + " has " + std::to_string(found.size()) + " rows, must have " +
         std::to_string(expected.size()) + "; first difference\n    found    " + (f == found.end() ? "-" : *f) +
         "\n    expected " + (e == expected.end() ? "-" : *e));
  }

  // Rows that are not results keep their record's key, which the generator took from k.
  void check_record_key(int32_t p, const std::string& topic, const Found& found, const Row& row) {
    const Cell& k = row[1].second;
    const auto* text = job_.bounded ? nullptr : std::get_if<std::string>(&k.value);
    if (text ? found.key != *text : found.key.has_value())
      fail(at(p) + topic + ": a row has another key than its record");
  }

  void check_passed(const std::string& topic) {
    for (int32_t p = 0; p < job_.partitions; ++p) {
      std::vector<std::string> texts;
      for (const Found& found : read(topic, p)) {
        const std::optional<Row> row = found.value ? parse_object(*found.value) : std::nullopt;
        if (!row) return fail(at(p) + topic + ": not a row");
        check_record_key(p, topic, found, *row);
        texts.push_back(to_text(*row));
      }
      compare_texts(p, topic, texts, expected_[p].passed);  // in the order of their records
    }
  }

  // The results have come through another step, each as often. (At least once, a run that dies may have written a row
  // to one topic alone, and the next one may commit elsewhere: then it never makes this late pane.)
  void check_again() {
    const auto all = [&](const std::string& topic, int32_t partitions) {
      std::vector<std::string> texts;
      for (int32_t p = 0; p < partitions; ++p) {
        for (const Found& found : read(topic, p)) texts.push_back(found.value.value_or("null"));
      }
      std::sort(texts.begin(), texts.end());
      return texts;
    };
    compare_texts(0, "again", all("again", job_.partitions), all("out", job_.out_partitions));
  }

  void check_dead(int32_t p) {
    std::map<int64_t, ExpectedDead> left = expected_[p].dead;
    std::map<int64_t, ExpectedDead> again;  // were there, and may come again
    const std::string topic = job_.dead_letter_topic();
    for (const Found& found : read(topic, p)) {
      const auto header = [&](const std::string& name) {
        for (const Header& h : found.headers) {
          if (h.first == name) return h.second;
        }
        return std::string("(none)");
      };
      const std::string offset = header("__streams.errors.offset");
      if (header("wl.job") != job_.name) fail(at(p) + topic + ": wl.job is " + header("wl.job"));
      if (header("__streams.errors.message").empty()) fail(at(p) + topic + ": a letter without a message");
      if (offset.empty() && header("wl.reason") != "overflow") {  // of a bounded input: the row as JSON
        const std::optional<Row> row = found.value ? parse_object(*found.value) : std::nullopt;
        const std::string text = row ? to_text(*row) : "(not a row)";
        const auto wanted = std::find_if(left.begin(), left.end(), [&](const auto& entry) {
          return entry.second.reason == header("wl.reason") && entry.second.step == header("wl.step") &&
                 to_text(row_of(*entry.second.record)) == text;
        });
        if (wanted == left.end() && job_.at_least_once) continue;  // again
        if (wanted == left.end())
          fail(at(p) + topic + ": a letter that must not be there (or twice), reason " + header("wl.reason") + ": " +
               text);
        else
          left.erase(wanted);
        continue;
      }
      if (offset.empty()) {
        ++dead_panes_[p];
        if (header("wl.reason") != "overflow" || header("wl.step") != "window")
          fail(at(p) + topic + ": a letter without a record, reason " + header("wl.reason"));
        continue;
      }
      const int64_t number = std::strtoll(offset.c_str(), nullptr, 10);
      if (const auto repeated = again.find(number); repeated != again.end()) left.insert(*repeated);
      const auto wanted = left.find(number);
      if (wanted == left.end()) {
        fail(at(p) + topic + ": a letter that must not be there (or twice), offset " + offset + ", reason " +
             header("wl.reason"));
        continue;
      }
      const InputRecord& record = *wanted->second.record;
      const std::string which = at(p) + topic + ": the letter of offset " + offset;
      if (header("wl.reason") != wanted->second.reason || header("wl.step") != wanted->second.step) {
        fail(which + " says " + header("wl.step") + " " + header("wl.reason") + ", must say " + wanted->second.step +
             " " + wanted->second.reason + ": " + record.value.value_or("null"));
      }
      if (header("__streams.errors.topic") != job_.topic || header("__streams.errors.partition") != std::to_string(p))
        fail(which + " names another place");
      if (found.key != record.record_key || found.value != record.value)
        fail(which + " has other bytes than the record");
      if (found.timestamp != record.log_timestamp) fail(which + " has another timestamp than the record");
      if (found.headers.size() != record.headers.size() + 8 ||
          !std::equal(record.headers.begin(), record.headers.end(), found.headers.begin())) {
        fail(which + " has other headers than the record");
      }
      if (job_.at_least_once) again[wanted->first] = wanted->second;
      left.erase(wanted);
    }
    if (!left.empty()) {
      fail(at(p) + topic + ": " + std::to_string(left.size()) + " letters are missing, the first of offset " +
           std::to_string(left.begin()->first) + ", reason " + left.begin()->second.reason);
    }
    const int64_t panes = expected_[p].dead_panes;
    const bool free = job_.window && job_.window->coalesces();
    if (!job_.at_least_once && (dead_panes_[p] > panes || (!free && dead_panes_[p] != panes))) {
      fail(at(p) + topic + ": " + std::to_string(dead_panes_[p]) + " dead panes, must be " + std::to_string(panes));
    }
  }

  void check_results(const std::string& topic, int32_t partitions) {
    std::map<WindowName, std::pair<int32_t, const std::vector<ExpectedPane>*>> expected;
    for (int32_t p = 0; p < job_.partitions; ++p) {
      for (const auto& [name, panes] : expected_[p].windows) expected[name] = {p, &panes};
    }
    std::map<WindowName, std::vector<int64_t>> revisions;
    std::map<std::string, int32_t> partition_of_key;
    std::map<std::string, std::tuple<int64_t, Millis, Millis>> last_on_time;
    const WindowSpec& window = job_.window->spec;
    const bool counted = window.as<CountWindow>() != nullptr;
    const bool global = window.as<GlobalWindow>() != nullptr;
    for (int32_t p = 0; p < partitions; ++p) {
      for (const Found& found : read(topic, p)) {
        const std::optional<Row> parsed = found.value ? parse_object(*found.value) : std::nullopt;
        const size_t keys = window.key_columns.size();
        const size_t own = keys + (counted ? 3 : 2);  // columns before the revision
        if (!parsed || parsed->size() != own + 2 + window.aggregates.size())
          return fail(at(p) + topic + ": not a result: " + found.value.value_or("null"));
        const Row& row = *parsed;
        const auto whole = [&](size_t column, const char* name) -> int64_t {
          if (row[column].first != name || !std::holds_alternative<int64_t>(row[column].second.value)) {
            fail(at(p) + topic + ": column " + row[column].first + " where " + name + " must be");
            return 0;
          }
          return std::get<int64_t>(row[column].second.value);
        };
        WindowName name;
        Cells key;
        for (size_t k = 0; k < keys; ++k) {
          if (row[k].first != window.key_columns[k]) fail(at(p) + topic + ": key columns in another order");
          key.push_back(row[k].second);
        }
        name.key = to_text(Cell(key));
        for (size_t column = keys; column < own; ++column) key.push_back(row[column].second);
        Millis start = 0;
        Millis end = 0;
        if (global) {
          if (!row[keys].second.is_null() || !row[keys + 1].second.is_null())
            fail(at(p) + topic + ": a global window with bounds: " + to_text(row));
        } else {
          start = whole(keys, "window_start");
          end = whole(keys + 1, "window_end");
        }
        if (counted) {
          name.number = whole(keys + 2, "window_number");
        } else {
          name.start = start;
          name.end = end;
        }
        const int64_t revision = whole(own, "revision");
        const std::string text = to_text(row);
        const std::optional<Cells> record_key = found.key ? parse_array(*found.key) : std::nullopt;
        if (!record_key || to_text(Cell(*record_key)) != to_text(Cell(key)))
          fail(at(p) + topic + ": the record key of " + text + " is " + found.key.value_or("null"));
        if (partition_of_key.emplace(name.key, p).first->second != p)
          fail(topic + ": the key " + name.key + " is in two partitions");

        const auto wanted = expected.find(name);
        if (wanted == expected.end()) {
          fail(topic + ": a window that must not be there: " + text);
          continue;
        }
        if (topic == "out") ++rows_of_[wanted->second.first];
        const std::vector<ExpectedPane>& panes = *wanted->second.second;
        std::vector<int64_t>& seen = revisions[name];
        if (!seen.empty() && revision <= seen.back() && !job_.at_least_once)
          fail(topic + ": revision " + std::to_string(revision) + " comes after " + std::to_string(seen.back()) + ": " +
               text);
        seen.push_back(revision);
        const auto of_revision =
            std::find_if(panes.begin(), panes.end(), [&](const ExpectedPane& one) { return one.revision == revision; });
        if (of_revision == panes.end() || of_revision->dead) {
          fail(topic + ": a revision that must not be there: " + text);
          continue;
        }
        const ExpectedPane& pane = *of_revision;
        bool equal = row[own + 1].first == "pane" && to_text(row[own + 1].second) == quoted(pane.pane);
        equal = equal && (global || (start == pane.start && end == pane.end));
        std::string should;
        for (size_t a = 0; a < window.aggregates.size(); ++a) {
          const auto& [column, cell] = row[own + 2 + a];
          equal = equal && column == window.aggregates[a].name && same(window.aggregates[a], pane.aggregates[a], cell);
          should += " " + window.aggregates[a].name + "=" + to_text(pane.aggregates[a]);
        }
        if (!equal)
          fail(topic + ": " + text + "\n    must be " + std::to_string(pane.start) + " to " + std::to_string(pane.end) +
               " " + pane.pane + should);
        if (pane.pane == "on_time" && !counted && !global && !job_.at_least_once) {
          const std::tuple<int64_t, Millis, Millis> place{pane.fired_at, name.end, name.start};
          if (const auto before = last_on_time.find(name.key); before != last_on_time.end() && place < before->second) {
            fail(topic + ": of one key, panes come in another order than (end, start): " + text);
          }
          last_on_time[name.key] = place;
        }
      }
    }
    for (const auto& [name, from] : expected) {
      const std::vector<ExpectedPane>& panes = *from.second;
      const std::vector<int64_t>& seen = revisions[name];
      for (const ExpectedPane& pane : panes) {
        const bool must = !job_.window->coalesces() || pane.pane != "late" || &pane == &panes.back();
        if (!must || pane.dead || std::find(seen.begin(), seen.end(), pane.revision) != seen.end()) continue;
        fail(topic + ": missing: revision " + std::to_string(pane.revision) + " (" + pane.pane + ") of key " +
             name.key + ", window " + std::to_string(name.start) + " to " + std::to_string(name.end));
      }
    }
  }

  // Of each key all rows, in event-time order.
  void check_rolled() {
    const WindowSpec& window = job_.window->spec;
    std::map<std::string, std::vector<Row>> found_of;
    for (int32_t p = 0; p < job_.out_partitions; ++p) {
      for (const Found& found : read("out", p)) {
        const std::optional<Row> row = found.value ? parse_object(*found.value) : std::nullopt;
        if (!row || row->size() != 7 + window.aggregates.size())
          return fail(at(p) + "out: not a result: " + found.value.value_or("null"));
        Cells key;
        for (const std::string& name : window.key_columns) {
          key.push_back(
              std::find_if(row->begin(), row->end(), [&](const auto& column) { return column.first == name; })->second);
        }
        found_of[to_text(Cell(key))].push_back(*row);
      }
    }
    for (int32_t p = 0; p < job_.partitions; ++p) {
      for (const auto& [key, all] : expected_[p].rolled) {
        const std::vector<Row> rows = std::exchange(found_of[key], {});
        size_t next = 0;
        for (const ExpectedRow& wanted : all) {
          if (wanted.dead) continue;
          const auto equal = [&](const Row& row) {
            bool same_row = to_text(Row(row.begin(), row.begin() + 7)) == wanted.own;
            for (size_t a = 0; a < window.aggregates.size(); ++a)
              same_row = same_row && same(window.aggregates[a], wanted.aggregates[a], row[7 + a].second);
            return same_row;
          };
          std::string should = wanted.own;
          for (const Cell& cell : wanted.aggregates) should += " " + to_text(cell);
          ++rows_of_[p];
          if (job_.at_least_once) {
            if (std::none_of(rows.begin(), rows.end(), equal)) fail("out: missing of key " + key + ": " + should);
          } else if (next == rows.size() || !equal(rows[next++])) {
            return fail("out: row " + std::to_string(next) + " of key " + key + " is " +
                        (next == 0 || next > rows.size() ? "missing" : to_text(rows[next - 1])) + "\n    must be " +
                        should);
          }
        }
        if (!job_.at_least_once && next != rows.size()) fail("out: a row too many: " + to_text(rows[next]));
      }
    }
    for (const auto& [key, rows] : found_of) {
      if (!rows.empty()) fail("out: a key that must not be there: " + to_text(rows.front()));
    }
  }

  const JobSpec& job_;
  const Input& input_;
  const Journal& journal_;
  Log& log_;
  std::map<int32_t, Expected> expected_;
  std::map<int32_t, int64_t> rows_of_;
  std::map<int32_t, int64_t> dead_panes_;
  std::vector<std::string> failures_;
};

}  // namespace

std::vector<std::string> check(const JobSpec& job, const Input& input, const Journal& journal, Log& log) {
  return Checker(job, input, journal, log).run();
}

}  // namespace wrackline::simulation
