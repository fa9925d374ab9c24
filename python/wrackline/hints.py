"""What newcomers type that is not there, and what to use instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from wrackline import _core

__all__ = ["no_attribute", "no_such_name", "shown", "shown_type", "written_duration"]

_WINDOW = '.key_by("k").window(wl.tumbling("5m")).agg(...)'
_COLLECTED = "a stream does not end; {} what .collect() gives"

_OF_A_STREAM = {
    "group_by": f"groups are {_WINDOW}",
    "groupby": f"groups are {_WINDOW}",
    "group_by_dynamic": f"groups of event time are {_WINDOW}",
    "rolling": 'overlapping windows are .key_by("k").window(wl.hopping("1h", "5m")).agg(...)',
    "with_column": "it is .with_columns(...)",
    "withColumn": "it is .with_columns(...)",
    "assign": 'it is .with_columns(total=pl.col("price") * pl.col("qty"))',
    "apply": 'it is .map(lambda column: ..., returns={"name": float})',
    "where": "it is .filter(...)",
    "unique": 'it is .dedup("column", within="1h")',
    "drop_duplicates": 'it is .dedup("column", within="1h")',
    "distinct": 'it is .dedup("column", within="1h")',
    "join": 'a small table is joined by .enrich(frame, on="k")',
    "merge": 'a small table is joined by .enrich(frame, on="k")',
    "sort": _COLLECTED.format("sort"),
    "sort_values": _COLLECTED.format("sort"),
    "head": ".collect(rows=...) ends early",
    "limit": ".collect(rows=...) ends early",
    "tail": _COLLECTED.format("look at the end of"),
    "shift": _COLLECTED.format("shift"),
    "sample": 'a share is taken by values: .filter(pl.col("k").hash() % 100 < 5)',
    "to_polars": "it is .collect().to_polars()",
    "to_pandas": "it is .collect().to_pandas()",
    "to_arrow": "it is .collect().to_arrow()",
    "rows": "it is .collect().rows()",
    "show": "it is .collect()",
    "columns": "it is .schema.names",
    "run": "a job runs: job.run()",
    "start": "a job runs: job.start()",
    "to": "it is .write(...)",
    "sink": "it is .write(...)",
    "sink_parquet": 'it is .write_parquet("directory")',
    "to_parquet": 'it is .write_parquet("directory")',
    "sink_ndjson": 'it is .write_ndjson("directory")',
    "foreach": "it is .write(lambda rows: ...)",
    "foreach_batch": "it is .write(lambda rows: ...)",
    "sink_batches": "it is .write(lambda rows: ...)",
}
_OF_A_STREAM |= dict.fromkeys(("sum", "mean", "min", "max", "count", "len", "std"), f"an aggregate is {_WINDOW}")

_INSTEAD = {
    "KeyedStream": 'a key needs a window: .window(wl.tumbling("5m")).agg(n=wl.count()); other steps go before .key_by',
    "WindowedStream": "a window needs aggregates: .agg(n=wl.count()); other steps go behind them",
}


def no_attribute(owner: Any, name: str) -> NoReturn:
    """Raises the AttributeError of an attribute that is not there."""
    kind = type(owner).__name__
    instead = _INSTEAD.get(kind) or _OF_A_STREAM.get(name, "")
    if not instead:
        near = _core.nearest(name, [one for one in dir(owner) if not one.startswith("_")])
        instead = f"did you mean .{near}?" if near else ""
    raise AttributeError(f"a {kind} has no {name!r}" + (f"; {instead}" if instead else ""))


_OF_THE_PACKAGE = {
    "avg": "mean",
    "average": "mean",
    "stddev": "std",
    "variance": "var",
    "len": "count",
    "size": "count",
    "count_distinct": "n_unique",
    "nunique": "n_unique",
    "distinct": "n_unique",
    "approx_count_distinct": "approx_n_unique",
    "percentile": "quantile",
    "list": "collect",
    "array_agg": "collect",
    "collect_list": "collect",
    "every": "bool_and",
    "all": "bool_and",
    "any": "bool_or",
    "argmin": "arg_min",
    "argmax": "arg_max",
    "min_by": "arg_min",
    "max_by": "arg_max",
    "sliding": "hopping",
    "hop": "hopping",
    "tumble": "tumbling",
}


def no_such_name(name: str) -> NoReturn:
    """Raises the AttributeError of a name that the package does not have."""
    import wrackline

    near = _OF_THE_PACKAGE.get(name) or ("" if name.startswith("_") else _core.nearest(name, wrackline.__all__))
    raise AttributeError(
        f"module 'wrackline' has no attribute {name!r}" + (f"; did you mean wl.{near}?" if near else "")
    )


def shown(value: Any) -> str:
    """A value in an error: functions by name, expressions as they print, without addresses; not too long."""
    if type(value).__module__.partition(".")[0] == "polars":
        return f"the {type(value).__name__} {value}" if type(value).__name__ == "Expr" else f"a {type(value).__name__}"
    if callable(value) and hasattr(value, "__name__"):
        return "a lambda" if value.__name__ == "<lambda>" else f"the {_kind(value)} {value.__name__}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__}"
    text = repr(value)
    if len(text) > 80 or " at 0x" in text:
        return f"a {type(value).__name__}"
    return text


def shown_type(value: Any) -> str:
    """What a value is: "a list", "the class Reading"."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _kind(value: Any) -> str:
    return "class" if isinstance(value, type) else "function"


_WORDS = {"d": "d|days?", "h": "h|hrs?|hours?", "m": "m|mins?|minutes?", "s": "s|secs?|seconds?"}
_WORDS |= {"ms": "ms|msecs?|millis|milliseconds?"}
_WRITTEN = r"\s*".join(rf"(?:(\d+)\s*(?:{words})(?![a-z]))?(?:\s*(?:,|and)\s*)?" for words in _WORDS.values())


def written_duration(text: str) -> str:
    """`5 minutes` as it is to be written, "5m"; empty if it is nothing like that.

    >>> written_duration("1 hour and 30 minutes")
    '1h30m'
    """
    found = re.fullmatch(_WRITTEN, text.strip(), re.IGNORECASE)
    if found is None:
        return ""
    return "".join(f"{number}{unit}" for number, unit in zip(found.groups(), _WORDS, strict=True) if number)
