"""Stream processing with event-time windows, watermarks, late data and exactly-once.

>>> import wrackline as wl
>>> rows = [{"k": "a", "v": 1, "ts": 1_000}, {"k": "a", "v": 3, "ts": 2_000}, {"k": "b", "v": 5, "ts": 61_000}]
>>> job = wl.Job("example")
>>> sums = job.read(wl.from_records(rows), time="ts").key_by("k").window(wl.tumbling("1m")).agg(total=wl.sum("v"))
>>> [(row["k"], row["total"]) for row in sums.collect().rows()]
[('a', 4), ('b', 5)]
"""

from wrackline.aggregates import (
    Aggregate,
    approx_most_common,
    approx_n_unique,
    approx_quantile,
    arg_max,
    arg_min,
    bool_and,
    bool_or,
    collect,
    collect_set,
    count,
    first,
    last,
    max,
    mean,
    median,
    min,
    n_unique,
    quantile,
    std,
    sum,
    top_k,
    var,
)
from wrackline.aggregator import Aggregator, aggregate
from wrackline.errors import (
    AlreadyExistsError,
    CorruptionError,
    FencedError,
    InvalidArgumentError,
    InvalidJobError,
    JobFailedError,
    NotFoundError,
    NotYetError,
    UnavailableError,
    WracklineError,
)
from wrackline.files import read_csv, read_ndjson, read_parquet
from wrackline.hints import no_such_name as _no_such_name
from wrackline.job import Job
from wrackline.kafka import Kafka
from wrackline.ledger import Counts, Ledger
from wrackline.log import Log, Record, Topic, TopicRecords
from wrackline.results import Result
from wrackline.run import RunningJob, RunResult
from wrackline.schema import Schema, field
from wrackline.sources import BoundedRows, from_arrow, from_records
from wrackline.spans import Span, edges, windows_of
from wrackline.stats import Stats
from wrackline.stream import KeyedStream, SideStream, Stream, WindowedStream, merge
from wrackline.versions import show_versions
from wrackline.watermarks import Watermark, monotonic, punctuated, punctuated_if
from wrackline.windows import (
    Window,
    calendar,
    count_window,
    global_window,
    hopping,
    rolling,
    session,
    tumbling,
)

__version__ = "0.1.0"


globals()["__getattr__"] = _no_such_name  # not a def: type checkers would take any name then

__all__ = [
    "Aggregate",
    "Aggregator",
    "AlreadyExistsError",
    "BoundedRows",
    "CorruptionError",
    "Counts",
    "FencedError",
    "InvalidArgumentError",
    "InvalidJobError",
    "Job",
    "JobFailedError",
    "Kafka",
    "KeyedStream",
    "Ledger",
    "Log",
    "NotFoundError",
    "NotYetError",
    "Record",
    "Result",
    "RunResult",
    "RunningJob",
    "Schema",
    "SideStream",
    "Span",
    "Stats",
    "Stream",
    "Topic",
    "TopicRecords",
    "UnavailableError",
    "Watermark",
    "Window",
    "WindowedStream",
    "WracklineError",
    "aggregate",
    "approx_most_common",
    "approx_n_unique",
    "approx_quantile",
    "arg_max",
    "arg_min",
    "bool_and",
    "bool_or",
    "calendar",
    "collect",
    "collect_set",
    "count",
    "count_window",
    "edges",
    "field",
    "first",
    "from_arrow",
    "from_records",
    "global_window",
    "hopping",
    "last",
    "max",
    "mean",
    "median",
    "merge",
    "min",
    "monotonic",
    "n_unique",
    "punctuated",
    "punctuated_if",
    "quantile",
    "read_csv",
    "read_ndjson",
    "read_parquet",
    "rolling",
    "session",
    "show_versions",
    "std",
    "sum",
    "top_k",
    "tumbling",
    "var",
    "windows_of",
]
