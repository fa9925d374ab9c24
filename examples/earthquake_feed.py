"""The earthquake feed as a transport would deliver it: in order of arrival, some lines twice, some damaged.

The quakes and both of their times are real (examples/data/README.md). What happens on the way is made here, with a
fixed seed: about 3 % of the entries are delivered a second time, up to six hours later, and 1 % of the lines are
damaged, in the ways that lines are damaged.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wrackline as wl

TOPIC = "earthquakes"
FILE = Path(__file__).parent / "data" / "usgs_earthquakes_by_publication.jsonl"
SEED = 2018
REPEATED = 0.03
DAMAGED = 0.01
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Line:
    arrival_ms: int
    value: bytes
    repeated: bool = False
    damage: str = ""


def _cut(line: bytes, rng: random.Random) -> bytes:
    return line[: rng.randrange(10, len(line) - 10)]


def _without(name: str) -> Callable[[bytes, random.Random], bytes]:
    def damage(line: bytes, _: random.Random) -> bytes:
        quake = json.loads(line)
        del quake[name]
        return json.dumps(quake).encode()

    return damage


def _replaced(name: str, by: Callable[[Any], Any]) -> Callable[[bytes, random.Random], bytes]:
    def damage(line: bytes, _: random.Random) -> bytes:
        quake = json.loads(line)
        quake[name] = by(quake[name])
        return json.dumps(quake).encode()

    return damage


# json.dumps writes NaN, which is no JSON: that is one of the ways.
DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut off": _cut,
    "a byte that is no UTF-8": lambda line, _: line.replace(b'"id": "', b'"id": "\xff', 1),
    "magnitude in words": _replaced("mag", lambda mag: f"about {mag}"),
    "magnitude NaN": _replaced("mag", lambda _: float("nan")),
    "no network": _without("net"),
    "event time in seconds": _replaced("event_ms", lambda ms: ms // 1000),
    "event time in the year 2603": _replaced("event_ms", lambda ms: ms + 585 * 365 * 24 * HOUR_MS),
}


def lines(seed: int = SEED) -> list[Line]:
    """The feed in order of arrival."""
    rng = random.Random(seed)
    original = FILE.read_bytes().splitlines()
    feed = [Line(json.loads(line)["published_ms"], line) for line in original]
    again = rng.sample(range(len(feed)), round(len(feed) * REPEATED))
    feed += [
        Line(feed[i].arrival_ms + rng.randrange(1_000, 6 * HOUR_MS), feed[i].value, repeated=True)
        for i in sorted(again)
    ]
    feed.sort(key=lambda line: line.arrival_ms)
    ways = list(DAMAGES.items())
    for count, i in enumerate(sorted(rng.sample(range(len(feed)), round(len(feed) * DAMAGED)))):
        name, damage = ways[count % len(ways)]
        feed[i] = Line(feed[i].arrival_ms, damage(feed[i].value, rng), feed[i].repeated, name)
    return feed


def publish(log: str) -> None:
    """Appends the feed to the topic, unless it is there; the arrival is the records' log timestamp."""
    with wl.Log(log) as target:
        if any(topic.name == TOPIC for topic in target.topics()):
            return
        target.create(TOPIC)
        feed = lines()
        target.append(TOPIC, [line.value for line in feed], timestamps=[line.arrival_ms for line in feed])
