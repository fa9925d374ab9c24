"""Rows of files: JSON lines, CSV, Parquet. Polars reads them, or pyarrow where there is no Polars."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wrackline import _core, faults
from wrackline.errors import InvalidArgumentError, NotFoundError
from wrackline.faults import Wanted
from wrackline.frames import SCANNED, Engine, Kinds, Pick, chosen, engine, imported
from wrackline.schema import Columns, suggestion, to_columns
from wrackline.sources import BoundedRows

__all__ = ["read_csv", "read_ndjson", "read_parquet"]

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_logger = logging.getLogger("wrackline")
_FIRST_ROWS = f"the first {SCANNED:,} rows have"
_SCHEMA = "the schema says"


def read_ndjson(path: PathOrPaths, schema: Any = None) -> BoundedRows:
    """JSON objects, one per line. `path`: a file, a pattern such as ``"2024-*.ndjson"``, or a list of them.

    Nested objects become columns such as ``"gps.speed"``. Without a schema the types are those of the first 1,000
    rows (of all files together), and a column that is not in them is not read. With one, its columns are read; a
    time is an ISO 8601 string or a number of milliseconds, bytes are base64. After the first 1,000 rows a number in
    a column of strings becomes its text. Files may be gzipped (``.gz``).

    Raises `NotFoundError` for a file that is not there, and `InvalidArgumentError` with the file and the line for
    what is no JSON object or has another type.

    >>> from pathlib import Path
    >>> import wrackline as wl
    >>> _ = Path("trucks.ndjson").write_text('{"k": "a", "gps": {"speed": 88}}\\n{"k": "b", "gps": {"speed": 71.5}}\\n')
    >>> wl.read_ndjson("trucks.ndjson")
    2 rows of Schema(k: str | None, gps.speed: float | None)
    >>> wl.read_ndjson("trucks.ndjson", {"k": str, "gps.speed": float})
    2 rows of Schema(k: str, gps.speed: float)
    """
    with _named("read_ndjson"):
        frames, paths = engine(), _found(path)
        columns = None if schema is None else to_columns(schema)
        types = _infer_json(frames, paths) if columns is None else frames.json_schema(columns)

        def check(one: Path) -> None:
            if columns is None:
                faults.check_json(one, [Wanted(*kind) for kind in frames.kinds(types).items()], _FIRST_ROWS)
            else:
                faults.check_json(one, _wanted(columns), _SCHEMA)

        return _Reading(frames, columns, lambda one: frames.read_json(one, types), check, parse=True).rows(paths)


def read_csv(path: PathOrPaths, schema: Any = None, **options: Any) -> BoundedRows:
    """CSV with the column names in its first line. `path`: a file, a pattern, or a list of them.

    Without a schema the types are those of the first 1,000 rows, and times stay strings, which `job.read` takes as
    event times. With one, its columns are read; a time is ISO 8601 or a number of milliseconds, bytes are base64. An
    empty field is null. Other options are those of ``polars.read_csv``: ``separator=";"``, ``has_header=False``,
    ``null_values="NA"``.

    >>> from pathlib import Path
    >>> import wrackline as wl
    >>> _ = Path("trucks.csv").write_text("k;speed\\na;88\\nb;\\n")
    >>> wl.read_csv("trucks.csv", separator=";")
    2 rows of Schema(k: str | None, speed: int | None)
    >>> wl.read_csv("trucks.csv", {"k": str, "speed": float | None}, separator=";")
    2 rows of Schema(k: str, speed: float | None)
    """
    with _named("read_csv"):
        frames, paths = engine(), _found(path)
        columns = None if schema is None else to_columns(schema)
        for name in ("schema", "schema_overrides", "columns", "dtypes", "new_columns"):
            if columns is not None and name in options:
                raise InvalidArgumentError(f"{name}= and a schema say the same: give one of them")

        def read(one: Path) -> Any:
            if one.stat().st_size == 0:
                raise InvalidArgumentError(
                    "the file is empty, without the column names that its first line should have"
                )
            if columns is None:
                return frames.read_csv(one, None, options)
            picks = chosen(columns, frames.csv_names(one, options))
            return frames.read_csv(one, {pick.path: pick.kind for pick in picks}, options)

        def check(one: Path) -> None:
            if options:
                return  # other separators, other lines: what Polars says must do
            if columns is not None:
                faults.check_csv(one, _wanted(columns), _SCHEMA)
                return
            kinds: Kinds = {}
            with contextlib.suppress(*frames.errors):
                kinds = frames.csv_kinds(one, {})
            faults.check_csv(one, [Wanted(*kind) for kind in kinds.items()], _FIRST_ROWS)

        return _Reading(frames, columns, read, check, parse=True).rows(paths)


def read_parquet(path: PathOrPaths, schema: Any = None, columns: Sequence[str] | None = None) -> BoundedRows:
    """Parquet. `path`: a file, a pattern, or a list of them; `columns`: those to read, without a schema all.

    Nested columns become columns such as ``"gps.speed"``.

    >>> import polars as pl
    >>> import wrackline as wl
    >>> pl.DataFrame({"k": ["a", "b"], "gps": [{"speed": 88.0}, {"speed": 71.5}]}).write_parquet("trucks.parquet")
    >>> wl.read_parquet("trucks.parquet")
    2 rows of Schema(k: str | None, gps.speed: float | None)
    >>> wl.read_parquet("trucks.parquet", columns=["gps.speed"])
    2 rows of Schema(gps.speed: float | None)
    """
    with _named("read_parquet"):
        if isinstance(columns, str):
            raise InvalidArgumentError(f"columns is a list of names, not {columns!r}")
        frames, paths = engine(), _found(path)
        given = None if schema is None else to_columns(schema)

        def read(one: Path) -> Any:
            with one.open("rb") as file:
                if file.read(4) != b"PAR1":
                    raise InvalidArgumentError("this is no Parquet file")
            kinds = frames.kinds(frames.parquet_schema(one))
            names = None if columns is None else _under(columns, list(kinds))
            if given is not None:
                names = [pick.path for pick in chosen(given, list(kinds) if names is None else names)]
            if names is None:
                return frames.read_parquet(one, None)
            top = frames.parquet_names(one)
            needed = [outer for outer in top if any(f"{name}.".startswith(f"{outer}.") for name in names)]
            return frames.select(frames.read_parquet(one, needed), [Pick(name, name) for name in names])

        return _Reading(frames, given, read, lambda one: None, parse=False).rows(paths)


@dataclass(frozen=True)
class _Reading:
    """How one kind of file is read, and how a file that cannot be is looked through for its first wrong line."""

    frames: Engine
    columns: Columns | None
    read: Callable[[Path], Any]
    check: Callable[[Path], None]
    parse: bool  # the file is text: types were inferred, times and bytes are to be parsed

    def rows(self, paths: list[Path]) -> BoundedRows:
        tables = [self._table(one) for one in paths]
        rows = BoundedRows(self._united(paths, tables), self.columns)
        if self.columns is None and self.parse:
            files = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files"
            _logger.info("%s: %r, as the first %s rows have it", files, rows.schema, f"{SCANNED:,}")
        return rows

    def _table(self, path: Path) -> _core.Table:
        refusals: tuple[type[Exception], ...] = (*self.frames.errors, InvalidArgumentError)
        try:
            frame = self.read(path)
            if self.columns is None:
                return imported(self.frames, frame)
            picks = chosen(self.columns, list(self.frames.kinds(frame.schema)))
            table = _core.import_arrow(self.frames.select(frame, picks, parse=self.parse))
            return table.conform(self.columns.to_core())
        except refusals as error:
            said = str(error).strip().split("\n")[0]
        self.check(path)
        raise InvalidArgumentError(f"{path}: {said}")

    def _united(self, paths: list[Path], tables: list[_core.Table]) -> _core.Table:
        """All rows in one table. Integers beside floats make floats; other differences are errors."""
        if len(tables) == 1:
            return tables[0]
        some = [(path, table) for path, table in zip(paths, tables, strict=True) if len(table)]
        if len(some) < 2:
            return some[0][1] if some else tables[0]
        first, fields = some[0][0], {name: (kind, nullable) for name, kind, nullable in some[0][1].schema}
        for path, table in some[1:]:
            own = {name: (kind, nullable) for name, kind, nullable in table.schema}
            for one, other, names in (
                (first, path, fields.keys() - own.keys()),
                (path, first, own.keys() - fields.keys()),
            ):
                if names:
                    raise InvalidArgumentError(
                        f"{one} has a column {min(names)!r}, which {other} has not; give a schema"
                    )
            for name, (kind, nullable) in own.items():
                before, null_before = fields[name]
                if kind != before and {kind, before} != {"int64", "float64"}:
                    raise InvalidArgumentError(
                        f"column {name!r} is {kind} in {path}, but {before} in {first}; give a schema"
                    )
                fields[name] = (before if kind == before else "float64", nullable or null_before)
        same = [(name, kind, nullable) for name, (kind, nullable) in fields.items()]
        united = self.frames.united([table.conform(same) for _, table in some])
        return _core.import_arrow(united).conform(same)


def _infer_json(frames: Engine, paths: list[Path]) -> Any:
    """The types of the first rows, as the library has them. Columns of two types are refused with their lines."""
    head: list[bytes] = []
    seen: dict[str, tuple[str, str]] = {}
    for path in paths:
        lines = faults.head_of(path, SCANNED - len(head))
        faults.check_json_types(path, lines, seen)
        head += [text + b"\n" for line in lines if (text := line.strip())]
    if not head:
        raise InvalidArgumentError(
            f"{paths[0]} is empty, so its columns are not known: give a schema"
            if len(paths) == 1
            else f"all of {len(paths)} files are empty, so their columns are not known: give a schema"
        )
    try:
        return frames.infer_json(b"".join(head))
    except frames.errors as error:
        raise InvalidArgumentError(f"{paths[0]}: {error}") from None


def _wanted(columns: Columns) -> list[Wanted]:
    return [Wanted(one.path or one.name, one.type, one.nullable) for one in columns.fields]


def _under(columns: Sequence[str], known: list[str]) -> list[str]:
    """The columns of these names, with what is nested in them."""
    found: list[str] = []
    for wanted in columns:
        own = [name for name in known if name == wanted or name.startswith(f"{wanted}.")]
        if not own:
            raise InvalidArgumentError(f"there is no column {wanted!r}{suggestion(wanted, known)}")
        found += [name for name in own if name not in found]
    return found


def _found(path: PathOrPaths) -> list[Path]:
    """The files that are meant, those of a pattern by name."""
    if isinstance(path, str | os.PathLike):
        return _files_of(path)
    if not isinstance(path, Sequence) or not path:
        raise InvalidArgumentError(f"give a path, a pattern or a list of them, not {path!r}")
    return [file for one in path for file in _files_of(one)]


def _files_of(path: str | os.PathLike[str]) -> list[Path]:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InvalidArgumentError(f"a path is a str or a Path, not {path!r}")
    one = Path(path).expanduser()
    if one.is_file() or one.is_fifo():
        return [one]
    if one.is_dir():
        raise InvalidArgumentError(f"{one} is a folder; its files: {str(one / '*')!r}")
    if glob.has_magic(str(one)):
        files = sorted(found for name in glob.glob(str(one), recursive=True) if (found := Path(name)).is_file())
        if not files:
            raise NotFoundError(f"no file is like {str(one)!r}")
        return files
    raise NotFoundError(f"there is no file {str(one)!r}{_nearest_file(one)}")


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f", nor a folder {str(path.parent)!r}"
    near = _core.nearest(path.name, sorted(one.name for one in path.parent.iterdir()))
    return f"; did you mean {str(path.parent / near)!r}?" if near else ""


@contextlib.contextmanager
def _named(call: str) -> Iterator[None]:
    """Errors begin with the call."""
    try:
        yield
    except (InvalidArgumentError, NotFoundError) as error:
        raise type(error)(f"{call}: {error}") from None
