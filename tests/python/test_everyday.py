"""The everyday examples: on a frame, on a file and on a log the same rows, and those of Polars."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

import wrackline as wl

EXAMPLES = Path(__file__).parents[2] / "examples" / "everyday"
T0 = 1_767_225_600_000  # 2026-01-01
random_ = random.Random(11)


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def windowed(frame: pl.DataFrame, size: int) -> pl.DataFrame:
    return frame.with_columns(window_start=pl.from_epoch(pl.col("at") // size * size, "ms").dt.replace_time_zone("UTC"))


@dataclass
class Case:
    name: str
    function: str
    schema: dict[str, Any]
    rows: list[dict[str, Any]]
    wanted: Callable[[pl.DataFrame], pl.DataFrame]


def times(count: int, step: int) -> list[int]:
    """Ascending but for some that come up to 5 s later than the next ones."""
    return sorted((T0 + i * step for i in range(count)), key=lambda t: t + random_.randrange(5_000))


def billing(frame: pl.DataFrame) -> pl.DataFrame:
    good = frame.filter(pl.col("kwh") >= 0).unique("reading_id", keep="first", maintain_order=True)
    hours = windowed(good, 3_600_000).group_by("meter", "window_start")
    return hours.agg(kwh=pl.col("kwh").sum(), readings=pl.len()).with_columns(cents=(pl.col("kwh") * 31.5).round(2))


def web_log(frame: pl.DataFrame) -> pl.DataFrame:
    parts = frame.with_columns(part=pl.col("line").str.split(" ")).filter(pl.col("part").list.len() == 3)
    requests = parts.with_columns(
        path=pl.col("part").list.get(0).str.split("?").list.get(0),
        status=pl.col("part").list.get(1).cast(pl.Int64),
        ms=pl.col("part").list.get(2).cast(pl.Float64),
    )
    return (
        windowed(requests, 60_000)
        .group_by("path", "window_start")
        .agg(requests=pl.len(), errors=(pl.col("status") >= 500).sum(), slowest=pl.col("ms").max())
    )


def weather(frame: pl.DataFrame) -> pl.DataFrame:
    stations = pl.DataFrame({"station": ["10384", "03772"], "name": ["Berlin", "London"]})
    days = windowed(frame.filter(pl.col("celsius").is_between(-90, 60)), 86_400_000).group_by("station", "window_start")
    made = days.agg(
        low=pl.col("celsius").min(), high=pl.col("celsius").max(), mean=pl.col("celsius").mean()
    ).with_columns(range=pl.col("high") - pl.col("low"))
    return made.join(stations, on="station", how="left").select(
        "station", "window_start", "low", "high", "mean", "name", "range"
    )


def hot_auctions(frame: pl.DataFrame) -> pl.DataFrame:
    euros = pl.when(pl.col("currency") == "USD").then(pl.col("price") * 0.9).otherwise("price")
    made = frame.with_columns(euros=euros)
    slides = pl.concat(
        made.with_columns(
            window_start=pl.from_epoch(pl.col("at") // 10_000 * 10_000 - back * 10_000, "ms").dt.replace_time_zone(
                "UTC"
            )
        )
        for back in range(6)
    )
    counted = slides.group_by("auction", "window_start").agg(bids=pl.len(), best=pl.col("euros").max())
    return counted.filter(pl.col("bids") >= 3, pl.col("best") > 50)


def sensor_dedup(frame: pl.DataFrame) -> pl.DataFrame:
    ids = pl.concat_str("sensor", pl.col("number").cast(pl.String), separator="/")
    return frame.with_columns(id=ids).unique("id", keep="first", maintain_order=True).select("id", "value")


CASES = [
    Case(
        "billing",
        "bills",
        {"reading_id": str, "meter": str, "kwh": float, "at": int},
        [
            {"reading_id": f"r{i % 350}", "meter": f"m{i % 3}", "kwh": 0.25 * (i % 7) - 0.25, "at": at}
            for i, at in enumerate(times(400, 40_000))
        ],
        billing,
    ),
    Case(
        "web_log",
        "per_minute",
        {"line": str, "at": int},
        [
            {
                "line": "nonsense" if i % 70 == 3 else f"/p{i % 3}?q={i} {500 if i % 40 == 0 else 200} {i % 90}.5",
                "at": at,
            }
            for i, at in enumerate(times(500, 700))
        ],
        web_log,
    ),
    Case(
        "weather",
        "days",
        {"station": str, "celsius": float, "at": int},
        [
            {"station": ["10384", "03772", "99999"][i % 3], "celsius": 999.0 if i % 50 == 0 else i % 24 / 2, "at": at}
            for i, at in enumerate(times(300, 3_600_000))
        ],
        weather,
    ),
    Case(
        "hot_auctions",
        "hot",
        {"auction": int, "price": float, "currency": str, "at": int},
        [
            {"auction": i % 7, "price": float(i % 101), "currency": ["EUR", "USD"][i % 2], "at": at}
            for i, at in enumerate(times(400, 700))
        ],
        hot_auctions,
    ),
    Case(
        "sensor_dedup",
        "once",
        {"sensor": str, "number": int, "value": float, "at": int},
        [{"sensor": f"s{i % 4}", "number": i // 12, "value": i / 8, "at": at} for i, at in enumerate(times(300, 500))],
        sensor_dedup,
    ),
]


def sorted_rows(frame: pl.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    rounded = frame.select(pl.col(one).round(9) if frame[one].dtype.is_float() else pl.col(one) for one in columns)
    return sorted(rounded.rows(), key=repr)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_rows_everywhere(case: Case, tmp_path: Path) -> None:
    build = getattr(module(case.name), case.function)
    frame = pl.DataFrame(case.rows)
    wanted = case.wanted(frame)
    columns = wanted.columns
    expected = sorted_rows(wanted, columns)
    assert len(expected) > 10

    on_frame = build(wl.Job("frame"), wl.from_arrow(frame)).collect().to_polars()
    assert sorted_rows(on_frame, columns) == expected

    frame.write_parquet(tmp_path / "rows.parquet")
    on_file = build(wl.Job("file"), wl.read_parquet(tmp_path / "rows.parquet")).collect().to_polars()
    assert sorted_rows(on_file, columns) == expected

    with wl.Log(f"local:{tmp_path / 'log'}") as log:
        log.create("rows")
        log.append("rows", case.rows)
        job = wl.Job("log", log=log, state_dir=str(tmp_path / "state"))
        build(job, "rows", case.schema, out_of_orderness="6s").write("made")
        job.run(until="now", rows=150)
        job.run(until="now", close=True)
        made = log.read("made").to_polars()
    if "window_start" in columns:
        made = made.with_columns(pl.from_epoch("window_start", "ms").dt.replace_time_zone("UTC"))
    assert sorted_rows(made, columns) == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_examples_run_as_scripts(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    import runpy

    runpy.run_path(str(EXAMPLES / f"{case.name}.py"), run_name="__main__")
    assert "rows" in capsys.readouterr().out
