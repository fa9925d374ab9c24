"""The aggregates beyond sums and extremes, judged by Polars over the same records in any windows and any batches."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrackline as wl
from wrackline.aggregates import Interpolation
from wrackline.testing import Driver

INTERPOLATIONS: list[Interpolation] = ["nearest", "lower", "higher", "midpoint", "linear", "equiprobable"]
FLOATS = st.none() | st.sampled_from([0.0, -0.0, 1.5, math.inf, -math.inf, math.nan]) | st.floats(-1e6, 1e6)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "k": st.sampled_from(["a", "b"]),
            "ts": st.integers(-300, 300),
            "x": FLOATS,
            "n": st.none() | st.integers(-5, 5) | st.integers(-(2**62), 2**62),
            "s": st.none() | st.sampled_from(["", "a", "b", "ä", "a longer text than fits anywhere"]),
            "on": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=50,
)
SCHEMA: dict[str, Any] = {
    "k": str,
    "ts": int,
    "x": float | None,
    "n": int | None,
    "s": str | None,
    "on": bool | None,
}
TYPES = {"k": pl.String, "ts": pl.Int64, "x": pl.Float64, "n": pl.Int64, "s": pl.String, "on": pl.Boolean}
LARGE = pl.col("n") > 0


def same(expected: Any, got: Any) -> bool:
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, float) and isinstance(got, float) and math.isnan(expected):
        return math.isnan(got)
    return bool(expected == got) and type(expected) is type(got)


def spread(rows: list[dict[str, Any]], size: int, slide: int) -> pl.DataFrame:
    """Each row in each of its windows, by event time, ties in their order."""
    made = []
    for row in sorted(rows, key=lambda row: row["ts"]):
        start = row["ts"] // slide * slide
        while start > row["ts"] - size:
            made.append({**row, "start": start})
            start -= slide
    return pl.DataFrame(made, schema={**TYPES, "start": pl.Int64})


def by_polars(rows: list[dict[str, Any]], size: int, slide: int, q: float) -> dict[tuple[str, int], dict[str, Any]]:
    x, n, s, on = pl.col("x"), pl.col("n"), pl.col("s"), pl.col("on")
    grouped = spread(rows, size, slide).group_by("k", "start", maintain_order=True)
    made = grouped.agg(
        # With nulls Polars counts them into the rank, and loses bits of the place between two values.
        *[x.drop_nulls().quantile(q, name).alias(f"x_{name}") for name in INTERPOLATIONS],
        *[n.drop_nulls().quantile(q, name).alias(f"n_{name}") for name in INTERPOLATIONS],
        x_middle=x.median(),
        n_middle=n.median(),
        on_middle=on.median(),
        large=n.filter(LARGE).quantile(q),
        x_set=x.drop_nulls().unique().sort(),
        s_set=s.drop_nulls().unique().sort(),
        on_set=on.drop_nulls().unique().sort(),
        x_top=x.drop_nulls().sort(descending=True).head(2),
        s_top=s.drop_nulls().sort(descending=True).head(3),
        sum_top=(n % 100).drop_nulls().sort(descending=True).head(4),
        s_by_n=s.filter(n.is_not_null()).get(n.drop_nulls().arg_min(), null_on_oob=True),
        n_by_s=n.filter(s.is_not_null()).get(s.drop_nulls().arg_max(), null_on_oob=True),
        on_by_n=on.filter(LARGE).get(n.filter(LARGE).arg_max(), null_on_oob=True),
        all_on=pl.when(on.drop_nulls().len() > 0).then(on.all()),
        any_on=pl.when(on.drop_nulls().len() > 0).then(on.any()),
        kinds=n.drop_nulls().n_unique().cast(pl.Int64),
        text_kinds=s.drop_nulls().n_unique().cast(pl.Int64),
        large_kinds=n.filter(LARGE).n_unique().cast(pl.Int64),
    )
    return {(row["k"], row["start"]): row for row in made.to_dicts()}


def aggregates(q: float) -> dict[str, wl.Aggregate]:
    return {
        **{f"x_{name}": wl.quantile("x", q, interpolation=name) for name in INTERPOLATIONS},
        **{f"n_{name}": wl.quantile("n", q, interpolation=name) for name in INTERPOLATIONS},
        "x_middle": wl.median("x"),
        "n_middle": wl.median("n"),
        "on_middle": wl.median("on"),
        "large": wl.quantile("n", q, where=LARGE),
        "x_set": wl.collect_set("x"),
        "s_set": wl.collect_set("s"),
        "on_set": wl.collect_set("on"),
        "x_top": wl.top_k("x", 2),
        "s_top": wl.top_k("s", 3),
        "sum_top": wl.top_k(pl.col("n") % 100, 4),
        "s_by_n": wl.arg_min("s", by="n"),
        "n_by_s": wl.arg_max("n", by="s"),
        "on_by_n": wl.arg_max("on", by=pl.col("n"), where=LARGE),
        "all_on": wl.bool_and("on"),
        "any_on": wl.bool_or("on"),
        # Exact up to some hundred values, so Polars is the oracle here, too.
        "kinds": wl.approx_n_unique("n"),
        "text_kinds": wl.approx_n_unique("s"),
        "large_kinds": wl.approx_n_unique("n", where=LARGE),
    }


# rule: 7.1 7.4 7.5
@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    rows=ROWS, q=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1), size=st.integers(1, 300), data=st.data()
)
def test_any_rows_in_any_windows_give_what_polars_gives(
    rows: list[dict[str, Any]], q: float, size: int, data: st.DataObject
) -> None:
    slide = data.draw(st.integers(max(1, size // 5), size), label="slide")
    job = wl.Job("aggregates")
    stream = job.read(wl.from_records([], SCHEMA), time="ts", out_of_orderness=1000)
    window = wl.hopping(size, slide) if slide < size else wl.tumbling(size)
    stream.key_by("k").window(window).agg(**aggregates(q))
    driver = Driver(job)
    left = list(rows)
    while left:
        cut = data.draw(st.integers(1, len(left)), label="rows in a batch")
        driver.feed(left[:cut])
        left = left[cut:]
    driver.end()
    expected = by_polars(rows, size, slide, q)
    got = {(row["k"], row["window_start"]): row for row in driver.results(times="ms")}
    assert got.keys() == expected.keys()
    for window_of, row in expected.items():
        for name in aggregates(q):
            assert same(row[name], got[window_of][name]), (window_of, name, row[name], got[window_of][name])


def usual_four(values: list[Any]) -> list[Any]:
    """Rows, sum, least and largest, with a sum that is exact: NaN is least only where there is nothing else."""
    filled = [value for value in values if value is not None]
    numbers = [value for value in filled if value == value] or filled
    total = sum(Fraction(value) for value in filled) if all(map(math.isfinite, filled)) else sum(filled)
    least, largest = (min(numbers), max(numbers)) if filled else (None, None)
    kind = float if any(isinstance(value, float) for value in filled) else int
    return [len(values), kind(total), least, largest]


QUARTERS = st.sampled_from([0.0, 1.5, math.inf, -math.inf, math.nan]) | st.integers(-400, 400).map(lambda n: n / 4)


# rule: 7.1
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 60),
            st.none() | QUARTERS,
            st.none() | st.integers(-(2**40), 2**40),
            QUARTERS,
        ),
        min_size=1,
        max_size=60,
    ),
    column=st.sampled_from(["x", "n", "full"]),
    keyed=st.booleans(),
    also_mean=st.booleans(),
)
def test_the_usual_four_of_one_column(
    rows: list[tuple[str, int, Any, Any, float]], column: str, keyed: bool, also_mean: bool
) -> None:
    """They are put in by a loop of their own, with keys and without."""
    types = {"k": str, "ts": int, "x": float | None, "n": int | None, "full": float}
    named = [dict(zip(types, row, strict=True)) for row in sorted(rows, key=lambda row: row[1])]
    stream = wl.Job("four").read(wl.from_records(named, types), time="ts", out_of_orderness=0)
    more = {"mean": wl.mean(column)} if also_mean else {}
    made = (
        (stream.key_by("k") if keyed else stream.key_by())
        .window(wl.tumbling(20))
        .agg(rows=wl.count(), total=wl.sum(column), low=wl.min(column), high=wl.max(column), **more)
    )
    windows: dict[tuple[Any, int], list[Any]] = {}
    for row in named:
        windows.setdefault((row["k"] if keyed else None, row["ts"] // 20 * 20), []).append(row[column])
    got = {(row.get("k"), row["window_start"]): row for row in made.collect().rows(times="ms")}
    assert got.keys() == windows.keys()
    for of, values in windows.items():
        count, total, low, high = usual_four(values)
        row = got[of]
        assert row["rows"] == count
        assert row["total"] == total or (math.isnan(total) and math.isnan(row["total"])), (of, values)
        assert same(low, row["low"]), (of, values)
        assert same(high, row["high"]), (of, values)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=ROWS, q=st.floats(0, 1))
def test_few_values_make_the_approximate_ones_exact(rows: list[dict[str, Any]], q: float) -> None:
    stream = wl.Job("few").read(wl.from_records(rows, SCHEMA), time="ts")
    made = (
        stream.key_by("k")
        .window(wl.tumbling("1s", offset="-500ms"))
        .agg(
            low=wl.approx_quantile("x", q),
            exact=wl.quantile("x", q),
            common=wl.approx_most_common("s", 2),
            numbers=wl.approx_most_common("n", 3, where=LARGE),
        )
    )
    for row in made.collect().rows():
        mine = [one for one in rows if one["k"] == row["k"]]
        assert same(row["exact"], row["low"])
        for name, column, k in (("common", "s", 2), ("numbers", "n", 3)):
            counts = Counter(one[column] for one in mine if one[column] is not None)
            ranked = sorted(counts, key=lambda value: (-counts[value], value))
            if column == "n":
                ranked = [value for value in ranked if value > 0]
            assert row[name] == ranked[:k]


def test_times_have_quantiles_that_are_times() -> None:
    rows = [{"k": "a", "ts": 1, "at": at} for at in (0, 3, 10_000)]
    stream = wl.Job("times").read(wl.from_records(rows), time="ts").cast({"at": pl.Datetime("ms", "UTC")})
    made = (
        stream.key_by("k")
        .window(wl.tumbling("1s"))
        .agg(
            low=wl.quantile("at", 0.25, interpolation="linear"),
            middle=wl.median("at"),
            near=wl.approx_quantile("at", 0.9),
            newest=wl.top_k("at", 1),
        )
    )
    row = made.collect().rows(times="ms")[0]
    assert (row["low"], row["middle"], row["near"], row["newest"]) == (1, 3, 10_000, [10_000])


def test_by_nan_a_record_is_chosen_only_where_there_is_nothing_else() -> None:
    rows = [
        {"k": k, "ts": i, "x": x, "i": i} for i, (k, x) in enumerate([("a", math.nan), ("a", 1.0), ("b", math.nan)])
    ]
    stream = wl.Job("nan").read(wl.from_records(rows), time="ts")
    made = stream.key_by("k").window(wl.tumbling("1s")).agg(low=wl.arg_min("i", "x"), high=wl.arg_max("i", "x"))
    assert [(row["k"], row["low"], row["high"]) for row in made.collect().rows()] == [("a", 1, 1), ("b", 2, 2)]


def test_of_equal_records_the_earliest_is_chosen_and_then_the_first() -> None:
    rows = [{"ts": ts, "x": 1, "who": who} for ts, who in [(50, "late"), (20, "first"), (20, "second")]]
    stream = wl.Job("ties").read(wl.from_records(rows), time="ts")
    chosen = wl.arg_max("who", by="x")
    assert stream.key_by().window(wl.tumbling("1s")).agg(who=chosen).collect().rows()[0]["who"] == "first"
    hopping = stream.key_by().window(wl.hopping(100, 10)).agg(who=chosen).collect().rows()
    assert next(row["who"] for row in hopping if row["window_start"].timestamp() == 0) == "first"


# rule: 7.11
@pytest.mark.parametrize("seed", range(3))
def test_sketches_over_many_values_keep_their_promise_in_slices(seed: int) -> None:
    """Hopping windows of six slices: the sketches of slices are merged."""
    values = random.Random(seed)
    rows = [{"ts": i % 6_000, "v": int(values.paretovariate(0.6)) % 10_000} for i in range(60_000)]
    frame = pl.DataFrame(rows)
    stream = wl.Job("sketches").read(wl.from_records(rows), time="ts")
    made = (
        stream.key_by()
        .window(wl.hopping("6s", "1s"))
        .agg(
            n=wl.count(),
            kinds=wl.approx_n_unique("v"),
            half=wl.approx_quantile("v", 0.5),
            most=wl.approx_quantile("v", 0.95),
            common=wl.approx_most_common("v", 4),
        )
    )
    row = next(row for row in made.collect().rows() if row["n"] == len(rows))
    exact = frame["v"].n_unique()
    assert abs(row["kinds"] - exact) <= 0.05 * exact
    for name, q in (("half", 0.5), ("most", 0.95)):
        below = len(frame.filter(pl.col("v") < row[name])) / len(frame)
        up_to = len(frame.filter(pl.col("v") <= row[name])) / len(frame)
        assert below - 0.0165 <= q <= up_to + 0.0165
    counts = Counter(frame["v"].to_list())
    assert row["common"] == [value for value, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:4]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wl.quantile("v", 1.5), "quantile: q must lie between 0 and 1, not 1.5"),
        (lambda: wl.quantile("v", 0.5, interpolation=cast(Any, "lineer")), "did you mean 'linear'?"),
        (lambda: wl.top_k("v", 0), "top_k: k is a whole number from 1 to 10,000, not 0"),
        (lambda: wl.approx_most_common("v", cast(Any, 2.5)), "k is a whole number"),
        (lambda: wl.median("text"), "median needs numbers, and column 'text' is str"),
        (
            lambda: wl.bool_and("v"),
            "bool_and needs a bool, and column 'v' is int; give a predicate, such as wl.bool_and(pl.col(\"v\") > 0)",
        ),
        (lambda: wl.arg_min("v", by="vv"), "no column 'vv'"),
        (lambda: wl.arg_min("v", by=cast(Any, None)), "give a column name"),
        (lambda: wl.quantile("on", 0.5), "quantile does not take column 'on' (bool)"),
    ],
)
def test_mistakes_name_the_aggregate(make: Any, message: str) -> None:
    rows = wl.from_records([{"v": 1, "text": "a", "on": True, "ts": 0}])
    with pytest.raises(wl.InvalidJobError) as caught:
        wl.Job("mistakes").read(rows, time="ts").key_by().window(wl.tumbling("1s")).agg(x=make())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (wl.quantile("v", 0.5), wl.quantile("v", 0.9)),
        (wl.quantile("v", 0.5), wl.quantile("v", 0.5, interpolation="linear")),
        (wl.top_k("v", 2), wl.top_k("v", 3)),
        (wl.arg_min("v", by="w"), wl.arg_min("v", by="ts")),
    ],
)
def test_changed_options_are_another_state(tmp_path: Path, before: wl.Aggregate, after: wl.Aggregate) -> None:
    where = f"local:{tmp_path / 'log'}"

    def build(aggregate: wl.Aggregate) -> wl.Job:
        job = wl.Job("changed", log=where, state_dir=str(tmp_path / "state"))
        stream = job.read("in", {"v": int, "w": int, "ts": int}, time="ts", out_of_orderness="10s", not_before=0)
        stream.key_by().window(wl.tumbling("1s")).agg(x=aggregate).write("out")
        return job

    with wl.Log(where) as log:
        log.create("in", partitions=1)
        log.append("in", [{"v": 1, "w": 2, "ts": 0}])
    build(before).run(until="now")
    build(before).run(until="now")
    with pytest.raises(wl.WracklineError, match="aggregates"):
        build(after).run(until="now")
