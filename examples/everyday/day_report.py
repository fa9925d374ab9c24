"""A day report: what each shop sold on each of its own days, which have 23 or 25 hours where the clocks change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import wrackline as wl


def local_day(window_start: datetime, zone: str) -> dict[str, Any]:
    (day,) = wl.windows_of(window_start, wl.calendar("day", tz=zone))
    return {"day": f"{day.start:%Y-%m-%d}", "hours": day.length / timedelta(hours=1)}


def days(job: wl.Job, source: Any, schema: Any = None, **options: Any) -> wl.Stream:
    sales = job.read(source, schema, time="at", **options)
    daily = sales.key_by("shop", "zone").window(wl.calendar("day", tz_column="zone"))
    return daily.agg(sales=wl.count(), cents=wl.sum("cents")).map(local_day, returns={"day": str, "hours": float})


SHOPS = {
    "Berlin": "Europe/Berlin",
    "Boston": "America/New_York",
    "Cairo": "Africa/Cairo",  # its clocks change at midnight
    "Lord Howe": "Australia/Lord_Howe",  # by half an hour
    "Sydney": "Australia/Sydney",  # the other way round: spring is in October
    "Tokyo": "Asia/Tokyo",  # never
}

if __name__ == "__main__":
    rows = [
        {"shop": shop, "zone": zone, "cents": 100 + hour % 7, "at": int(start.timestamp() * 1000) + hour * 3_600_000}
        for start in (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 9, 27, tzinfo=UTC))
        for hour in range(24 * 40)
        for shop, zone in SHOPS.items()
    ]
    report = days(wl.Job("day-report"), wl.from_records(rows)).collect().to_polars()
    print(report.filter(report["hours"] != 24).select("shop", "day", "hours", "sales", "cents"))
    print(f"{len(report)} rows")
