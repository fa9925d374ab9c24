"""Part one of the demo: the earthquake feed."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import demo_tools as tools
import earthquake_feed as feed
import earthquakes
import polars as pl
from demo_tools import check, heading, say
from earthquakes_in_polars import expected, same_results

import wrackline as wl

# Where the process dies: a step of the commit protocol, which it goes through at each of its commits.
STEPS = {
    "record_taken": "after it took records",
    "pane_out": "after it put rows into the open transaction",
    "sealed": "after it froze offsets, watermark and ledger",
    "journal_row_sent": "after it wrote the journal row",
    "offsets_sent": "after it sent the offsets",
    "end_txn_sent": "after it asked for the end of the transaction",
    "answer_lost": "after the transaction ended, before it took notice",
    "committed": "after the commit",
}
COMMITS = range(3, 16)  # of about 18


def play(work: Path, rng: random.Random) -> None:
    tools.title("1. Earthquakes: a real feed, killed half-way")
    lines = feed.lines()
    repeated, damaged = sum(line.repeated for line in lines), sum(bool(line.damage) for line in lines)
    say("1,707 quakes from the catalogue of the US Geological Survey, 31 January to 7 February 2018, in the order of")
    say("their publication: minutes to days after the earth shook. Data and times are real, and so is the lateness.")
    say(f"Made here, with seed {feed.SEED}: {repeated} entries are delivered twice, {damaged} lines are damaged.")
    say("The job counts quakes per network and 6 hours. It waits for 6 hours of disorder, and allows 24 hours more.")
    say("")

    whole, killed = f"local:{work}/whole-log", f"local:{work}/killed-log"
    for uri in (whole, killed):
        feed.publish(uri)
    with tools.child("earthquakes.py", whole, "--state-dir", f"{work}/whole-state") as process:
        tools.finish(process)
    say(f"uninterrupted  {len(lines):,} records, to compare with")

    step, commit = rng.choice(list(STEPS)), rng.choice(COMMITS)
    with tools.child(
        "earthquakes.py", killed, "--state-dir", f"{work}/killed-state", failpoint=f"{step}@{commit}"
    ) as process:
        said, _ = process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise tools.DemoError(
            f"the job should have died at {step}@{commit}, but ended with {process.returncode}:\n{said}"
        )
    say(f'killed         kill -9 {STEPS[step]} (failpoint "{step}", the {commit}th time it came there)')
    say(f"               {_what_lies_there(killed)}")
    with tools.child("earthquakes.py", killed, "--state-dir", f"{work}/killed-state") as process:
        said = tools.finish(process)
    say(f"started again  {said.splitlines()[0]}")

    with wl.Log(killed, read_only=True) as log, wl.Log(whole, read_only=True) as other:
        _show(log)
        job = earthquakes.build(killed, f"{work}/killed-state")
        heading("Ledger: what became of every record")
        ledger = job.ledger()
        say(str(ledger))
        heading("Checks")
        check(
            ledger.balances and ledger["read"].in_ == len(lines), f"the ledger balances, over all {len(lines):,} lines"
        )
        _check_equal(log, other)
        _check_polars(log, lines)


def _what_lies_there(uri: str) -> str:
    with wl.Log(uri, read_only=True) as log:
        if earthquakes.RESULTS not in [topic.name for topic in log.topics()]:
            return "nothing was committed before"
        committed = len(log.read(earthquakes.RESULTS))
        torn = len(log.read(earthquakes.RESULTS, isolation="uncommitted")) - committed
    try:
        done = earthquakes.build(uri, "").ledger()["read"].in_
    except wl.NotFoundError:
        done = 0
    return (
        f"in its log: commits over {done:,} records with {committed:,} result rows; "
        f"{torn} rows of an open transaction, not to be seen"
    )


def _show(log: wl.Log) -> None:
    rows = log.read(earthquakes.RESULTS).rows()
    last: dict[tuple[str, int], dict[str, Any]] = {(row["net"], row["window_start"]): row for row in rows}
    heading(
        f"Results: {len(last):,} windows in {len(rows):,} rows; one that late quakes changed comes again, a revision up"
    )
    shown = sorted(last.values(), key=lambda row: (-row["revision"], row["window_start"], row["net"]))
    tools.table(
        ["network", "window", "to", "quakes", "mean mag", "max mag", "revision", "pane"],
        [
            (
                row["net"],
                tools.clock(row["window_start"]),
                tools.clock(row["window_end"]),
                row["quakes"],
                f"{row['mean_mag']:.3f}",
                f"{row['max_mag']:.2f}",
                row["revision"],
                row["pane"],
            )
            for row in shown[:12]
        ],
        left=3,
        more=len(shown) - 12,
    )

    late = sorted(log.read(earthquakes.LATE).rows(), key=lambda row: -row["late_by_ms"])
    heading(f"Late: {len(late)} quakes whose window was closed for good")
    shown = late[:8] + late[len(late) // 2 : len(late) // 2 + 2] + late[-2:]
    tools.table(
        ["quake", "mag", "shook", "published", "window missed", "to", "watermark then", "late by"],
        [
            (
                row["id"],
                "" if row["mag"] is None else f"{row['mag']:.2f}",
                tools.clock(row["event_ms"]),
                tools.clock(row["published_ms"]),
                tools.clock(row["window_start"]),
                tools.clock(row["window_end"]),
                tools.clock(row["watermark"]),
                tools.span(row["late_by_ms"]),
            )
            for row in shown
        ],
        more=len(late) - len(shown),
    )
    say("  (late by: so much more allowed lateness, or out-of-orderness, would have kept it)")

    repeated = log.read(earthquakes.REPEATED).rows()
    heading(f"Duplicates: {len(repeated)}")
    names = ", ".join(row["id"] for row in repeated[:9])
    say(f"  {names}{', ...' if len(repeated) > 9 else ''}")

    dead = log.read(earthquakes.DEAD).records()
    heading(f"Dead letters: {len(dead)}, each with its bytes as they came")
    tools.table(
        ["reason", "what is wrong", "its bytes end in"],
        [
            (
                record.header("wl.reason"),
                _cut(record.header("__streams.errors.message") or "", 72),
                ascii(record.value or b"")[-26:-1],
            )
            for record in dead
        ],
        left=3,
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _check_equal(log: wl.Log, other: wl.Log) -> None:
    check(
        tools.last_revisions(log, earthquakes.RESULTS) == tools.last_revisions(other, earthquakes.RESULTS),
        "the last row of every window is, byte for byte, that of the uninterrupted run",
    )
    for topic, what in (
        (earthquakes.LATE, "late rows"),
        (earthquakes.REPEATED, "duplicates"),
        (earthquakes.DEAD, "dead letters"),
    ):
        check(
            tools.as_multiset(log, topic) == tools.as_multiset(other, topic),
            f"and so are the {what}: none lost, none doubled",
        )


def _check_polars(log: wl.Log, lines: list[feed.Line]) -> None:
    wanted = expected(lines)
    same = same_results(log.read(earthquakes.RESULTS).to_polars(), wanted.results)
    check(same, f"Polars over the whole feed gives the same {len(wanted.results)} windows: counts, means, maxima")
    late = log.read(earthquakes.LATE).to_polars().select("id", "window_start", "late_by_ms", "watermark").sort("id")
    check(late.equals(wanted.late), f"and the same {len(wanted.late)} late quakes, late by the same")
    repeated = pl.Series(sorted(row["id"] for row in log.read(earthquakes.REPEATED).rows()))
    dead = sorted(record.value for record in log.read(earthquakes.DEAD) if record.value is not None)
    check(
        repeated.to_list() == wanted.repeated["id"].to_list() and dead == wanted.refused,
        f"and the same {len(wanted.repeated)} duplicates and {len(wanted.refused)} dead letters",
    )
