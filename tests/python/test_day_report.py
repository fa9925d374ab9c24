"""The day report of shops in zones of their own, over both changes of the clocks: from a frame and from Kafka the same
rows, those that Polars gives zone by zone and those that zoneinfo's clocks give record by record."""

from __future__ import annotations

import datetime as dt
import importlib.util
import io
import random
import runpy
import uuid
import zoneinfo
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import wrackline as wl
from wrackline import _core

EXAMPLE = Path(__file__).parents[2] / "examples" / "everyday" / "day_report.py"
SCHEMA = {"shop": str, "zone": str, "cents": int, "at": int}
Day = tuple[str, str, int, int]


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("day_report", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sales(example: Any) -> list[dict[str, Any]]:
    """March to May and September to November; up to an hour late, one in three within an hour of a local midnight."""
    drawn = random.Random(8)
    made = []
    for first in (dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.datetime(2026, 9, 20, tzinfo=dt.UTC)):
        for _ in range(6_000):
            shop = drawn.choice(list(example.SHOPS))
            zone = example.SHOPS[shop]
            at = first + dt.timedelta(milliseconds=drawn.randrange(60 * 86_400_000))
            if drawn.random() < 0.3:
                clock = at.astimezone(zoneinfo.ZoneInfo(zone)).time()
                at -= dt.timedelta(hours=clock.hour, minutes=clock.minute + drawn.randrange(-60, 60))
            made.append(
                {"shop": shop, "zone": zone, "cents": drawn.randrange(10_000), "at": int(at.timestamp() * 1000)}
            )
    return sorted(made, key=lambda row: int(row["at"]) + drawn.randrange(3_600_000))


def by_clocks(sales: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(shop, day) -> sales, cents: the date that the shop's clock showed."""
    days: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in sales:
        zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(_core.zone_file(row["zone"])), key=row["zone"])
        local = dt.datetime.fromtimestamp(row["at"] / 1000, zone)
        days[row["shop"], f"{local:%Y-%m-%d}"].append(row["cents"])
    return {name: (len(cents), sum(cents)) for name, cents in days.items()}


def by_polars(sales: list[dict[str, Any]], zone: str) -> dict[tuple[str, str], tuple[int, int]]:
    frame = pl.DataFrame(sales).filter(pl.col("zone") == zone)
    local = frame.with_columns(at=pl.from_epoch("at", "ms").dt.replace_time_zone("UTC").dt.convert_time_zone(zone))
    days = local.sort("at").group_by_dynamic("at", every="1d", group_by="shop")
    rows = days.agg(
        n=pl.len(), cents=pl.col("cents").sum(), day=pl.col("at").first().dt.strftime("%Y-%m-%d")
    ).to_dicts()
    return {(row["shop"], row["day"]): (row["n"], row["cents"]) for row in rows}


def plain(rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    found = {(row["shop"], row["day"]): (row["sales"], row["cents"]) for row in rows}
    assert len(found) == len(rows), "a day twice"
    return found


# rule: 5.6 5.8 5.9
def test_from_a_frame(example: Any, sales: list[dict[str, Any]]) -> None:
    rows = example.days(wl.Job("report"), wl.from_arrow(pl.DataFrame(sales))).collect().rows()
    found = plain(rows)
    assert found == by_clocks(sales)
    for zone in set(example.SHOPS.values()) - {"Africa/Cairo"}:  # Polars knows no day without a midnight
        of_zone = {name: value for name, value in found.items() if example.SHOPS[name[0]] == zone}
        assert of_zone == by_polars(sales, zone)
    odd = {(row["shop"], row["day"]): row["hours"] for row in rows if row["hours"] != 24}
    assert odd == {
        ("Boston", "2026-03-08"): 23,
        ("Berlin", "2026-03-29"): 23,
        ("Lord Howe", "2026-04-05"): 24.5,
        ("Sydney", "2026-04-05"): 25,
        ("Cairo", "2026-04-24"): 23,
        ("Lord Howe", "2026-10-04"): 23.5,
        ("Sydney", "2026-10-04"): 23,
        ("Berlin", "2026-10-25"): 25,
        ("Cairo", "2026-10-29"): 25,
        ("Boston", "2026-11-01"): 25,
    }


def test_from_kafka_the_same_rows(example: Any, sales: list[dict[str, Any]], broker: str, tmp_path: Path) -> None:
    """Shops lie anywhere in three partitions; the run is stopped once on its way."""
    topic = f"sales-{uuid.uuid4().hex[:8]}"
    with wl.Log(f"kafka://{broker}") as log:
        log.create(topic, partitions=3)
        log.append(topic, sales)
        for options in ({"rows": 5_000}, {"close": True}):
            job = wl.Job(f"report-{topic}", log=log, state_dir=str(tmp_path))
            report = example.days(job, topic, SCHEMA, unit="ms", out_of_orderness="2h", max_future="365d")
            report.write(f"days-{topic}")
            job.run(until="now", **options)
        rows = log.read(f"days-{topic}").rows()
    assert plain(rows) == plain(example.days(wl.Job("frame"), wl.from_arrow(pl.DataFrame(sales))).collect().rows())


def test_it_runs_as_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    shown = capsys.readouterr().out
    assert shown.count(" 23.0 ") == 3
    assert shown.endswith("492 rows\n")
