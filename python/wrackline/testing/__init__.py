"""Testing jobs: a driver that feeds a job by hand, under a clock that stands still.

    >>> import wrackline as wl
    >>> from wrackline.testing import Driver
    >>> job = wl.Job("test")
    >>> readings = job.read(wl.from_records([], schema={"k": str, "ts": int}), time="ts", out_of_orderness=0)
    >>> counts = readings.key_by("k").window(wl.tumbling("10ms")).agg(n=wl.count())
    >>> driver = Driver(job)
    >>> driver.feed([{"k": "a", "ts": 1}, {"k": "a", "ts": 3}])
    >>> driver.results()
    []
    >>> driver.feed([{"k": "a", "ts": 12}, {"k": "a", "ts": 4}])
    >>> [(row["window_start"].microsecond, row["n"]) for row in driver.results()]
    [(0, 2)]
    >>> [row["late_by_ms"] for row in driver.late]
    [3]

`wrackline.testing.broker` starts a Kafka broker for tests that need a real one.
"""

from __future__ import annotations

from wrackline.testing.driver import Driver

__all__ = ["Driver"]
