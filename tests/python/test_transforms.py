"""Expressions and Python functions on a stream, against the same done by Polars on the whole frame."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.testing import Driver
from wrackline.transforms import SplitError, check_splits

T0 = 1_700_000_000_000
ROWS = [
    {
        "id": i,
        "k": "abc"[i % 3],
        "price": i / 2,
        "qty": i % 4,
        "note": None if i % 5 == 0 else f"n{i}",
        "ts": T0 + i * 1_000,
    }
    for i in range(50)
]
FRAME = pl.DataFrame(ROWS)


def stream() -> wl.Stream:
    return wl.Job("transforms").read(wl.from_records(ROWS), time="ts")


def rows_of(stream: wl.SideStream) -> pl.DataFrame:
    return stream.collect().to_polars()


EXPRESSIONS: list[pl.Expr] = [
    (pl.col("price") * pl.col("qty")).alias("x"),
    pl.col("k").str.to_uppercase().alias("x"),
    pl.when(pl.col("qty") > 1).then(pl.col("price")).otherwise(None).alias("x"),
    pl.col("note").fill_null("none").alias("x"),
    pl.col("price").cast(pl.Int64).alias("x"),
    pl.col("qty").is_in([1, 3]).alias("x"),
    pl.concat_str([pl.col("k"), pl.col("id").cast(pl.String)], separator="-").alias("x"),
    pl.lit(3).alias("x"),
    (pl.col("id", "qty") * 2).name.suffix("_x"),
    pl.col("id").map_elements(lambda value: hash((value, 1)) % 9, return_dtype=pl.Int64).alias("x"),
    pl.col("k").cast(pl.Categorical).alias("x"),
    pl.concat_list("id", "qty").alias("x"),
    pl.col("k", "note").str.len_chars().cast(pl.Int64),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_expressions_give_what_polars_gives(expression: pl.Expr) -> None:
    wanted = FRAME.with_columns(expression)
    if "x" in wanted.columns and wanted["x"].dtype == pl.Categorical:
        wanted = wanted.with_columns(pl.col("x").cast(pl.String))
    made = rows_of(stream().with_columns(expression))
    assert made.columns == wanted.columns
    assert made.rows() == wanted.rows()


def test_filter_by_expressions() -> None:
    made = rows_of(stream().filter(pl.col("price") > 3, pl.col("note").str.starts_with("n1")))
    assert made.rows() == FRAME.filter(pl.col("price") > 3, pl.col("note").str.starts_with("n1")).rows()


def test_select_rename_cast_drop() -> None:
    assert rows_of(stream().select("k", total=pl.col("price") * 2)).rows() == (
        FRAME.select("k", total=pl.col("price") * 2).rows()
    )
    changed = stream().rename({"k": "key"}).cast({"qty": pl.Float64}).drop("note", "ts")
    wanted = FRAME.rename({"k": "key"}).cast({"qty": pl.Float64}).drop("note", "ts")
    assert rows_of(changed).columns == wanted.columns
    assert rows_of(changed).rows() == wanted.rows()


NAMES = st.sampled_from(FRAME.columns)


@given(
    names=st.lists(NAMES, min_size=1, max_size=6, unique=True), others=st.lists(NAMES, max_size=4), adds=st.booleans()
)
def test_columns_by_name_are_those_that_polars_gives(names: list[str], others: list[str], adds: bool) -> None:
    again = {f"again_{number}": pl.col(name) for number, name in enumerate(others)}
    verb = "with_columns" if adds else "select"
    made = rows_of(getattr(stream(), verb)(*names, **again))
    wanted = getattr(FRAME, verb)(*names, **again)
    assert made.columns == wanted.columns
    assert made.rows() == wanted.rows()


def test_a_value_that_cannot_be_cast_is_one_dead_letter() -> None:
    job = wl.Job("cast")
    rows = wl.from_records([{"text": "1", "ts": 0}, {"text": "two", "ts": 1}, {"text": "3", "ts": 2}])
    cast = job.read(rows, time="ts").cast({"text": pl.Int64})
    assert rows_of(cast)["text"].to_list() == [1, 3]
    (dead,) = job.dead_letters.collect().rows()
    assert dead["reason"] == "function"
    assert dead["step"] == "cast"
    assert "two" in dead["message"]


def test_windows_over_made_columns() -> None:
    totals = (
        stream()
        .filter(pl.col("qty") > 0)
        .with_columns(total=pl.col("price") * pl.col("qty"))
        .key_by("k")
        .window(wl.tumbling("10s"))
        .agg(total=wl.sum("total"), n=wl.count())
    )
    shares = totals.with_columns(each=pl.col("total") / pl.col("n")).collect().to_polars()
    wanted = (
        FRAME.filter(pl.col("qty") > 0)
        .group_by("k", pl.col("ts") // 10_000)
        .agg((pl.col("price") * pl.col("qty")).sum().alias("total"), pl.len().alias("n"))
        .with_columns(each=pl.col("total") / pl.col("n"))
    )
    assert sorted(shares.select("k", "total", "n", "each").rows()) == (
        sorted(wanted.select("k", "total", "n", "each").rows())
    )


def test_enrich() -> None:
    cities = pl.DataFrame({"k": ["a", "b"], "city": ["Aix", "Bonn"], "qty": [10, 20]})
    made = rows_of(stream().enrich(cities, on="k"))
    wanted = FRAME.join(cities, on="k", how="left", maintain_order="left")
    assert made.columns == wanted.columns
    assert made.rows() == wanted.rows()


def test_map_passes_columns_by_the_names_of_its_parameters() -> None:
    made = rows_of(stream().map(lambda qty, price: price * qty, returns={"total": float}))
    assert made["total"].to_list() == [row["price"] * row["qty"] for row in ROWS]  # type: ignore[operator]

    def both(row: dict[str, Any]) -> dict[str, Any]:
        return {"low": row["k"].upper(), "high": None if row["id"] % 2 else row["id"]}

    made = rows_of(stream().map(both, returns={"low": str, "high": int | None}))
    assert made.select("low", "high").rows() == [
        (str(row["k"]).upper(), None if row["id"] % 2 else row["id"])  # type: ignore[operator]
        for row in ROWS
    ]

    def scaled(factor: float = 2.0, *, qty: int, unknown: int = 1) -> float:
        return factor * qty * unknown

    made = rows_of(stream().map(scaled, returns={"total": float}))
    assert made["total"].to_list() == [2.0 * row["qty"] for row in ROWS]  # type: ignore[operator]
    made = rows_of(stream().map(lambda id, ts: (id, ts), returns={"a": int, "b": datetime}))
    assert made["a"].to_list() == FRAME["id"].to_list()
    assert made["b"].dt.epoch("ms").to_list() == FRAME["ts"].to_list()


def test_flat_map_gives_any_number_of_rows() -> None:
    job = wl.Job("flat")
    made = job.read(wl.from_records(ROWS), time="ts").flat_map(lambda qty: range(qty), returns={"n": int})
    assert rows_of(made).select("id", "n").rows() == [
        (row["id"], n)
        for row in ROWS
        for n in range(row["qty"])  # type: ignore[arg-type]
    ]
    made.write("out")
    counts = job.run().ledger["flat_map"]
    assert (counts.in_, counts.out, counts.filtered) == (50, 37, 13)


def some_fail(id: int) -> float:
    return 1 / (id % 7)


def test_a_row_for_which_a_function_raises_is_a_dead_letter() -> None:
    job = wl.Job("raises")
    kept = job.read(wl.from_records(ROWS), time="ts").map(some_fail, returns={"x": float})
    assert rows_of(kept)["id"].to_list() == [i for i in range(50) if i % 7]
    dead = job.dead_letters.collect().rows()
    assert len(dead) == 8
    assert {row["step"] for row in dead} == {"map"}
    assert "ZeroDivisionError" in dead[0]["message"]
    assert "test_transforms.py, line" in dead[0]["message"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda id: "text", 'column "x": a str, but the column is float64'),
        (lambda id: None, 'column "x": no value, but the schema requires one'),
        (lambda id: object(), 'column "x": a object'),
        (lambda id: (1.0, 2.0), 'column "x": a tuple'),
    ],
)
def test_a_value_of_another_type_is_a_dead_letter(function: Callable[..., Any], said: str) -> None:
    job = wl.Job("types")
    job.read(wl.from_records(ROWS[:3]), time="ts").map(function, returns={"x": float}).write("out")
    dead = job.dead_letters.collect().rows()
    assert len(dead) == 3
    assert said in dead[0]["message"]


def test_on_error() -> None:
    skipping = stream().map(some_fail, returns={"x": float}, on_error="skip")
    assert len(skipping.collect()) == 42
    failing = stream().map(some_fail, returns={"x": float}, on_error="fail")
    with pytest.raises(wl.JobFailedError, match="step 'map': ZeroDivisionError") as failed:
        failing.collect()
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_map_batches_in_every_library() -> None:
    def polars(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(x=pl.col("price") * 2)

    def arrow(table: Any) -> Any:
        import pyarrow.compute as pc

        return table.append_column("x", pc.multiply(table["price"], 2))

    def pandas(frame: Any) -> Any:
        return frame.assign(x=frame["price"] * 2)

    def numpy(columns: Any) -> Any:
        return {"id": columns["id"], "x": columns["price"] * 2}

    wanted = FRAME["price"] * 2
    for made in (
        stream().map_batches(polars),
        stream().map_batches(arrow, frame="pyarrow", returns={"x": float}),
        stream().map_batches(pandas, frame="pandas", returns={"id": int, "x": float}),
        stream().map_batches(numpy, frame="numpy", returns={"id": int, "x": float}),
    ):
        assert rows_of(made)["x"].to_list() == wanted.to_list()


def test_a_batch_that_fails_is_halved_until_its_rows_are_known() -> None:
    def picky(frame: pl.DataFrame) -> pl.DataFrame:
        if frame["id"].is_in([7, 31]).any():
            raise ValueError("no sevens")
        return frame

    job = wl.Job("picky")
    kept = job.read(wl.from_records(ROWS), time="ts").map_batches(picky)
    assert rows_of(kept)["id"].to_list() == [i for i in range(50) if i not in (7, 31)]
    assert [row["message"].partition(" (")[0] for row in job.dead_letters.collect().rows()] == (
        ["ValueError: no sevens"] * 2
    )


def test_a_batch_of_another_shape_ends_the_run() -> None:
    with pytest.raises(wl.JobFailedError, match="10 rows for 50 rows: as many as it was given are needed"):
        stream().map_batches(lambda frame: frame.head(10)).collect()
    with pytest.raises(wl.JobFailedError, match='column "id" is string, but the schema says int64'):
        stream().map_batches(
            lambda frame: frame.with_columns(pl.col("id").cast(pl.String)), returns={"id": int}
        ).collect()
    with pytest.raises(wl.JobFailedError, match="a dict has no Arrow interface"):
        stream().map_batches(lambda frame: {}, returns={"id": int}).collect()


def test_an_interrupt_in_a_function_ends_the_run_as_itself() -> None:
    def interrupt(id: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream().map(interrupt, returns={"x": int}).collect()


def test_a_function_that_looks_at_its_neighbours_is_found_by_cutting() -> None:
    running = stream().map_batches(lambda frame: frame.with_columns(pl.col("qty").cum_sum()))
    fine = stream().map_batches(lambda frame: frame.with_columns(pl.col("qty") + 1))
    with check_splits(random.Random(7)):
        with pytest.raises(SplitError, match="other rows when they are cut"):
            running.collect()
        assert len(fine.collect()) == 50
    assert len(running.collect()) == 50


def test_the_driver_cuts_batches() -> None:
    def driver(function: Callable[[pl.DataFrame], pl.DataFrame]) -> Driver:
        job = wl.Job("driver")
        rows = wl.from_records([], schema={"id": int, "qty": int, "ts": int})
        job.read(rows, time="ts", out_of_orderness=0).map_batches(function)
        return Driver(job)

    fed = [{"id": i, "qty": i, "ts": T0 + i} for i in range(20)]
    driver(lambda frame: frame.with_columns(pl.col("qty") + 1)).feed(fed)
    with pytest.raises(SplitError):
        driver(lambda frame: frame.with_columns(pl.col("qty").cum_sum())).feed(fed)


@settings(max_examples=60, deadline=None)
@given(
    expression=st.sampled_from(EXPRESSIONS),
    cuts=st.lists(st.integers(1, 49), max_size=6, unique=True),
    predicate=st.sampled_from([pl.col("qty") > 1, pl.col("note").is_null(), pl.col("price") < 7, pl.lit(True)]),
)
def test_any_cut_gives_the_same_rows(expression: pl.Expr, cuts: list[int], predicate: pl.Expr) -> None:
    log = wl.Log("memory:")
    log.create("in")
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 50], strict=True):
        log.append("in", ROWS[begin:end])
    schema = {"id": int, "k": str, "price": float, "qty": int, "note": str | None, "ts": int}
    job = wl.Job("cuts", log=log)
    read = job.read("in", schema, time="ts", out_of_orderness=0)
    on_topic = read.filter(predicate).with_columns(expression).collect(until="now").to_polars()
    at_once = rows_of(stream().filter(predicate).with_columns(expression))
    assert on_topic.rows() == at_once.rows()


def test_kills_between_commits_do_not_change_what_functions_give(tmp_path: Any) -> None:
    random.seed(3)
    log = wl.Log(f"local:{tmp_path / 'log'}")
    log.create("in")
    log.append("in", ROWS)

    def job() -> wl.Job:
        made = wl.Job("twice", log=log, state_dir=str(tmp_path / "state"))
        (
            made.read("in", {"id": int, "k": str, "price": float, "ts": int}, time="ts", out_of_orderness=0)
            .map(lambda price: price * 2, returns={"twice": float})
            .filter(pl.col("twice") > 10)
            .key_by("k")
            .window(wl.tumbling("10s"))
            .agg(total=wl.sum("twice"))
            .write("out")
        )
        return made

    for rows in (7, 20, 9):
        job().run(until="now", rows=rows)
    job().run(until="now", close=True)
    got = log.read("out").to_polars().select("k", "total").rows()
    wanted = (
        FRAME.with_columns(twice=pl.col("price") * 2)
        .filter(pl.col("twice") > 10)
        .group_by("k", pl.col("ts") // 10_000)
        .agg(pl.col("twice").sum())
    )
    assert sorted(got) == sorted(wanted.select("k", "twice").rows())
    log.close()


def test_collect_calls_nothing_but_what_its_rows_come_through() -> None:
    called: list[int] = []
    rows = wl.from_records([{"v": i, "ts": i} for i in range(50)])
    read = wl.Job("copy").read(rows, time="ts")

    def called_with(v: int) -> int:
        called.append(v)
        return v

    mapped = read.map(called_with, returns={"x": int})
    even = read.filter(pl.col("v") % 2 == 0)
    assert len(even.collect()) == 25
    assert called == []
    assert len(mapped.collect()) == 50
    assert sorted(called) == list(range(50))


def test_a_functions_code_is_part_of_the_job() -> None:
    def plan(function: Any) -> int:
        job = wl.Job("code")
        job.read(wl.from_records([{"v": 1, "ts": 1}]), time="ts").map(function, returns={"x": int}).write("out")
        return int(job._finished_plan().hash())

    plus_one, one_more = (lambda v: v + 1), (lambda v: v + 1)
    assert plan(plus_one) == plan(one_more)
    assert plan(plus_one) != plan(lambda v: v + 2)
    assert plan(lambda v: v in {1, "a", None}) == plan(lambda v: v in {1, "a", None})
    assert plan(lambda v: [x + 1 for x in v]) != plan(lambda v: [x + 2 for x in v])


def test_expressions_give_the_same_bits_however_batches_are_cut() -> None:
    chance = random.Random(7)
    values = [chance.uniform(-1e6, 1e6) for _ in range(500)]
    answers = []
    for cut in (1, 2, 500):
        job = wl.Job("cut")
        read = job.read(wl.from_records([], schema={"v": float, "ts": int}), time="ts", out_of_orderness=0)
        read.with_columns(third=pl.col("v") / 3, half=(pl.col("v") - 0.1) / 7.7)
        driver = Driver(job)
        for begin in range(0, len(values), cut):
            driver.feed([{"v": value, "ts": 0} for value in values[begin : begin + cut]])
        answers.append([(row["third"], row["half"]) for row in driver.results()])
    assert answers[0] == answers[1] == answers[2]
