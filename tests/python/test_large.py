"""A column of more than 2 GiB of text: more than 32-bit offsets reach."""

from __future__ import annotations

import polars as pl
import pytest

import wrackline as wl

ROWS = 2_200
TEXT = "x" * (1 << 20)


@pytest.mark.slow
def test_two_gigabytes_of_text() -> None:
    frame = pl.DataFrame({"n": range(ROWS)}).with_columns(text=pl.lit(TEXT))
    rows = wl.from_arrow(frame)
    assert len(rows) == ROWS
    del frame
    read = wl.Job("large").read(rows, time="n")
    del rows
    kept = read.filter("n", "!=", 7).with_columns(length=pl.col("text").str.len_bytes()).collect().to_polars()
    assert kept["n"].to_list() == [n for n in range(ROWS) if n != 7]
    assert kept["length"].unique().to_list() == [len(TEXT)]
    assert kept["text"].str.len_bytes().sum() == (ROWS - 1) * len(TEXT) > 2**31
    assert kept["text"][-1] == TEXT
    del kept
    longest = read.key_by().window(wl.tumbling("1h")).agg(n=wl.count("text"), most=wl.max("text"))
    (row,) = longest.collect().rows()
    assert (row["n"], row["most"]) == (ROWS, TEXT)
