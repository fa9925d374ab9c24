"""Aggregates of users: they give what the built-in ones and Polars give, in the same bits however a stream is cut."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.testing import Driver

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "k": st.sampled_from(["a", "b", "c"]),
            "ts": st.integers(-300, 300),
            "x": st.none() | st.floats(-1e6, 1e6),
            "s": st.none() | st.sampled_from(["", "a", "b", "longer than sixteen bytes"]),
            "at": st.integers(0, 10**12),
        }
    ),
    min_size=1,
    max_size=80,
)
SCHEMA: dict[str, Any] = {"k": str, "ts": int, "x": float | None, "s": str | None, "at": int}


class Moments(wl.Aggregator):
    """Sum and count, with Polars."""

    def init(self) -> Any:
        return {"total": 0.0, "n": 0}

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> pl.DataFrame:
        assert group.to_list() == sorted(group.to_list())
        assert set(group.to_list()) == set(range(len(states)))
        more = rows.group_by(group, maintain_order=True).agg(total=pl.col("x").sum(), n=pl.col("x").count())
        return states.select(pl.col("total") + more["total"], pl.col("n") + more["n"])

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        return states + later

    def finish(self, states: pl.DataFrame) -> Any:
        return states.select(pl.when(pl.col("n") > 0).then(pl.col("total") / pl.col("n")))


class Texts(wl.Aggregator):
    """All values in order and the longest, in a list and a string."""

    def init(self) -> pl.DataFrame:
        return pl.DataFrame({"all": [[]], "longest": [None]}, schema={"all": pl.List(pl.String), "longest": pl.String})

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> pl.DataFrame:
        lists = states["all"].to_list()
        longest = states["longest"].to_list()
        for number, text in zip(group, rows["s"], strict=True):
            lists[number].append(text)
            longest[number] = max([longest[number] or "", text or ""], key=len)
        return pl.DataFrame({"all": lists, "longest": longest}, schema=states.schema)

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        pairs = zip(states["longest"], later["longest"], strict=True)
        longest = [max([one or "", other or ""], key=len) for one, other in pairs]
        return pl.DataFrame({"all": states["all"].list.concat(later["all"]), "longest": longest}, schema=states.schema)

    def finish(self, states: pl.DataFrame) -> Any:
        return states["all"]


class Latest(wl.Aggregator):
    """The largest time, with NumPy."""

    def init(self) -> Any:
        return {"at": -1}

    def add(self, states: Any, rows: Any, group: Any) -> Any:
        at = states["at"].copy()
        np.maximum.at(at, group, rows["at"])
        return {"at": at}

    def merge(self, states: Any, later: Any) -> Any:
        return {"at": np.maximum(states["at"], later["at"])}

    def finish(self, states: Any) -> Any:
        return states["at"]


class Arrows(wl.Aggregator):
    """How many, with pyarrow."""

    def init(self) -> Any:
        return pa.table({"n": pa.array([0], pa.int64())})

    def add(self, states: Any, rows: Any, group: Any) -> Any:
        counts = np.bincount(group.to_numpy(), minlength=len(states))
        return pa.table({"n": pa.array(states.column("n").to_numpy() + counts)})

    def merge(self, states: Any, later: Any) -> Any:
        return pa.table({"n": pa.array(states.column("n").to_numpy() + later.column("n").to_numpy())})

    def finish(self, states: Any) -> Any:
        return states.select(["n"])


def aggregates() -> dict[str, wl.Aggregate]:
    return {
        "mean": wl.mean("x"),
        "my_mean": wl.aggregate(Moments(), "x"),
        "low_mean": wl.mean("x", where=pl.col("at") % 2 == 0),
        "my_low_mean": wl.aggregate(Moments(), "x", where=pl.col("at") % 2 == 0),
        "half": wl.sum(pl.col("x") / 2),
        "my_half_mean": wl.aggregate(Moments(), (pl.col("x") / 2).alias("x")),
        "texts": wl.aggregate(Texts(), "s"),
        "latest": wl.max("at"),
        "my_latest": wl.aggregate(Latest(), "at", frame="numpy"),
        "n": wl.count(),
        "my_n": wl.aggregate(Arrows(), "at", frame="pyarrow"),
    }


def value_of(record: wl.Record) -> dict[str, Any]:
    assert record.value is not None
    return cast(dict[str, Any], json.loads(record.value))


def close(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) <= 1e-9 * 1e6)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(rows=ROWS, size=st.integers(1, 300), lateness=st.integers(0, 100), data=st.data())
def test_they_give_what_built_in_ones_give_in_any_windows(
    rows: list[dict[str, Any]], size: int, lateness: int, data: st.DataObject
) -> None:
    slide = data.draw(st.integers(max(1, size // 5), size), label="slide")
    bound = data.draw(st.integers(0, 300) | st.just(1000), label="out of orderness")

    def run(cut: Callable[[int], int]) -> list[dict[str, Any]]:
        job = wl.Job("own")
        stream = job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=bound)
        window = wl.hopping(size, slide) if slide < size else wl.tumbling(size)
        stream.key_by("k").window(window, allowed_lateness=lateness).agg(**aggregates())
        driver = Driver(job)
        left = list(rows)
        while left:
            count = cut(len(left))
            driver.feed(left[:count])
            left = left[count:]
        driver.end()
        return driver.results(times="ms")

    got = run(lambda left: data.draw(st.integers(1, left), label="rows in a batch"))
    for row in got:
        assert close(row["mean"], row["my_mean"])
        assert close(row["low_mean"], row["my_low_mean"])
        assert row["latest"] == row["my_latest"]
        assert row["n"] == row["my_n"]
        assert len(row["texts"]) == row["n"]
        if row["my_half_mean"] is not None:
            assert close(row["mean"], 2 * row["my_half_mean"])
    # In the same bits.
    assert run(lambda left: left) == got
    if bound == 1000 and slide == size:  # nothing is late
        accepted: dict[tuple[str, int], list[str | None]] = {}
        for one in rows:
            accepted.setdefault((one["k"], one["ts"] // size * size), []).append(one["s"])
        assert {(row["k"], row["window_start"]): row["texts"] for row in got} == accepted


class Rounded(wl.Aggregator):
    """Adds up each call's rows before it adds them to the state: how rows are cut into calls shows in the last bits."""

    def init(self) -> Any:
        return {"total": 0.0}

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> pl.DataFrame:
        sums = np.bincount(group.to_numpy(), weights=rows["x"].to_numpy(), minlength=len(states))
        return states.select(pl.col("total") + pl.Series(sums))

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        return states + later

    def finish(self, states: pl.DataFrame) -> pl.Series:
        return states["total"]


