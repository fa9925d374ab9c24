"""Results in pieces, in DuckDB, and in notebooks."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import wrackline as wl

ROWS: list[dict[str, Any]] = [{"k": f"k{i % 3}", "v": i if i % 4 else None, "ts": i * 1_000} for i in range(1_000)]
SCHEMA = {"k": str, "v": int | None, "ts": int}


def result_of(rows: list[dict[str, Any]] = ROWS, schema: Any = SCHEMA) -> wl.Result:
    return wl.Job("all").read(wl.from_records(rows, schema), time="ts").collect()


# ---- pieces ----


@pytest.mark.parametrize("without", ["wrackline.frames_pyarrow", "wrackline.frames_polars"])
def test_batches_are_the_same_rows(without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, without, None)
    result = result_of()
    pieces = list(result.batches(300))
    assert [len(piece) for piece in pieces] == [300, 300, 300, 100]
    assert [row for piece in pieces for row in piece.rows()] == ROWS
    assert all(piece.schema == result.schema for piece in pieces)
    assert pl.concat([pl.DataFrame(piece) for piece in pieces]).to_dicts() == ROWS
    assert pa.concat_tables([piece.to_arrow() for piece in pieces]).to_pylist() == ROWS


def test_batches_of_every_type() -> None:
    big = 2**63 - 1
    rows = [
        {"ts": i, "v": big, "f": i / 4, "b": i % 2 == 0, "raw": bytes([i]), "at": datetime(2024, 1, i + 1, tzinfo=UTC)}
        for i in range(3)
    ]
    windows = wl.Job("w").read(wl.from_records(rows), time="ts").key_by("b", "raw", "at").window(wl.tumbling(10))
    result = windows.agg(total=wl.sum("v", wide=True), most=wl.max("f")).collect()
    assert [row for piece in result.batches(2) for row in piece.rows()] == result.rows()
    assert {row["total"] for row in result.rows()} == {big}


def test_batches_of_nothing() -> None:
    empty = result_of([])
    assert list(empty.batches()) == []
    for wrong in (0, -1, True, 2.5):
        with pytest.raises(wl.InvalidArgumentError, match="batches: rows must be"):
            empty.batches(wrong)  # type: ignore[arg-type]


# ---- DuckDB ----


def test_duckdb_reads_a_result_by_its_name() -> None:
    result = result_of()
    assert len(result) == len(ROWS)
    got = duckdb.connect().execute("select k, count(*) n, sum(v) total from result group by k order by k").fetchall()
    expected = pl.DataFrame(ROWS).group_by("k").agg(n=pl.len(), total=pl.col("v").sum()).sort("k").rows()
    assert got == expected
    latest = duckdb.connect().execute("select max(ts) from result where v is null").fetchall()
    assert latest == [(max(row["ts"] for row in ROWS if row["v"] is None),)]


def test_duckdb_joins_windows_with_a_table() -> None:
    stream = wl.Job("w").read(wl.from_records(ROWS), time="ts").key_by("k").window(wl.tumbling("5m"))
    windows = stream.agg(n=wl.count()).collect()
    names = pl.DataFrame({"k": ["k0", "k1"], "name": ["zero", "one"]})
    got = (
        duckdb.connect()
        .execute("select name, sum(n) from windows join names using (k) group by name order by name")
        .fetchall()
    )
    assert len(windows) > 0
    assert got == [("one", 333), ("zero", 334)]
    assert names.height == 2


# ---- notebooks ----


class Cells(HTMLParser):
    """The texts of a page, and its rows of cells. What is left open at the end is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in {"div", "b", "table", "tr", "th", "td"}
        assert {name for name, _ in attributes} <= {"style"}
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def shown(thing: Any) -> Cells:
    page = thing._repr_html_()
    for outside in ("http", "src=", "url(", "<script", "color:#", "background"):
        assert outside not in page
    return Cells(page)


def test_a_result_as_a_page() -> None:
    page = shown(result_of())
    assert page.text[0] == "1,000 rows"
    assert page.text[-1] == "... 990 more"
    assert page.rows[0] == ["kstr", "vint | None", "tsint"]
    assert page.rows[1:] == [
        [row["k"], "null" if row["v"] is None else str(row["v"]), str(row["ts"])] for row in ROWS[:10]
    ]
    one = shown(result_of(ROWS[:1]))
    assert one.text[0] == "1 row"
    assert "more" not in one.text[-1]
    assert shown(result_of([])).rows == [["kstr", "vint | None", "tsint"]]


def test_what_is_in_the_data_stays_text() -> None:
    nasty = '<script>alert("1")</script>&amp;'
    page = shown(wl.Job("j").read(wl.from_records([{nasty: nasty, "ts": 1}]), time="ts").collect())
    assert page.rows == [[f"{nasty}str", "tsint"], [nasty, "1"]]


def test_bounded_rows_as_a_page() -> None:
    rows = wl.from_records(ROWS, SCHEMA)
    assert rows._repr_html_() == result_of()._repr_html_()


def test_ledger_result_and_stats_as_pages() -> None:
    job = wl.Job("j")
    windows = job.read(wl.from_records(ROWS), time="ts").filter("v", ">", 500).key_by("k").window(wl.tumbling("5m"))
    windows.agg(n=wl.count()).write("out")
    done = job.run()
    kept = sum(row["v"] is not None and row["v"] > 500 for row in ROWS)
    page = shown(done.ledger)
    assert page.text[0] == "Ledger: balances"
    header, *steps = page.rows
    assert header[:4] == ["step", "in", "out", "filtered"]
    assert {row[0]: row[1:4] for row in steps}["filter"] == ["1,000", str(kept), str(1_000 - kept)]
    run = shown(done)
    assert run.text[0] == f"1,000 records in this run, {done.stats.commits:,} commits"
    assert run.rows == page.rows
    stats = dict(shown(done.stats).rows)
    assert stats["rows taken"] == "1,000"
    for watermark, text in [(0, "1970-01-01T00:00:00.000Z"), (math.inf, "+inf"), (-math.inf, "-inf")]:
        assert dict(shown(wl.Stats(watermark=watermark)).rows)["watermark"] == text
    assert shown(wl.Ledger({})).text == ["Ledger: nothing yet"]
