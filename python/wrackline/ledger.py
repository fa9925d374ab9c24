"""The ledger: what became of every record, per step and input partition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from wrackline import html
from wrackline.results import need, text_table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Counts", "Ledger"]


@dataclass(frozen=True)
class Counts:
    """Of one step: ``in_ == out + filtered + duplicate + late + dead_lettered + skipped + held``.

    Counted beside it: windows missed by records that count in another, panes, panes that became dead letters, rows.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1, "ts": 1}, {"v": -1, "ts": 2}])
    >>> job = wl.Job("example")
    >>> job.read(rows, time="ts").filter("v", ">", 0).write("out")
    >>> counts = job.run().ledger["filter"]
    >>> counts.in_, counts.out, counts.filtered, counts.balances
    (2, 1, 1, True)
    >>> counts.as_dict()["rows_out"]
    0
    """

    in_: int = 0
    out: int = 0
    filtered: int = 0
    duplicate: int = 0
    late: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    held: int = 0
    windows_missed: int = 0
    panes: int = 0
    panes_dead: int = 0
    rows_out: int = 0

    @property
    def balances(self) -> bool:
        """Whether every record that came in is accounted for."""
        accounted = self.out + self.filtered + self.duplicate + self.late + self.dead_lettered
        return self.in_ == accounted + self.skipped + self.held

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in _NAMES})

    def as_dict(self) -> dict[str, int]:
        """By the words of the ledger (``in``, not ``in_``)."""
        return {name.rstrip("_"): getattr(self, name) for name in _NAMES}


_NAMES = [one.name for one in fields(Counts)]
_SHOWN = ["in", "out", "filtered", "duplicate", "late", "dead_lettered", "skipped", "held"]
_BESIDE = ["windows_missed", "panes", "panes_dead", "rows_out"]


class Ledger(Mapping[str, Counts]):
    """``ledger["step"]`` is the sum over the partitions; `partitions` has each of them.

    Exact at each commit, and committed with the results.

    >>> import wrackline as wl
    >>> rows = wl.from_records([{"v": 1, "ts": 1}, {"v": -1, "ts": 2}])
    >>> job = wl.Job("example")
    >>> job.read(rows, time="ts").filter("v", ">", 0).write("out")
    >>> ledger = job.run().ledger
    >>> ledger
    Ledger: balances
    step    in  out  filtered  duplicate  late  dead lettered  skipped  held
    read     2    2         0          0     0              0        0     0
    filter   2    1         1          0     0              0        0     0
    >>> ledger["filter"].filtered, ledger.balances
    (1, True)
    >>> ledger.to_polars()["step"].to_list()
    ['read', 'filter']
    """

    def __init__(self, partitions: Mapping[int, list[tuple[str, dict[str, int]]]]) -> None:
        self.partitions: dict[int, dict[str, Counts]] = {
            number: {
                step: Counts(**{"in_" if name == "in" else name: value for name, value in counts.items()})
                for step, counts in steps
            }
            for number, steps in sorted(partitions.items())
        }
        self._sums: dict[str, Counts] = {}
        for steps in self.partitions.values():
            for step, counts in steps.items():
                self._sums[step] = self._sums.get(step, Counts()) + counts

    def __getitem__(self, step: str) -> Counts:
        return self._sums[step]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sums)

    def __len__(self) -> int:
        return len(self._sums)

    @property
    def balances(self) -> bool:
        """True: each step of each partition can account for every record that came in."""
        return all(counts.balances for steps in self.partitions.values() for counts in steps.values())

    def to_polars(self) -> pl.DataFrame:
        """One row per step and partition."""
        rows = [
            {"partition": number, "step": step, **counts.as_dict()}
            for number, steps in self.partitions.items()
            for step, counts in steps.items()
        ]
        frame: pl.DataFrame = need("polars", "polars", "to_polars").DataFrame(rows)
        return frame

    def __repr__(self) -> str:
        if not self._sums:
            return self._title()
        header, rows = self._cells()
        return f"{self._title()}\n" + text_table(header, rows, frozenset(range(1, len(header))))

    def _repr_html_(self) -> str:
        header, rows = self._cells()
        parts = [html.table(header, rows, right=range(1, len(header)))] if rows else []
        return html.page(self._title(), *parts)

    def _title(self) -> str:
        if not self._sums:
            return "Ledger: nothing yet"
        count = len(self.partitions)
        over = f" over {count} partitions" if count > 1 else ""
        return f"Ledger{over}: {'balances' if self.balances else 'DOES NOT BALANCE'}"

    def _cells(self, *, brief: bool = False) -> tuple[list[str], list[list[str]]]:
        """As text: header and rows, one per step; what is counted beside only where there is any, and if `brief`
        everything but in and out."""
        some = {name for counts in self._sums.values() for name, count in counts.as_dict().items() if count}
        always = _SHOWN[:2] if brief else _SHOWN
        names = [name for name in _SHOWN + _BESIDE if name in always or name in some]
        header = ["step", *(name.replace("_", " ") for name in names)]
        return header, [[step, *(f"{counts.as_dict()[name]:,}" for name in names)] for step, counts in self.items()]