class Thirds(Rounded):
    """Polars divides one row otherwise than several."""

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
        return states.select((pl.col("total") + later["total"]) / 3)

    def finish(self, states: pl.DataFrame) -> pl.Series:
        return states["total"] / 3


def test_a_key_that_is_alone_in_a_call_gets_the_same_bits() -> None:
    def run(keys: list[str]) -> dict[Any, float]:
        rows = [{"k": k, "x": i * 0.1, "ts": 10 * i} for i in range(600) for k in keys]
        stream = wl.Job("alone").read(wl.from_records(rows), time="ts")
        made = stream.key_by("k").window(wl.hopping(100, 50)).agg(x=wl.aggregate(Thirds(), "x"))
        return {row["window_start"]: row["x"] for row in made.collect().rows() if row["k"] == "a"}

    alone = run(["a"])
    assert len(alone) > 100
    assert run(["a", "b", "c"]) == alone


@pytest.mark.parametrize("size", [50_000, 10_000])
def test_neither_batches_nor_restarts_show_in_the_last_bit(tmp_path: Path, size: int) -> None:
    """A run that is stopped again and again, with checkpoints, gives the bits of one that was not."""
    random = np.random.default_rng(7)
    rows = [
        {"k": f"k{int(key)}", "x": float(x), "ts": i}
        for i, (key, x) in enumerate(zip(random.zipf(1.5, 60_000) % 50, random.normal(0, 1e9, 60_000), strict=True))
    ]
    schema = {"k": str, "x": float, "ts": int}

    def build(name: str) -> wl.Job:
        where = f"local:{tmp_path / name}"
        job = wl.Job("bits", log=where, state_dir=str(tmp_path / f"{name}-state"))
        stream = job.read("in", schema, time="ts", out_of_orderness=0, not_before=0)
        window = wl.tumbling(50_000) if size == 50_000 else wl.hopping(50_000, size)
        made = stream.key_by("k").window(window).agg(x=wl.aggregate(Rounded(), "x"), n=wl.count())
        made.write("out")
        return job

    def results(name: str) -> list[Any]:
        with wl.Log(f"local:{tmp_path / name}") as log:
            return sorted((one["k"], one["window_start"], one["n"], one["x"]) for one in map(value_of, log.read("out")))

    for name, pieces in (("whole", 1), ("pieces", 6)):
        with wl.Log(f"local:{tmp_path / name}") as log:
            log.create("in", partitions=1)
        for piece in range(pieces):
            with wl.Log(f"local:{tmp_path / name}") as log:
                log.append("in", rows[len(rows) * piece // pieces : len(rows) * (piece + 1) // pieces])
            build(name).run(until="now", close=piece == pieces - 1)
    whole = results("whole")
    assert len(whole) > 50
    assert results("pieces") == whole


class Failing(Moments):
    def __init__(self, method: str, make: Callable[[pl.DataFrame], Any]) -> None:
        self.method = method
        self.make = make

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> Any:
        return self.make(states) if self.method == "add" else super().add(states, rows, group)

    def merge(self, states: pl.DataFrame, later: pl.DataFrame) -> Any:
        return self.make(states) if self.method == "merge" else super().merge(states, later)

    def finish(self, states: pl.DataFrame) -> Any:
        return self.make(states) if self.method == "finish" else super().finish(states)


def _raise(states: pl.DataFrame) -> Any:
    raise ZeroDivisionError("of mine")


@pytest.mark.parametrize(
    ("method", "make", "message"),
    [
        ("add", _raise, "add: ZeroDivisionError: of mine"),
        ("merge", _raise, "merge: ZeroDivisionError: of mine"),
        ("finish", _raise, "finish: ZeroDivisionError: of mine"),
        ("add", lambda states: 3, "add() gives a frame with a row for each state, not 3"),
        ("add", lambda states: states.clear(), "add: it returned 0 rows for 2 states; it gives a row for each"),
        ("merge", lambda states: states.vstack(states), "merge: it returned 4 rows for 2 states"),
        ("add", lambda states: states.select("n"), "add: it returned no column 'total'"),
        ("add", lambda states: states.with_columns(total=pl.lit("a")), "total"),
        ("finish", lambda states: states, "finish() gives one column, not 2: total, n"),
        ("finish", lambda states: "text", "not 'text'"),
        ("finish", lambda states: pl.Series(["a"] * len(states)), "result"),
    ],
)
def test_a_failure_stops_the_job_and_says_whose_it_is(method: str, make: Any, message: str, tmp_path: Path) -> None:
    where = f"local:{tmp_path / 'log'}"

    def build(aggregator: Any) -> wl.Job:
        job = wl.Job("failing", log=where, state_dir=str(tmp_path / "state"))
        stream = job.read("in", {"x": float, "ts": int}, time="ts", out_of_orderness=0, not_before=0)
        mine = wl.aggregate(aggregator, "x", returns=float)
        stream.key_by().window(wl.hopping("2s", "1s"), name="sums").agg(mean=mine).write("out")
        return job

    with wl.Log(where) as log:
        log.create("in", partitions=1)
        log.append("in", [{"x": 1.0, "ts": 500}, {"x": 2.0, "ts": 1500}, {"x": 3.0, "ts": 9_000}])
    failing = Failing(method, make)
    failing.__class__.__qualname__ = "Moments"
    with pytest.raises(wl.JobFailedError) as caught:
        build(failing).run(until="now")
    assert "step 'sums'" in str(caught.value)
    assert message in str(caught.value)
    if make is _raise:
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    # Nothing is lost: with the mistake mended the job goes on where it was.
    build(Moments()).run(until="now", close=True)
    with wl.Log(where) as log:
        means = [value_of(record)["mean"] for record in log.read("out")]
    assert means == [1.0, 1.5, 2.0, 3.0, 3.0]


class NoMerge(wl.Aggregator):
    def init(self) -> Any:
        return {"n": 0}

    def add(self, states: pl.DataFrame, rows: pl.DataFrame, group: pl.Series) -> pl.DataFrame:
        return states + rows.group_by(group, maintain_order=True).len().select(n="len")

    def finish(self, states: pl.DataFrame) -> pl.Series:
        return states["n"]


def test_without_merge_windows_of_one_slice_do_and_may_have_late_panes() -> None:
    rows = [{"v": i, "ts": t} for i, t in enumerate([1, 2, 1500, 3])]
    stream = wl.Job("one-slice").read(wl.from_records([], {"v": int, "ts": int}), time="ts", out_of_orderness=0)
    stream.key_by().window(wl.tumbling("1s"), allowed_lateness="10s").agg(n=wl.aggregate(NoMerge(), "v"))
    driver = Driver(stream._job)
    driver.feed(rows)
    driver.end()
    assert [(row["window_start"], row["pane"], row["n"]) for row in driver.results(times="ms")] == [
        (0, "on_time", 2),
        (0, "late", 3),
        (1000, "on_time", 1),
    ]


@dataclasses.dataclass
class Scaled(NoMerge):
    by: int

    def init(self) -> Any:
        return {"n": self.by}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wl.aggregate(NoMerge(), "v"), "NoMerge has no merge(states, later), and a hopping window"),
        (lambda: wl.aggregate(NoMerge, "v"), "is a class, and an object of it is needed"),
        (lambda: wl.aggregate(cast(Any, 3), "v"), "3 has no init and no add and no finish"),
        (lambda: wl.aggregate(Moments()), "name the columns that it reads"),
        (lambda: wl.aggregate(Moments(), "vv"), "no column 'vv'"),
        (lambda: wl.aggregate(Moments(), "v", pl.col("v") + 1), "two of its columns are named 'v'"),
        (lambda: wl.aggregate(Moments(), "v", where=cast(Any, "v > 1")), "where is a Polars predicate"),
        (lambda: wl.aggregate(Moments(), "v", where=pl.col("v")), "predicate"),
        (lambda: wl.aggregate(Moments(), "v", frame=cast(Any, "pandas")), 'frame is "polars", "numpy" or "pyarrow"'),
        (lambda: wl.aggregate(Moments(), "v", returns=set), "returns="),
        (lambda: wl.aggregate(Failing("finish", _raise), "v"), "say the type of its results: returns=float"),
    ],
)
def test_mistakes_are_said_when_the_job_is_built(make: Any, message: str) -> None:
    rows = wl.from_records([{"v": 1, "ts": 0}])
    with pytest.raises(wl.InvalidJobError) as caught:
        wl.Job("mistakes").read(rows, time="ts").key_by().window(wl.hopping("2s", "1s")).agg(x=make())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (lambda: 3, "init() gives a dict"),
        (dict, "init() gives a dict"),
        (lambda: {"a": None}, "say which type"),
        (lambda: pl.DataFrame({"a": [1, 2]}), "init() gives one row, what every key starts with, not 2"),
        (lambda: {"a": {"b": 1}}, "no column type"),
    ],
)
def test_a_state_that_cannot_be_kept_is_refused(init: Callable[[], Any], message: str) -> None:
    own = NoMerge()
    own.init = init  # type: ignore[method-assign]
    with pytest.raises(wl.InvalidJobError) as caught:
        wl.aggregate(own, "v")
    assert message in str(caught.value)


def test_its_parameters_and_its_state_are_part_of_what_is_restored(tmp_path: Path) -> None:
    where = f"local:{tmp_path / 'log'}"

    def build(own: Any) -> wl.Job:
        job = wl.Job("changed", log=where, state_dir=str(tmp_path / "state"))
        stream = job.read("in", {"v": int, "ts": int}, time="ts", out_of_orderness="10s", not_before=0)
        stream.key_by().window(wl.tumbling("1s")).agg(x=wl.aggregate(own, "v")).write("out")
        return job

    with wl.Log(where) as log:
        log.create("in", partitions=1)
        log.append("in", [{"v": 1, "ts": 0}])
    build(Scaled(2)).run(until="now")
    build(Scaled(2)).run(until="now")
    with pytest.raises(wl.WracklineError, match=r"Scaled\(by=3\)"):
        build(Scaled(3)).run(until="now")
