#include "wrackline/time/zone.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "wrackline/time/posix_rule.h"

namespace wrackline {
namespace {

constexpr Millis kSecond = 1'000;
constexpr Millis kCycle = 146'097LL * 86'400'000;  // 400 years: whole weeks, and the same leap years again
constexpr int kCycleYears = 400;

// From `start` on the clock has this offset.
struct Change {
  Millis start;
  Millis offset;
};

// Big-endian numbers from the front of a text; short texts give zeros and ok() false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  std::string_view rest() const { return rest_; }

  std::string_view take(size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  template <typename Number>
  Number number() {
    uint64_t value = 0;
    for (const char c : take(sizeof(Number))) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<Number>(value);
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct Header {
  bool good = false;
  uint32_t is_utc = 0, is_standard = 0, leaps = 0, times = 0, types = 0, letters = 0;

  static Header read(Reader& reader) {
    Header header;
    header.good = reader.take(4) == "TZif";
    const std::string_view version = reader.take(1);
    header.good = header.good && !version.empty() && version[0] >= '2';
    reader.take(15);
    for (uint32_t* count :
         {&header.is_utc, &header.is_standard, &header.leaps, &header.times, &header.types, &header.letters}) {
      *count = reader.number<uint32_t>();
    }
    return header;
  }

  size_t size(size_t time_size) const {
    return times * (time_size + 1) + types * size_t{6} + letters + leaps * (time_size + 4) + is_standard + is_utc;
  }
};

int year_of(Millis t) {
  using namespace std::chrono;
  return static_cast<int>(year_month_day(floor<days>(sys_time<milliseconds>(milliseconds(t)))).year());
}

Millis year_start(int year) {
  using namespace std::chrono;
  return milliseconds(sys_days(std::chrono::year(year) / January / 1).time_since_epoch()).count();
}

// The changes of a year that come after `after`. Where both are at one instant, summer time goes on.
void append_year(const PosixRule& rule, int year, Millis after, std::vector<Change>& changes) {
  const Change begins{rule.summer->begins.in(year) - rule.standard, rule.summer->offset};
  const Change ends{rule.summer->ends.in(year) - rule.summer->offset, rule.standard};
  const bool ends_first = ends.start <= begins.start;
  for (const Change& change : {ends_first ? ends : begins, ends_first ? begins : ends}) {
    if (change.start > after) changes.push_back(change);
  }
}

}  // namespace

Zone::Zone() : Zone({Piece{kMinusInfinity, 0, kPlusInfinity}}, kPlusInfinity) {}

Zone::Zone(std::vector<Piece> pieces, Millis cycle_start) : pieces_(std::move(pieces)), cycle_start_(cycle_start) {
  Millis shown = kMinusInfinity;
  for (size_t i = 0; i + 1 < pieces_.size(); ++i) {
    shown = std::max(shown, pieces_[i + 1].start + pieces_[i].offset);
    pieces_[i].shown = shown;
  }
  pieces_.back().shown = kPlusInfinity;
}

Result<Zone> Zone::parse(std::string_view tzif) {
  // The first part has 32-bit times, for readers of the last century.
  Reader reader(tzif);
  const Header old = Header::read(reader);
  reader.take(old.size(4));
  const Header header = Header::read(reader);
  if (!reader.ok() || !old.good || !header.good || header.types == 0 || header.leaps != 0) {
    return Status::corruption("no TZif file of version 2 or later without leap seconds");
  }

  Reader times(reader.take(header.times * size_t{8}));
  const std::string_view types = reader.take(header.times);
  Reader type_records(reader.take(header.types * size_t{6}));
  reader.take(header.size(8) - header.times * size_t{9} - header.types * size_t{6});
  const std::string_view footer = reader.rest();
  if (!reader.ok() || footer.size() < 2 || footer.front() != '\n' || footer.back() != '\n') {
    return Status::corruption("a TZif file that is cut off");
  }
  std::vector<Millis> offsets;
  for (uint32_t i = 0; i < header.types; ++i) {
    offsets.push_back(type_records.number<int32_t>() * kSecond);
    type_records.take(2);  // whether it is summer time, and its name
  }
  std::vector<Change> changes = {{kMinusInfinity, offsets[0]}};
  for (const char type : types) {
    const auto seconds = times.number<int64_t>();
    const size_t index = static_cast<unsigned char>(type);
    if (seconds < -kMaxDuration / kSecond || seconds > kMaxDuration / kSecond ||
        seconds * kSecond < changes.back().start || index >= offsets.size()) {
      return Status::corruption("a TZif file whose times make no sense");
    }
    changes.push_back({seconds * kSecond, offsets[index]});
  }

  Millis cycle_start = kPlusInfinity;
  if (footer.size() > 2) {
    const std::optional<PosixRule> rule = parse_posix_rule(footer.substr(1, footer.size() - 2));
    if (!rule) return Status::corruption("a TZif file with a rule that makes no sense");
    if (rule->summer) {
      const Millis last = changes.back().start;
      const int year = last == kMinusInfinity ? 1 : year_of(last);
      // A year on each side, so that what lies next to a time of the cycle is here, too.
      for (int y = year; y <= year + kCycleYears + 3; ++y) append_year(*rule, y, last, changes);
      cycle_start = year_start(year + 2);
    } else if (changes.size() == 1) {
      changes[0].offset = rule->standard;
    }
  }

  std::vector<Piece> pieces;
  for (const Change& change : changes) {
    if (!pieces.empty() && pieces.back().start == change.start) pieces.pop_back();
    if (pieces.empty() || pieces.back().offset != change.offset) pieces.push_back({change.start, change.offset, 0});
  }
  return Zone(std::move(pieces), cycle_start);
}

// How many cycles `t` lies after the first one.
Millis Zone::cycles(Millis t) const {
  return t < cycle_start_ || t - cycle_start_ < kCycle ? 0 : (t - cycle_start_) / kCycle;
}

size_t Zone::piece_at(Millis t) const {
  const auto after = std::ranges::upper_bound(pieces_, t, {}, &Piece::start);
  return static_cast<size_t>(after - pieces_.begin()) - 1;
}

Zone::Stretch Zone::stretch_at(Millis t) const {
  const Millis shift = cycles(t) * kCycle;
  const size_t i = piece_at(t - shift);
  const Millis end = i + 1 < pieces_.size() ? pieces_[i + 1].start + shift : kPlusInfinity;
  return {plus(pieces_[i].start, shift), end, pieces_[i].offset};
}

Millis Zone::latest_shown(Millis t) const {
  const Millis shift = cycles(t) * kCycle;
  const size_t i = piece_at(t - shift);
  const Millis shows = t - shift + pieces_[i].offset;
  return (i == 0 ? shows : std::max(shows, pieces_[i - 1].shown - 1)) + shift;
}

Millis Zone::first_showing(Millis local) const {
  const Millis shift = cycles(local) * kCycle;
  const auto piece = std::ranges::upper_bound(pieces_, local - shift, {}, &Piece::shown);
  return std::max(piece->start, local - shift - piece->offset) + shift;
}

}  // namespace wrackline
