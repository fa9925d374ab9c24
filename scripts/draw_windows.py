"""Draws the pictures of docs/windows.md: what is drawn comes from wl.windows_of, wl.edges and jobs that are run.

    python scripts/draw_windows.py           writes docs/pictures/*.svg
    python scripts/draw_windows.py --check   says which of them are not what would be written, and exits with 1

Plain SVG, the same bytes each time. Colours follow the reader's light or dark mode; each picture brings its background.
"""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.sax.saxutils import escape

import wrackline as wl
from wrackline.testing import Driver

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WIDTH, LEFT, RIGHT = 760, 28, 28
MINUTE = dt.timedelta(minutes=1)
NOON = dt.datetime(2026, 3, 5, 12, tzinfo=dt.UTC)

# name, light, dark
COLOURS = [
    ("card", "#ffffff", "#0d1117"),
    ("frame", "#d8dee6", "#30363d"),
    ("ink", "#1f2937", "#e6edf3"),
    ("dim", "#667085", "#9aa4b2"),
    ("rule", "#c3cbd6", "#3b4450"),
    ("a", "#2563eb", "#6ea8fe"),
    ("b", "#0d9488", "#4fd1c5"),
    ("c", "#c2410c", "#fb9a5c"),
    ("d", "#7c3aed", "#b79cf7"),
    ("late", "#dc2626", "#ff7b72"),
]
CYCLE = "abcd"


def style() -> str:
    def variables(column: int) -> str:
        return "".join(f"--{colour[0]}:{colour[column]};" for colour in COLOURS)

    lines = [
        f"svg{{{variables(1)}font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}}",
        f"@media (prefers-color-scheme:dark){{svg{{{variables(2)}}}}}",
        "text{font-size:13px;fill:var(--ink)}.small{font-size:11.5px}.dim{fill:var(--dim)}.code{font-family:ui-monospace,"
        "SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;font-weight:600}",
        ".card{fill:var(--card);stroke:var(--frame)}.paper{fill:var(--card)}.axis{stroke:var(--dim);fill:none}.rule{stroke:var(--rule);fill:none}",
        ".dash{stroke-dasharray:4 4}",
    ]
    lines += [
        f".{name}{{fill:var(--{name})}}.box-{name}{{fill:var(--{name});fill-opacity:.14;stroke:var(--{name});"
        f"stroke-width:1.4}}.line-{name}{{stroke:var(--{name});fill:none;stroke-width:2}}"
        for name in [*CYCLE, "late"]
    ]
    return "\n".join(lines)


class Picture:
    """`first` and `last` are the times at the left and the right end."""

    def __init__(self, title: str, height: int, first: dt.datetime, last: dt.datetime, left: int = LEFT) -> None:
        self.title, self.height, self.first, self.last, self.left = title, height, first, last, left
        self.parts: list[str] = []

    def x(self, t: dt.datetime) -> float:
        share = (t - self.first) / (self.last - self.first)
        return self.left + share * (WIDTH - self.left - RIGHT)

    def add(self, tag: str, text: str = "", /, **attributes: object) -> None:
        def written(value: object) -> str:
            return (
                f"{value:.2f}".rstrip("0").rstrip(".")
                if isinstance(value, float)
                else escape(str(value), {'"': "&quot;"})
            )

        names = {name.rstrip("_").replace("_", "-"): written(value) for name, value in attributes.items()}
        inside = "".join(f' {name}="{value}"' for name, value in names.items())
        self.parts.append(f"<{tag}{inside}>{escape(text)}</{tag}>" if text else f"<{tag}{inside}/>")

    def text(self, x: float, y: float, text: str, cls: str = "", anchor: str = "start") -> None:
        self.add("text", text, x=x, y=y, class_=cls, text_anchor=anchor)

    def heading(self, y: float, text: str) -> None:
        self.text(LEFT - 8, y, text, "code")

    def note(self, y: float, text: str) -> None:
        self.text(LEFT - 8, y, text, "small dim")

    def line(self, x1: float, y1: float, x2: float, y2: float, cls: str = "rule") -> None:
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=cls)

    def box(self, start: dt.datetime, end: dt.datetime, y: float, text: str, colour: str, cls: str = "") -> None:
        """A window: what lies beyond the picture is cut off. A narrow one has the last word of its text alone."""
        left, right = max(self.x(start), self.left - 14), min(self.x(end), WIDTH - RIGHT + 14)
        if right - left < 7 * len(text):
            text = text.rpartition(", ")[2]
        self.add("rect", x=left + 1, y=y, width=right - left - 2, height=26, rx=5, class_=f"box-{colour} {cls}".strip())
        self.text((left + right) / 2, y + 17.5, text, "small", "middle")

    def axis(self, y: float, times: Iterable[dt.datetime], label: Callable[[dt.datetime], str]) -> None:
        self.line(self.left - 14, y, WIDTH - RIGHT + 14, y, "axis")
        for t in times:
            self.line(self.x(t), y - 4, self.x(t), y + 4, "axis")
            self.text(self.x(t), y + 19, label(t), "small dim", "middle")

    def dot(self, t: dt.datetime, y: float, colour: str, radius: float = 5.5) -> None:
        self.add("circle", cx=self.x(t), cy=y, r=radius, class_=colour)

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" role="img">\n<title>{escape(self.title)}</title>\n<style>{style()}</style>\n'
            f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.height - 1}" rx="10"/>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"


