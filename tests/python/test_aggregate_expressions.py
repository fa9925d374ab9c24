"""Aggregates of expressions and of the records for which a predicate holds, judged by Polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wrackline as wl

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "k": st.sampled_from(["a", "b"]),
            "price": st.none() | st.integers(-100, 100),
            "qty": st.none() | st.integers(0, 9),
            "paid": st.none() | st.booleans(),
            "ts": st.integers(0, 5_000),
        }
    ),
    min_size=1,
    max_size=60,
)
SCHEMA: dict[str, Any] = {"k": str, "price": int | None, "qty": int | None, "paid": bool | None, "ts": int}
TOTAL = pl.col("price") * pl.col("qty")


def read(rows: list[dict[str, Any]]) -> Any:
    return wl.Job("sums").read(wl.from_records(rows, SCHEMA), time="ts")


@given(rows=ROWS)
def test_any_rows_give_what_polars_gives(rows: list[dict[str, Any]]) -> None:
    made = (
        read(rows)
        .key_by("k")
        .window(wl.tumbling("1s"))
        .agg(
            total=wl.sum(TOTAL),
            paid_total=wl.sum(TOTAL, where=pl.col("paid")),
            paid=wl.count(where=pl.col("paid")),
            n=wl.count(),
            priced=wl.count("price", where=pl.col("qty") > 2),
            best=wl.max("price", where=pl.col("paid")),
            mean=wl.mean(TOTAL + 1),
            plain=wl.min(pl.col("price")),
        )
        .collect()
        .to_polars()
    )
    frame = pl.DataFrame(
        rows, schema={"k": pl.String, "price": pl.Int64, "qty": pl.Int64, "paid": pl.Boolean, "ts": pl.Int64}
    )
    paid = pl.col("paid").fill_null(False)
    expected = frame.group_by("k", (pl.col("ts") // 1000 * 1000).alias("start")).agg(
        total=TOTAL.sum(),
        paid_total=TOTAL.filter(paid).sum(),
        paid=paid.sum().cast(pl.Int64),
        n=pl.len().cast(pl.Int64),
        priced=pl.col("price").filter((pl.col("qty") > 2).fill_null(False)).count().cast(pl.Int64),
        best=pl.col("price").filter(paid).max(),
        mean=(TOTAL + 1).mean(),
        plain=pl.col("price").min(),
    )
    made = made.with_columns(start=pl.col("window_start").dt.epoch("ms")).select(expected.columns)
    assert made.sort("k", "start").equals(expected.sort("k", "start"))


def test_late_rows_show_the_records_own_columns_alone() -> None:
    rows = [{"k": "a", "price": 1, "qty": 1, "paid": True, "ts": t} for t in (0, 10_000, 5)]
    stream = wl.Job("late").read(wl.from_records(rows, SCHEMA), time="ts", out_of_orderness="0s")
    sums = stream.key_by("k").window(wl.tumbling("1s")).agg(total=wl.sum(TOTAL))
    late = sums.late.collect()
    assert len(late) == 1
    assert late.columns[:5] == ["k", "price", "qty", "paid", "ts"]
    assert late.columns[5] == "late_by_ms"
    assert sums.schema.names == ["k", "window_start", "window_end", "revision", "pane", "total"]


def test_an_expression_that_fails_is_a_dead_letter() -> None:
    rows = [{"k": "a", "price": i, "qty": 1, "paid": None, "ts": i} for i in range(4)]
    stream = read(rows)
    chosen = pl.col("price").cast(pl.String).replace("2", "two").cast(pl.Int64)
    sums = stream.key_by("k").window(wl.tumbling("1s"), name="sums").agg(total=wl.sum(chosen))
    sums.write("out")
    result = stream._job.run()
    assert result.ledger["sums_inputs"].dead_lettered == 1
    assert sums.collect().rows()[0]["total"] == 0 + 1 + 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wl.sum(pl.col("prise")), "there is no column 'prise'; did you mean 'price'?"),
        (lambda: wl.sum(pl.col("price").cum_sum()), "looks at other rows than its own"),
        (lambda: wl.sum("price", where=pl.col("qty")), "predicate"),
        (lambda: wl.sum("price", where=cast(Any, "qty > 2")), "where is a Polars predicate"),
        (lambda: wl.sum(cast(Any, 3)), "give a column name"),
    ],
)
def test_mistakes_name_the_aggregate(make: Any, message: str) -> None:
    with pytest.raises(wl.InvalidJobError) as caught:
        read([{"k": "a", "price": 1, "qty": 1, "paid": True, "ts": 0}]).key_by("k").window(wl.tumbling("1s")).agg(
            x=make()
        )
    assert message in str(caught.value)


def test_a_changed_expression_is_another_state(tmp_path: Path) -> None:
    where = f"local:{tmp_path / 'log'}"

    def build(expression: Any) -> wl.Job:
        job = wl.Job("changed", log=where, state_dir=str(tmp_path / "state"))
        stream = job.read("in", SCHEMA, time="ts", out_of_orderness="10s", not_before=0)
        stream.key_by("k").window(wl.tumbling("1s")).agg(total=wl.sum(expression)).write("out")
        return job

    with wl.Log(where) as log:
        log.create("in", partitions=1)
        log.append("in", [{"k": "a", "price": 1, "qty": 1, "paid": True, "ts": 0}])
    build(TOTAL).run(until="now")
    with pytest.raises(wl.WracklineError, match="qty"):
        build(pl.col("price")).run(until="now")
