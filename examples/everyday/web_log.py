"""A web log: requests, errors and the slowest answer per path and minute, from lines as the server wrote them."""

from typing import Any

import wrackline as wl


def parsed(line: str) -> tuple[str, int, float]:
    path, status, ms = line.split(" ")
    return path.partition("?")[0], int(status), float(ms)


def per_minute(job: wl.Job, source: Any, schema: Any = None, **options: Any) -> wl.Stream:
    lines = job.read(source, schema, time="at", **options)
    requests = lines.map(parsed, returns={"path": str, "status": int, "ms": float})
    counted = requests.map(lambda status: int(status >= 500), returns={"error": int})
    minutes = counted.key_by("path").window(wl.tumbling("1m"))
    return minutes.agg(requests=wl.count(), errors=wl.sum("error"), slowest=wl.max("ms"))


if __name__ == "__main__":
    rows = [{"line": f"/p{i % 3}?q={i} {500 if i % 40 == 0 else 200} {i % 90}.5", "at": i * 1_000} for i in range(300)]
    rows.append({"line": "not a request", "at": 300_000})
    job = wl.Job("web-log")
    print(per_minute(job, wl.from_records(rows)).collect())
    print(job.dead_letters.select("reason", "message").collect())
