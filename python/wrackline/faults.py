"""Where a file is not what it should be: its line, its column, and what is there."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

from wrackline import _core
from wrackline.errors import InvalidArgumentError
from wrackline.frames import parsed
from wrackline.schema import suggestion

__all__ = ["Wanted", "check_csv", "check_json", "check_json_types", "head_of"]

_WORDS = {"string": "str", "int64": "int", "float64": "float", "timestamp": "datetime"}
_JSON_KINDS = {
    bool: "bool",
    int: "int64",
    float: "float64",
    str: "string",
    list: "list",
    dict: "object",
}


class Wanted(NamedTuple):
    """A column that must be there: where, of which type, and whether it may be null."""

    path: str
    kind: str
    nullable: bool = True


def head_of(path: Path, lines: int) -> list[bytes]:
    """The first lines: so many that are not blank, and the blank ones between them."""
    found: list[bytes] = []
    with _opened(path) as file:
        for line in file:
            if lines <= 0:
                break
            lines -= bool(line.strip())
            found.append(line)
    return found


def check_json(path: Path, wanted: list[Wanted], says: str) -> None:
    """Raises for the first line that has no JSON object with these columns. `says`: who wants them."""
    with _opened(path) as file:
        for number, row in _objects(path, file):
            for one in wanted:
                value = _value_at(row, one.path)
                wrong = _wrong_json(value, one)
                if wrong:
                    near = _near(one, row) if value is None else f", but {says} {_word(one.kind)}"
                    _raise(path, number, f'column "{one.path}": {wrong}{near}')


def check_json_types(path: Path, lines: list[bytes], seen: dict[str, tuple[str, str]]) -> None:
    """Raises if a column has two types. `seen`: its type so far, and where; goes on to the next file."""
    for number, row in _objects(path, lines):
        for name, value in _leaves(row, ""):
            kind = _JSON_KINDS[type(value)]
            if kind == "int64" and not -(2**63) <= value < 2**63:
                _raise(path, number, f'column "{name}": {value} does not fit int64')
            before, where = seen.setdefault(name, (kind, f"{path}, line {number}"))
            if before == kind:
                continue
            if {before, kind} != {"int64", "float64"}:
                _raise(path, number, f'column "{name}": a {_word(kind)}, but {where} has a {_word(before)}')
            seen[name] = ("float64", where)


def check_csv(path: Path, wanted: list[Wanted], says: str) -> None:
    """Raises for the first line whose fields are not of these types. For files without options of their own."""
    with _opened(path) as binary, io.TextIOWrapper(binary, "utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        line = 0
        header: list[str] | None = None
        try:
            for fields in reader:
                line, begin = reader.line_num, line + 1
                if header is None:
                    header, wanted = fields, [one for one in wanted if one.path in fields]
                    continue
                if len(fields) > len(header):
                    _raise(path, begin, f"{len(fields)} fields, but the first line names {len(header)}")
                row = dict(zip(header, fields, strict=False))
                for one in wanted:
                    wrong = _wrong_text(row.get(one.path) or None, one)
                    if wrong:
                        of = "" if not row.get(one.path) else f", but {says} {_word(one.kind)}"
                        _raise(path, begin, f'column "{one.path}": {wrong}{of}')
        except UnicodeDecodeError:
            pass
        else:
            return
    with _opened(path) as binary:
        for number, text in enumerate(binary, 1):
            _decoded(path, number, text)


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _raise(path: Path, line: int, text: str) -> NoReturn:
    raise InvalidArgumentError(f"{path}, line {line}: {text}")


def _word(kind: str) -> str:
    return _WORDS.get(kind, kind)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        _raise(path, number, f"byte 0x{line[error.start]:02x} is not UTF-8")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _objects(path: Path, lines: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        text = _decoded(path, number, line).strip()
        try:
            row = _DECODER.decode(text)
        except json.JSONDecodeError as error:
            _raise(path, number, f"not a JSON object: {error.msg} at character {error.pos + 1} of {_shown(text)}")
        except (ValueError, RecursionError) as error:
            _raise(path, number, f"not a JSON object: {error}")
        if not isinstance(row, dict):
            _raise(path, number, f"a {type(row).__name__}, not a JSON object: {_shown(text)}")
        yield number, row


def _leaves(row: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        if value is not None:
            yield prefix + key, value


def _value_at(row: dict[str, Any], path: str) -> Any:
    if row.get(path) is not None:
        return row[path]
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _near(one: Wanted, row: dict[str, Any]) -> str:
    known = [name for name, _ in _leaves(row, "")]
    near = _core.nearest(one.path, known)
    return suggestion(one.path, known) if near and one.path not in row else ", but the schema requires one"


def _wrong_json(value: Any, one: Wanted) -> str:
    if value is None:
        return "" if one.nullable else "no value"
    kind = _JSON_KINDS[type(value)]
    text = f"a {_word(kind)} ({_shown(value)})"
    match one.kind:
        case "float64":
            return "" if kind in ("float64", "int64") else text
        case "int64" if kind == "int64":
            return "" if -(2**63) <= value < 2**63 else f"{value} does not fit int64"
        case "timestamp" | "bytes" if kind == "string" or (one.kind == "timestamp" and kind in ("int64", "float64")):
            return _wrong_text(str(value), one)
        case "null":
            return text
        case "bool" | "int64" | "string" | "bytes" | "timestamp":
            return "" if kind == one.kind else text
    return ""


def _wrong_text(text: str | None, one: Wanted) -> str:
    if text is None:
        return "" if one.nullable else "no value, but the schema requires one"
    try:
        match one.kind:
            case "int64" if not -(2**63) <= int(text) < 2**63:
                return f"{text} does not fit int64"
            case "float64":
                float(text)
            case "bool" if text.lower() not in ("true", "false"):
                return _shown(text)
            case "timestamp" | "bytes":
                parsed([text], one.kind)
    except ValueError:
        return _shown(text)
    return ""
