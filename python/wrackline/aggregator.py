"""Aggregates of your own, in Python: functions of the states of many keys at once.

>>> import polars as pl
>>> import wrackline as wl
>>> class WeightedMean(wl.Aggregator):
...     def init(self):
...         return {"total": 0.0, "weight": 0.0}
...     def add(self, states, rows, group):
...         more = rows.group_by(group, maintain_order=True).agg(
...             total=(pl.col("price") * pl.col("qty")).sum(), weight=pl.col("qty").sum())
...         return states.select(pl.col("total") + more["total"], pl.col("weight") + more["weight"])
...     def merge(self, states, later):
...         return states.select(pl.col("total") + later["total"], pl.col("weight") + later["weight"])
...     def finish(self, states):
...         return states["total"] / states["weight"]
>>> rows = wl.from_records([{"price": 2.0, "qty": 3.0, "ts": 1}, {"price": 4.0, "qty": 1.0, "ts": 2}])
>>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
>>> windows.agg(mean=wl.aggregate(WeightedMean(), "price", "qty")).collect().to_polars()["mean"].to_list()
[2.5]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wrackline.aggregates import Aggregate
from wrackline.dtypes import core_type
from wrackline.errors import InvalidJobError
from wrackline.expressions import is_expression
from wrackline.hints import shown
from wrackline.results import need
from wrackline.schema import to_columns

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Aggregator", "aggregate", "check_window"]

Frame = Literal["polars", "numpy", "pyarrow"]
_LIBRARY = {"polars": "polars", "numpy": "polars", "pyarrow": "pyarrow"}


class Aggregator:
    """What an aggregate of your own is made of. A state is a row of columns; each method gets those of many keys.

    What comes back has a row for each state. Row i depends on state i, and on its rows, alone: how many keys are in one
    call, and which, is not promised. (At least two: a single state comes twice, since Polars computes some things
    otherwise for one row.) The same input has to give the same bits, for what came before a restart is computed again.
    An exception ends the run, and nothing of what it has not committed is lost.

    A class that has the methods but is not derived from this one will do, too. See `wrackline.aggregator`.

    >>> import wrackline as wl
    >>> class Count(wl.Aggregator):
    ...     def init(self):
    ...         return {"n": 0}
    ...     def add(self, states, rows, group):
    ...         return states + group.value_counts().sort("group").select(n="count")
    ...     def finish(self, states):
    ...         return states["n"]
    >>> wl.aggregate(Count(), "price")
    aggregate(Count, "price")
    """

    def init(self) -> Any:
        """The state that every key starts with: a dict of values, or a frame of one row, which says the types, too.

        >>> import wrackline as wl
        >>> wl.Aggregator().init()
        Traceback (most recent call last):
        NotImplementedError: init() gives the state that every key starts with, such as {"total": 0.0}
        """
        raise NotImplementedError('init() gives the state that every key starts with, such as {"total": 0.0}')

    def add(self, states: Any, rows: Any, group: Any) -> Any:
        """The states with more rows. Row i goes into state `group[i]`.

        Groups ascend, so the rows of one lie together, in the order of the partition, and each state has at least one:
        ``rows.group_by(group, maintain_order=True).agg(...)`` has a row for each state, in their order. How many rows
        of a key come at once is a function of that key's rows alone.

        >>> import wrackline as wl
        >>> wl.Aggregator().add(None, None, None)
        Traceback (most recent call last):
        NotImplementedError: add() gives the states with more rows
        """
        raise NotImplementedError("add() gives the states with more rows")

    def merge(self, states: Any, later: Any) -> Any:
        """The states of slices, with those of later ones: row i of one and row i of the other are of one key.

        Without it the aggregate is for windows that are one slice: tumbling and calendar ones, not hopping ones.

        >>> import wrackline as wl
        >>> wl.Aggregator().merge(None, None)
        Traceback (most recent call last):
        NotImplementedError: merge() gives the states of slices with those of later ones
        """
        raise NotImplementedError("merge() gives the states of slices with those of later ones")

    def finish(self, states: Any) -> Any:
        """The results: a column with a value for each state.

        >>> import wrackline as wl
        >>> wl.Aggregator().finish(None)
        Traceback (most recent call last):
        NotImplementedError: finish() gives a column with the result of each state
        """
        raise NotImplementedError("finish() gives a column with the result of each state")


@dataclass(frozen=True)
class _Custom:
    """What the core calls (`cpp/bindings/custom.h`). Tables go in, anything with an Arrow interface comes back."""

    name: str
    state: list[tuple[str, str, bool]]
    initial: Any
    rows: list[str]
    returns: tuple[str, str, bool]
    add: Callable[[Any, Any, Any], Any]
    merge: Callable[[Any, Any], Any] | None
    finish: Callable[[Any], Any]


def aggregate(
    aggregator: Aggregator | Any,
    *columns: str | pl.Expr,
    where: pl.Expr | None = None,
    returns: Any = None,
    frame: Frame = "polars",
) -> Aggregate:
    """An aggregate of your own: an `Aggregator` over some columns, which are those of its `rows`.

    `returns`: the type of its results, such as ``float``; left out, `finish` is asked what it makes of the state that
    `init` gives. `frame`: what states and rows are: Polars frames (the group a series), ``"numpy"`` dicts of arrays, or
    ``"pyarrow"`` tables.

    >>> import numpy as np
    >>> import wrackline as wl
    >>> class Last(wl.Aggregator):
    ...     def init(self):
    ...         return {"v": 0}
    ...     def add(self, states, rows, group):
    ...         return {"v": rows["v"][np.append(group[1:] != group[:-1], True)]}
    ...     def finish(self, states):
    ...         return states["v"]
    >>> rows = wl.from_records([{"v": 3, "ts": 1}, {"v": 4, "ts": 2}])
    >>> windows = wl.Job("example").read(rows, time="ts").key_by().window(wl.tumbling("1s"))
    >>> windows.agg(v=wl.aggregate(Last(), "v", frame="numpy")).collect().to_polars()["v"].to_list()
    [4]
    """
    name = _name(aggregator)
    label = f"aggregate({name})"
    if frame not in _LIBRARY:
        raise InvalidJobError(f'{label}: frame is "polars", "numpy" or "pyarrow", not {shown(frame)}')
    need("polars", "polars", label)
    need(_LIBRARY[frame], _LIBRARY[frame], label)
    if isinstance(aggregator, type):
        raise InvalidJobError(f"{label}: {name} is a class, and an object of it is needed: wl.aggregate({name}(), ...)")
    missing = [method for method in ("init", "add", "finish") if not _has(aggregator, method)]
    if missing:
        raise InvalidJobError(f"{label}: {shown(aggregator)} has no {' and no '.join(missing)}; see wl.Aggregator")
    inputs, rows = _columns(label, columns)
    if where is not None:
        if not is_expression(where):
            raise InvalidJobError(f'{label}: where is a Polars predicate, such as pl.col("speed") > 50, not {where!r}')
        inputs.append(where)
    initial, state = _initial(label, aggregator)
    calls = _Calls(aggregator, frame)
    custom = _Custom(
        name=name,
        state=state,
        initial=initial,
        rows=rows,
        returns=("result", _returns(label, calls, initial, returns), True),
        add=calls.add,
        merge=calls.merge if _has(aggregator, "merge") else None,
        finish=calls.finish,
    )
    text = [name, *(f'"{one}"' if isinstance(one, str) else str(one) for one in inputs[: len(rows)])]
    text += [] if where is None else [f"where={where}"]
    options = {"custom": custom, "where": where is not None}
    return Aggregate("aggregate", ", ".join(text), tuple(inputs), where, options)


def check_window(named: str, aggregate: Aggregate, kind: str) -> None:
    """Refuses what cannot be merged where windows are made of several states."""
    custom = aggregate.options.get("custom")
    if custom is not None and custom.merge is None and kind in ("hopping", "session", "rolling"):
        raise InvalidJobError(
            f"{named}: {custom.name} has no merge(states, later), and a {kind} window puts the states of several "
            "stretches together; without it there are tumbling and calendar windows"
        )


def _name(aggregator: Any) -> str:
    """With its parameters, if it shows them: they shape what the state means."""
    kind = aggregator if isinstance(aggregator, type) else type(aggregator)
    shows = "__repr__" in {name for one in kind.__mro__[:-1] for name in vars(one)} and not isinstance(aggregator, type)
    return repr(aggregator).rpartition("<locals>.")[2] if shows else kind.__qualname__.rpartition("<locals>.")[2]


def _has(aggregator: Any, method: str) -> bool:
    """Whether it has the method, and one of its own."""
    found = getattr(aggregator, method, None)
    return callable(found) and getattr(found, "__func__", None) is not getattr(Aggregator, method)


def _columns(label: str, columns: tuple[Any, ...]) -> tuple[list[Any], list[str]]:
    """What is read, and what it is called in `rows`."""
    if not columns:
        raise InvalidJobError(f'{label}: name the columns that it reads, such as wl.aggregate(..., "price")')
    rows: list[str] = []
    for one in columns:
        if not is_expression(one) and (not isinstance(one, str) or not one):
            raise InvalidJobError(f"{label}: give column names or Polars expressions, not {one!r}")
        name = one if isinstance(one, str) else one.meta.output_name()
        if name in rows:
            raise InvalidJobError(f"{label}: two of its columns are named {name!r}; give one another .alias(...)")
        rows.append(name)
    plain = [one.meta.is_column() if is_expression(one) else True for one in columns]
    return [name if is_plain else one for one, name, is_plain in zip(columns, rows, plain, strict=True)], rows


def _initial(label: str, aggregator: Any) -> tuple[Any, list[tuple[str, str, bool]]]:
    pl = need("polars", "polars")
    made = aggregator.init()
    if isinstance(made, Mapping) and made:
        made = {name: [value] for name, value in made.items()}
    elif not hasattr(made, "__arrow_c_stream__"):
        raise InvalidJobError(f'{label}: init() gives a dict, such as {{"total": 0.0}}, or a frame, not {shown(made)}')
    frame = pl.DataFrame(made)
    if len(frame) != 1:
        raise InvalidJobError(f"{label}: init() gives one row, what every key starts with, not {len(frame)}")
    return frame, [(name, core_type(f"{label}: init()", name, dtype), True) for name, dtype in frame.schema.items()]


def _returns(label: str, calls: _Calls, initial: Any, returns: Any) -> str:
    """The core's type of the results."""
    if returns is not None:
        try:
            return to_columns({"result": returns}).fields[0].type
        except InvalidJobError as error:
            raise InvalidJobError(f"{label}: returns=: {error}") from None
    try:
        made = calls.finish(initial)
    except Exception as error:
        raise InvalidJobError(
            f"{label}: finish() fails on the state that init() gives ({type(error).__name__}: {error}); say the type "
            "of its results: returns=float"
        ) from error
    ((_, dtype),) = made.schema.items()
    if dtype == need("polars", "polars").Null:
        raise InvalidJobError(f"{label}: finish() gives nulls for the state that init() gives; say returns=float")
    return core_type(f"{label}: finish()", "result", dtype)


