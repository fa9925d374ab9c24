"""A first job: mean speed per truck and five minutes, exactly once, on a log in a folder. Kill it, start it again."""

from datetime import datetime

import wrackline as wl


class Reading(wl.Schema):
    event_id: str
    truck_id: str
    speed: float
    ts: datetime


with wl.Log("local:fleet-data") as log:
    if "readings" not in {topic.name for topic in log.topics()}:
        log.create("readings")
        start = 1_700_000_000_000
        log.append(
            "readings",
            [
                {"event_id": f"e{i}", "truck_id": f"t{i % 3}", "speed": 60 + i % 7, "ts": start + i * 1000}
                for i in range(10_000)
            ],
        )

job = wl.Job("fleet", log="local:fleet-data", commit_rows=500)
readings = job.read("readings", Reading, time="ts", unit="ms", out_of_orderness="30s")
fresh = readings.dedup("event_id", within="24h")
speeds = (
    fresh.key_by("truck_id")
    .window(wl.tumbling("5m"), allowed_lateness="10m")
    .agg(n=wl.count(), mean_speed=wl.mean("speed"))
)
speeds.write("truck-speeds")
job.late.write("truck-speeds-late")
job.dead_letters.write("readings-dead")

if __name__ == "__main__":
    print(job.run(until="now"))
    print(wl.Log("local:fleet-data").read("truck-speeds").to_polars().tail(3))
