#include "wrackline/core/trace.h"

namespace wrackline {

std::string_view fate_name(Fate fate) {
  switch (fate) {
    case Fate::kAccepted: return "accepted";
    case Fate::kFiltered: return "filtered";
    case Fate::kDuplicate: return "duplicate";
    case Fate::kLate: return "late";
    case Fate::kDeadLettered: return "dead_lettered";
    case Fate::kSkipped: return "skipped";
  }
  return "unknown";
}

}  // namespace wrackline
