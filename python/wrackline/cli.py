"""The command: what lies in a log, what became of a job's records, and scripts that run jobs."""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from wrackline import demo
from wrackline.errors import InvalidArgumentError, WracklineError
from wrackline.job import Job
from wrackline.log import Log, Record, address_of, records_of
from wrackline.results import text_table
from wrackline.versions import show_versions

__all__ = ["main"]

_FAILED, _INTERRUPTED = 1, 130  # argparse ends with 2
_READ_BYTES = 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 1 after an error, 130 after Ctrl-C.

    >>> import wrackline as wl
    >>> with wl.Log("local:lines") as lg:
    ...     lg.create("t")
    >>> main(["topics", "local:lines"])
    topic  partitions
    t               1
    0
    """
    options = _parser().parse_args(arguments)
    try:
        code = int(options.call(options) or 0)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (WracklineError, OSError, ImportError) as error:
        return _fail(str(error))
    return code


def _fail(text: str) -> int:
    print(f"wrackline: {' '.join(text.split())}", file=sys.stderr)
    return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wrackline", description=(__doc__ or "").strip())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, call: Any, text: str, *, log: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(call=call)
        if log:
            made.add_argument("log", type=_address, metavar="LOG", help="local:DIR or kafka://HOST:PORT")
        return made

    command("topics", _topics, "the topics of a log, with their partitions", log=True)

    one = command("read", _read, "the records of a topic, a line of JSON each", log=True)
    one.add_argument("topic", metavar="TOPIC")
    one.add_argument("--partition", type=_count, metavar="N", help="this one alone")
    one.add_argument("--offset", type=_count, metavar="N", default=0, help="the first, in each partition")
    one.add_argument("--rows", type=_count, metavar="N", help="so many at most")
    one.add_argument("--uncommitted", action="store_true", help="also what no transaction has committed")
    one.add_argument("--values", action="store_true", help="the values alone, as they lie there")

    one = command("append", _append, "appends lines, each as the value of a record", log=True)
    one.add_argument("topic", metavar="TOPIC")
    one.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: standard input")
    one.add_argument("--create", type=_count, metavar="N", help="makes the topic, with N partitions")
    one.add_argument("--partition", type=_count, metavar="N", help="default: one after the other")

    one = command("ledger", _ledger, "what became of every record of a job, as of its last commit", log=True)
    one.add_argument("job", metavar="JOB")

    one = command("run", _run, "runs a script that runs jobs")
    one.add_argument("script", metavar="SCRIPT")
    one.add_argument("arguments", metavar="...", nargs=argparse.REMAINDER, help="of the script")

    command("versions", lambda options: show_versions(), "the versions of what is installed")

    one = command("demo", _demo, "a job on records that come late; with the examples at hand, the whole demo")
    one.add_argument("--small", action="store_true", help="without the examples, in a second")
    return parser


def _address(text: str) -> str:
    try:
        address_of(text)
    except InvalidArgumentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if text.startswith("memory:"):
        raise argparse.ArgumentTypeError(
            "a log in memory is gone with its process; give local:DIR or kafka://HOST:PORT"
        )
    return text


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


# ---- logs ----


def _topics(options: argparse.Namespace) -> None:
    with Log(options.log, read_only=True) as log:
        rows = [[one.name, f"{one.partitions:,}"] for one in log.topics()]
    print(text_table(["topic", "partitions"], rows, frozenset({1})))


def _read(options: argparse.Namespace) -> None:
    with Log(options.log, read_only=True) as log:
        for record in itertools.islice(_records(log, options), options.rows):
            if not options.values:
                print(_line_of(record))
            elif record.value is not None:
                sys.stdout.flush()
                sys.stdout.buffer.write(record.value + b"\n")


def _records(log: Log, options: argparse.Namespace) -> Iterator[Record]:
    partitions = next((one.partitions for one in log.topics() if one.name == options.topic), None)
    if partitions is None:
        log.read(options.topic)  # says that there is none, and what is near
    wanted = range(partitions or 0) if options.partition is None else [options.partition]
    for partition in wanted:
        for chunk in log._chunks(options.topic, partition, options.offset, not options.uncommitted):
            yield from (one for one in records_of(chunk, partition) if one.offset >= options.offset)


def _line_of(record: Record) -> str:
    shown: dict[str, Any] = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _text(record.key),
        "value": _json(record.value),
    }
    if record.headers:
        shown["headers"] = {name: _text(value) for name, value in record.headers}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _json(value: bytes | None) -> Any:
    """What the JSON says; other text is a string."""
    try:
        return None if value is None else json.loads(value)
    except ValueError:
        return _text(value)


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(value or b'').decode()}"


def _append(options: argparse.Namespace) -> None:
    with open(0, "rb", closefd=False) if options.file == "-" else open(options.file, "rb") as file:
        if options.create is None and options.log.startswith("local:"):
            Log(options.log, read_only=True).close()  # a folder that is no log does not become one
        with Log(options.log) as log:
            if options.create is not None:
                log.create(options.topic, partitions=options.create)
            count = 0
            for lines in _lines(file):
                count += log.append(options.topic, lines, partition=options.partition)
            if count == 0:
                log.append(options.topic, [])  # an unknown topic is an error also without lines
    print(f"{count:,} {'record' if count == 1 else 'records'}")


def _lines(file: IO[bytes]) -> Iterator[list[bytes]]:
    """Lines that are not blank, as many as are there at once."""
    rest = b""
    while read := file.read1(_READ_BYTES):  # type: ignore[attr-defined]
        *lines, rest = (rest + read).split(b"\n")
        if whole := [line.rstrip(b"\r") for line in lines if line.strip()]:
            yield whole
    if rest.strip():
        yield [rest]


def _ledger(options: argparse.Namespace) -> None:
    with Log(options.log, read_only=True) as log:
        print(Job(options.job, log=log).ledger())


# ---- scripts ----


def _run(options: argparse.Namespace) -> int:
    script = Path(options.script)
    if not script.is_file():
        return _fail(f"there is no script {options.script!r}")
    before, sys.argv = sys.argv, [options.script, *options.arguments]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        runpy.run_path(options.script, run_name="__main__")
    except WracklineError as error:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == options.script
        ]
        return _fail(f"{options.script}, line {lines[-1]}: {error}" if lines else str(error))
    finally:
        sys.argv = before
        sys.path.remove(str(script.resolve().parent))
    return 0


def _demo(options: argparse.Namespace) -> int:
    script = None if options.small else demo.script()
    if script is not None:
        return demo.run(script)
    demo.small()
    return 0
