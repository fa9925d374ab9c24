// Zone: what a place's clock shows, from a TZif file (RFC 9636) with its footer rule for the times after it.
//
// A clock runs in stretches, each with one offset from UTC; between them it jumps. "Local" times are what the clock
// shows, as milliseconds: 1970-01-01T00:00 on the clock is 0. Good for every instant of years 0001 to 9999 and what
// lies a window beyond.
#pragma once

#include <string_view>
#include <vector>

#include "wrackline/core/status.h"
#include "wrackline/core/types.h"

namespace wrackline {

class Zone {
 public:
  // In [start, end) the clock shows an instant's time plus offset.
  struct Stretch {
    Millis start = kMinusInfinity;
    Millis end = kPlusInfinity;
    Millis offset = 0;
  };

  // UTC.
  Zone();
  // Fails with kCorruption.
  static Result<Zone> parse(std::string_view tzif);

  Stretch stretch_at(Millis t) const;

  // The latest time that the clock has shown up to and at `t`: after it was put back, one of before.
  Millis latest_shown(Millis t) const;

  // The first instant at which the clock shows `local` or later: after a gap its end, of a repeated time the first.
  Millis first_showing(Millis local) const;

 private:
  struct Piece {
    Millis start;
    Millis offset;
    Millis shown;  // the clock shows only times before it until the piece ends; never falls from piece to piece
  };

  Zone(std::vector<Piece> pieces, Millis cycle_start);
  size_t piece_at(Millis t) const;
  Millis cycles(Millis t) const;

  std::vector<Piece> pieces_;
  // From here on everything comes again after 400 years, which pieces_ hold once; +infinity: the last piece does not
  // end.
  Millis cycle_start_ = kPlusInfinity;
};

}  // namespace wrackline
