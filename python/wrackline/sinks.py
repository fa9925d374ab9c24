"""Sinks besides topics: files and functions.

A job writes their rows to an internal topic of its log, as to any other, so they are part of its transactions. What is
committed there is *delivered*: put into files, or handed to a function. That is done in the thread of the run, between
two pieces of work: before its first, every quarter of a second, and after its last.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wrackline.durations import Duration, to_millis
from wrackline.errors import InvalidJobError
from wrackline.frames import engine
from wrackline.hints import shown, shown_type

__all__ = ["FileSink", "FunctionSink", "Sink", "to_files", "to_function"]

Kind = Literal["parquet", "ndjson"]


@dataclass(frozen=True)
class FileSink:
    """Rows into files. `every`: milliseconds of the run's clock between two parts of a partition."""

    topic: str
    kind: Kind
    directory: Path
    every: int
    max_rows: int
    given: str  # the directory as it was given

    def __str__(self) -> str:
        return f'write_{self.kind}("{self.given}")'


@dataclass(frozen=True)
class FunctionSink:
    """Rows into a function. `with_id`: it takes the batch's id, too."""

    topic: str
    function: Callable[..., object]
    with_id: bool

    def __str__(self) -> str:
        return f"write({getattr(self.function, '__name__', type(self.function).__name__)})"


Sink = FileSink | FunctionSink


def to_files(job: str, label: str, name: str, kind: Kind, directory: Any, every: Duration, max_rows: Any) -> FileSink:
    """The sink of `write_parquet` and `write_ndjson`. `label`: of the stream, unless it is given a name."""
    call = f"write_{kind}"
    if not isinstance(directory, (str, os.PathLike)) or not str(directory):
        raise InvalidJobError(f"{call}: give the directory for the files, not {shown(directory)}")
    if "://" in str(directory):
        raise InvalidJobError(
            f"{call}: a directory of this machine, not {str(directory)!r}: parts may be moved on from there, or taken "
            "from write(function)"
        )
    millis = to_millis(every, f"{call}: every")
    if millis <= 0:
        raise InvalidJobError(f"{call}: every must be > 0, not {every!r}")
    if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows <= 0:
        raise InvalidJobError(f"{call}: max_rows must be a whole number > 0, not {max_rows!r}")
    if kind == "parquet":
        engine(call)
    topic = _topic(job, label, name, kind, call)
    return FileSink(topic, kind, Path(directory).expanduser().absolute(), millis, max_rows, str(directory))


def to_function(job: str, label: str, name: str, function: Callable[..., object]) -> FunctionSink:
    """The sink of `write` with a function."""
    return FunctionSink(_topic(job, label, name, "function", "write"), function, _takes_id(function))


def _topic(job: str, label: str, name: str, kind: str, call: str) -> str:
    if not isinstance(name, str):
        raise InvalidJobError(f"{call}: name is a str, not {shown_type(name)}")
    return f"{job}.{name or label}.{kind}"


def _takes_id(function: Callable[..., object]) -> bool:
    """Whether it wants the ids of batches: it has a second parameter that must be given."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of C, and says nothing of itself
        return False
    parameters = signature.parameters.values()
    by_place = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = [one for one in by_place if one.default is one.empty]
    any_number = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    by_name = any(one.kind is one.KEYWORD_ONLY and one.default is one.empty for one in parameters)
    if len(needed) > 2 or by_name or not (by_place or any_number):
        raise InvalidJobError(
            f"write: {shown(function)} takes {signature}; it is called with rows (a wl.Result), or with rows and an id"
        )
    return len(needed) == 2