class WrongResultError(TypeError):
    """What a method gave back is nothing that a column is made of."""


class _Calls:
    """The methods, with frames of the kind that they take."""

    def __init__(self, aggregator: Any, frame: Frame) -> None:
        self._aggregator = aggregator
        self._frame = frame

    def add(self, states: Any, rows: Any, group: Any) -> Any:
        groups = self._given(group)
        of_rows = groups["group"] if self._frame != "pyarrow" else groups.column("group")
        return self._states("add", self._aggregator.add(self._given(states), self._given(rows), of_rows))

    def merge(self, states: Any, later: Any) -> Any:
        return self._states("merge", self._aggregator.merge(self._given(states), self._given(later)))

    def finish(self, states: Any) -> Any:
        pl = need("polars", "polars")
        made = self._aggregator.finish(self._given(states))
        if isinstance(made, Mapping):
            made = pl.DataFrame(dict(made))
        if hasattr(made, "column_names") or isinstance(made, pl.DataFrame):
            frame = pl.DataFrame(made)
            if frame.width != 1:
                raise WrongResultError(f"finish() gives one column, not {frame.width}: {', '.join(frame.columns)}")
            return frame.rename({frame.columns[0]: "result"})
        if isinstance(made, (str, bytes)) or not hasattr(made, "__len__"):
            raise WrongResultError(f"finish() gives a column with the result of each state, not {shown(made)}")
        return pl.DataFrame({"result": pl.Series(made) if not isinstance(made, pl.Series) else made})

    def _given(self, table: Any) -> Any:
        if self._frame == "pyarrow":
            return need("pyarrow", "pyarrow").table(table)
        frame = need("polars", "polars").DataFrame(table)
        return {name: frame[name].to_numpy() for name in frame.columns} if self._frame == "numpy" else frame

    def _states(self, method: str, made: Any) -> Any:
        if isinstance(made, Mapping):
            return need("polars", "polars").DataFrame(dict(made))
        if not hasattr(made, "__arrow_c_stream__") or not hasattr(made, "columns"):
            raise WrongResultError(f"{method}() gives a frame with a row for each state, not {shown(made)}")
        return made
