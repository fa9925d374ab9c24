// Which windows there are, without a job.
#include "windows.h"

#include "bindings.h"
#include <pybind11/stl.h>

#include "wrackline/time/calendar.h"
#include "wrackline/time/timestamp.h"
#include "wrackline/time/zones.h"
#include "wrackline/window/slices/grid.h"

namespace wrackline::bindings {

WindowKind window_kind(const std::string& kind, const py::dict& of) {
  const auto millis = [&](const char* name) { return of[name].cast<Millis>(); };
  if (kind == "session") return SessionWindow{millis("gap")};
  if (kind == "rolling") return RollingWindow{millis("size")};
  if (kind == "count_window") return CountWindow{of["n"].cast<int64_t>()};
  if (kind == "global_window") return GlobalWindow{};
  if (kind == "calendar") {
    return CalendarWindow{static_cast<CalendarUnit>(of["unit"].cast<int>()), of["tz"].cast<std::string>(),
                          of["tz_column"].cast<std::string>(), millis("starts_at"), of["week_starts"].cast<int>()};
  }
  return FixedWindow{millis("size"), millis("slide"), millis("offset")};
}

namespace {

constexpr size_t kMostEdges = 1'000'000;

using Bounds = std::pair<Millis, Millis>;

void check_time(const char* name, Millis t) {
  if (!in_event_time_range(t)) {
    raise(Status::invalid(std::string(name) + ": " + std::to_string(t) + " ms lies outside the years 0001 to 9999"));
  }
}

CalendarEdges calendar_edges(const CalendarWindow& window) {
  return {zone(check(zone_index(window.zone))), {window.unit, window.starts_at, window.week_starts}};
}

// In the order of their starts.
std::vector<Bounds> windows_of(const std::string& kind, const py::dict& settings, Millis t) {
  check_time("t", t);
  const WindowKind window = window_kind(kind, settings);
  if (const auto* calendar = std::get_if<CalendarWindow>(&window)) {
    const CalendarSpan span = calendar_edges(*calendar).span_of(t);
    return {{span.start, span.end}};
  }
  WL_CHECK(std::holds_alternative<FixedWindow>(window));
  const Grid grid(window);
  const Span slice = grid.slice_of(t);
  std::vector<Bounds> found;
  for (Span span = grid.first_window(slice); span <= grid.last_window(slice); span = grid.next(span)) {
    found.emplace_back(span.start, span.end);
    if (!grid.overlaps()) break;
  }
  return found;
}

// Of windows that start or end at `from` or later, until `to`.
std::vector<Millis> edges(const std::string& kind, const py::dict& settings, Millis from, Millis to) {
  check_time("start", from);
  check_time("end", to);
  std::vector<Millis> found;
  const auto put = [&](Millis edge) {
    if (edge < from || edge > to || (!found.empty() && found.back() == edge)) return;
    if (found.size() == kMostEdges) raise(Status::invalid("more than a million edges: ask for a shorter range"));
    found.push_back(edge);
  };
  const WindowKind window = window_kind(kind, settings);
  if (const auto* calendar = std::get_if<CalendarWindow>(&window)) {
    CalendarEdges calendar_windows = calendar_edges(*calendar);
    for (Millis edge = calendar_windows.span_of(from).start; edge <= to; edge = calendar_windows.span_of(edge).end) {
      put(edge);
    }
    return found;
  }
  // Windows of one length: starts and ends, each of which comes once every slide.
  WL_CHECK(std::holds_alternative<FixedWindow>(window));
  const FixedWindow& fixed = std::get<FixedWindow>(window);
  Millis start = floor_div(from - fixed.offset, fixed.slide) * fixed.slide + fixed.offset;
  Millis end = floor_div(from - fixed.offset - fixed.size, fixed.slide) * fixed.slide + fixed.offset + fixed.size;
  while (start <= to || end <= to) {
    Millis& next = start <= end ? start : end;
    put(next);
    next += fixed.slide;
  }
  return found;
}

}  // namespace

void register_windows(py::module_& m) {
  m.def("windows_of", &windows_of, py::arg("kind"), py::arg("settings"), py::arg("t"));
  m.def("edges", &edges, py::arg("kind"), py::arg("settings"), py::arg("start"), py::arg("end"));
  m.def("zone_names", &zone_names);
  m.def("check_zone", [](const std::string& name) { check(zone_index(name).status()); }, py::arg("name"));
  m.def(
      "zone_offset",
      [](const std::string& name, Millis t) { return zone(check(zone_index(name))).stretch_at(t).offset; },
      py::arg("name"), py::arg("t"));
  m.def(
      "zone_file",
      [](const std::string& name) {
        const std::string_view file = zone_file(check(zone_index(name)));
        return py::bytes(file.data(), file.size());
      },
      py::arg("name"));
  m.attr("TZ_VERSION") = py::str(std::string(tz_version()));
}

}  // namespace wrackline::bindings