def at(minutes: float) -> dt.datetime:
    return NOON + minutes * MINUTE


def clock(t: dt.datetime) -> str:
    return f"{t:%H:%M}"


def between(start: dt.datetime, end: dt.datetime) -> str:
    return f"{start:%H:%M} to {end:%H:%M}"


def ticks(first: dt.datetime, last: dt.datetime, step: dt.timedelta) -> list[dt.datetime]:
    return [first + n * step for n in range((last - first) // step + 1)]


def tumbling() -> Picture:
    window = wl.tumbling("5m")
    picture = Picture("Tumbling windows: side by side, each record in one", 150, at(0), at(20))
    picture.heading(30, repr(window))
    records = [at(m) for m in (0.7, 2.1, 3.6, 5.0, 8.4, 11.2, 12.0, 12.9, 14.3, 16.5, 18.8)]
    edges = wl.edges(window, at(0), at(20))
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        inside = [t for t in records if wl.windows_of(t, window) == [(start, end)]]
        colour = CYCLE[number % 4]
        picture.box(start, end, 78, f"{between(start, end)}, n={len(inside)}", colour)
        for t in inside:
            picture.dot(t, 58, colour)
    picture.axis(118, edges, clock)
    return picture


def hopping() -> Picture:
    window = wl.hopping("10m", "5m")
    picture = Picture("Hopping windows overlap: each record is in several", 230, at(0), at(20))
    picture.heading(30, repr(window))
    records = [at(m) for m in (0.7, 2.1, 3.6, 5.0, 7.3, 11.2, 12.0, 12.9, 14.3, 16.5, 18.8)]
    shown = at(7.3)
    spans = sorted({span for t in records for span in wl.windows_of(t, window)})
    for number, (start, end) in enumerate(spans):
        inside = [t for t in records if (start, end) in wl.windows_of(t, window)]
        picture.box(start, end, 82 + 34 * (number % 2), f"{between(start, end)}, n={len(inside)}", CYCLE[number % 4])
    for t in records:
        picture.dot(t, 58, "dim")
    count = len(wl.windows_of(shown, window))
    picture.line(picture.x(shown), 64, picture.x(shown), 142, "line-c dash")
    picture.dot(shown, 58, "c", 6.5)
    picture.text(picture.x(shown) + 10, 47, f"in {count} windows", "small")
    picture.axis(170, ticks(at(0), at(20), 5 * MINUTE), clock)
    picture.note(212, "A window starts every 5 minutes and lasts 10.")
    return picture


def session() -> Picture:
    window = wl.session("3m")
    picture = Picture("Sessions: records that are at most a gap apart", 236, at(0), at(24))
    picture.heading(30, repr(window))
    records = [at(m) for m in (1.0, 2.2, 4.6, 11.0, 14.0, 19.2)]
    spans = [wl.windows_of(t, window)[0] for t in records]
    merged: list[tuple[dt.datetime, dt.datetime, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], end, merged[-1][2] + 1)
        else:
            merged.append((start, end, 1))
    for t, (start, end) in zip(records, spans, strict=True):
        number = next(i for i, (first, last, _) in enumerate(merged) if first <= t <= last)
        y = 76 + 11 * (records.index(t) % 3)
        picture.line(picture.x(start), y, picture.x(end), y, f"line-{CYCLE[number]}")
        picture.line(picture.x(start), 62, picture.x(start), y, f"line-{CYCLE[number]}")
        picture.dot(t, 58, CYCLE[number])
    for number, (start, end, n) in enumerate(merged):
        picture.box(start, end, 116, f"{between(start, end)}, n={n}", CYCLE[number])
    picture.axis(160, ticks(at(0), at(24), 4 * MINUTE), clock)
    picture.note(
        200, "Each record covers 3 minutes from its own time, both ends included; what touches is one session."
    )
    picture.note(218, "The records of 12:11 and 12:14 are exactly one gap apart.")
    return picture


def calendar() -> Picture:
    utc = dt.UTC
    picture = Picture("Calendar days follow the clock of a zone, also where it changes", 434, NOON, NOON)
    window = wl.calendar("day", tz="Europe/Berlin")
    picture.heading(30, repr(window))
    y = 46
    for first in (dt.datetime(2026, 3, 27, 18, tzinfo=utc), dt.datetime(2026, 10, 23, 18, tzinfo=utc)):
        last = first + dt.timedelta(days=3, hours=8)
        picture.first, picture.last = first, last
        days = wl.edges(window, first - dt.timedelta(days=1), last + dt.timedelta(days=1))
        for start, end in itertools.pairwise(days):
            if end <= first or start >= last:
                continue
            hours = (end - start) // dt.timedelta(hours=1)
            whole = start >= first and end <= last
            colour = "c" if hours != 24 else "a"
            picture.box(start, end, y, f"{start:%a %-d %b}: {hours} h" if whole else "", colour)
        for start, end in (
            (day, day + dt.timedelta(days=1)) for day in wl.edges(wl.tumbling("1d"), first - dt.timedelta(days=1), last)
        ):
            if end <= first:
                continue
            whole = start >= first and end <= last
            picture.box(start, end, y + 34, "24 h" if whole else "", "b")
        picture.axis(
            y + 76,
            wl.edges(wl.tumbling("12h"), first, last),
            lambda t: f"{t:%-d %b %H:%M}" if t.hour == 0 else f"{t:%H:%M}",
        )
        y += 122
    picture.note(y - 2, 'Above: days in Berlin. Below: tumbling("1d"), always 24 hours of UTC. The axis is UTC.')
    hourly = wl.calendar("hour", tz="Europe/Berlin")
    picture.heading(y + 34, repr(hourly))
    picture.first, picture.last = dt.datetime(2026, 10, 24, 23, tzinfo=utc), dt.datetime(2026, 10, 25, 3, tzinfo=utc)
    edges = wl.edges(hourly, picture.first, picture.last)
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        repeated = any(other != start and f"{other:%H:%M}" == f"{start:%H:%M}" for other in edges)
        picture.box(start, end, y + 50, f"{start:%H:%M %z}"[:-2] + ":00", "c" if repeated else CYCLE[number % 2])
    picture.axis(y + 92, edges, lambda t: f"{t.astimezone(utc):%H:%M}")
    picture.height = y + 128
    return picture


def rolling() -> Picture:
    window = wl.rolling("5m")
    records = [at(m) for m in (1.0, 3.5, 5.2, 8.5, 10.0, 16.0, 17.5)]
    picture = Picture("Rolling windows: one for each record, looking back", 236, at(-5), at(20))
    picture.heading(30, repr(window))
    for number, t in enumerate(records):
        ((start, end),) = wl.windows_of(t, window)
        inside = sum(start < other <= end for other in records)
        colour = CYCLE[number % 4]
        y = 84 + 17 * (number % 5)
        picture.add(
            "rect",
            x=picture.x(start),
            y=y - 4,
            width=picture.x(end) - picture.x(start),
            height=8,
            rx=4,
            class_=f"box-{colour}",
        )
        picture.line(picture.x(end), 58, picture.x(end), y, f"line-{colour}")
        picture.dot(t, 58, colour)
        picture.text(picture.x(end) + 8, y + 4.5, f"n={inside}", "small")
    picture.axis(176, ticks(at(0), at(20), 5 * MINUTE), clock)
    picture.note(
        218, "For each record the records of its key in the 5 minutes before it, itself included: 7 records, 7 rows."
    )
    return picture


def counted() -> Picture:
    picture = Picture("Windows by number, and the one without bounds", 216, at(0), at(20))
    records = [at(m) for m in (0.8, 2.0, 4.4, 6.1, 6.9, 9.8, 12.2, 14.9)]
    read = wl.Job("pictures").read(wl.from_records([{"ts": t} for t in records]), time="ts")
    window = wl.count_window(3)
    picture.heading(30, repr(window))
    for number, row in enumerate(read.key_by().window(window).agg(n=wl.count()).collect()):
        colour = CYCLE[number % 4]
        start, end = row["window_start"], row["window_end"]
        for t in records:
            if start <= t < end:
                picture.dot(t, 58, colour)
        picture.box(
            start - 0.25 * MINUTE,
            end + 0.25 * MINUTE,
            76,
            f"{row['pane']}, n={row['n']}",
            colour,
            "" if row["n"] == 3 else "dash",
        )
    picture.text(LEFT - 8, 134, "global_window()", "code")
    picture.box(at(-5), at(25), 146, f"n={len(records)}", "d")
    picture.axis(190, ticks(at(0), at(20), 5 * MINUTE), clock)
    picture.height = 222
    return picture


def panes() -> Picture:
    """One key, one record after the other, through a job that is stepped by hand."""
    job = wl.Job("pictures")
    read = job.read(wl.from_records([], schema={"ts": int}), time="ts", unit="ms", out_of_orderness="1m")
    window, keep = wl.tumbling("5m"), 3 * MINUTE
    read.key_by().window(window, allowed_lateness=keep, early="2m", emit_late="each").agg(n=wl.count())
    driver = Driver(job)
    arrivals = [0.8, 2.4, 1.5, 3.6, 4.2, 6.5, 4.7, 7.4, 3.1, 9.4, 4.4, 11.6]
    top, step, left = 92, 40, 150
    bottom = top + step * len(arrivals)
    picture = Picture("What comes out of a window when", bottom + 88, at(0), at(15), left)
    code = 'window(tumbling("5m"), allowed_lateness="3m", early="2m"), out_of_orderness="1m"'
    picture.heading(30, code)
    edges = wl.edges(window, at(0), at(15))
    picture.line(left - 14, top - 18, WIDTH - RIGHT + 14, top - 18, "axis")
    for t in ticks(at(0), at(15), MINUTE):
        picture.line(picture.x(t), top - (24 if t in edges else 21), picture.x(t), top - 18, "axis")
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        picture.text(
            (picture.x(start) + picture.x(end)) / 2, top - 38, f"window {between(start, end)}", "small", "middle"
        )
        picture.add(
            "rect",
            x=picture.x(start),
            y=top - 17,
            width=picture.x(end) - picture.x(start),
            height=bottom - top + 16,
            class_=f"box-{CYCLE[number]}",
            style="stroke:none;fill-opacity:.07",
        )
    before: dt.datetime | None = None
    path: list[tuple[float, float]] = []
    chips: list[tuple[dt.datetime, float, str]] = []
    seen = late = 0
    for number, minutes in enumerate(arrivals):
        t, y = at(minutes), top + step * number + 6.0
        driver.feed([{"ts": int(t.timestamp() * 1000)}])
        after = dt.datetime.fromtimestamp(driver.watermark / 1000, dt.UTC)
        if before is None or after > before:
            if before is not None:
                path.append((picture.x(max(before, at(0))), y))
            path.append((picture.x(max(after, at(0))), y))
        before = after
        is_late = len(driver.all_late()) > late
        late = len(driver.all_late())
        (span,) = wl.windows_of(t, window)
        colour = "late" if is_late else CYCLE[edges.index(span.start)]
        picture.text(left - 22, y + 4, f"{t:%H:%M:%S}", "small dim", "end")
        if is_late:
            x = picture.x(t)
            picture.line(x - 5, y - 5, x + 5, y + 5, "line-late")
            picture.line(x - 5, y + 5, x + 5, y - 5, "line-late")
            row = driver.all_late()[-1]
            picture.text(x + 10, y + 4, f"late by {row['late_by_ms'] / 60_000:.1f} min", "small late")
        else:
            picture.dot(t, y, colour)
        for row in driver.results()[seen:]:
            chips.append((row["window_start"], y + 10, f"{row['pane']}, n={row['n']}"))
            seen += 1
    path.append((path[-1][0], bottom - 8))
    picture.add("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in path), class_="axis", stroke_width=2)
    x, y = path[10]
    picture.text(x + 7, y + 58, "watermark", "small dim")
    for start, y, text in chips:
        x = picture.x(start) + 8
        for cls in ("paper", f"box-{CYCLE[edges.index(start)]}"):
            picture.add("rect", x=x, y=y, width=104, height=20, rx=10, class_=cls)
        picture.text(x + 52, y + 14, text, "small", "middle")
    for start, end in itertools.pairwise(edges):
        picture.text(
            (picture.x(start) + picture.x(end)) / 2,
            bottom + 18,
            f"kept until W = {end + keep:%H:%M}",
            "small dim",
            "middle",
        )
    picture.text(left - 22, top - 38, "arrives", "small dim", "end")
    picture.note(
        bottom + 48,
        "Downwards: records in the order in which they arrive. To the right: event time. The line is the watermark W,",
    )
    picture.note(
        bottom + 66,
        "one minute behind the newest record. A label is a row that comes out there, a cross one that is too late.",
    )
    return picture


PICTURE_OF: dict[str, Callable[[], Picture]] = {
    "tumbling": tumbling,
    "hopping": hopping,
    "calendar": calendar,
    "session": session,
    "rolling": rolling,
    "count_and_global": counted,
    "panes": panes,
}


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    wrong = []
    for name, draw in PICTURE_OF.items():
        path, svg = PICTURES / f"{name}.svg", draw().svg()
        if not check:
            path.write_text(svg)
        elif not path.exists() or path.read_text() != svg:
            wrong.append(path.name)
    if wrong:
        print(f"not what is drawn now: {', '.join(wrong)}; run python scripts/draw_windows.py")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
