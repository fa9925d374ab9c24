"""Pydantic models as schemas. Pydantic is not imported: what it left in the user's class is read.

    >>> import wrackline as wl
    >>> from pydantic import BaseModel, Field
    >>> class Reading(BaseModel):
    ...     truck_id: str
    ...     speed: float | None = Field(alias="gps.speed")
    >>> wl.from_records([{"truck_id": "t1", "gps": {"speed": 88.5}}], Reading)
    1 row of Reading(truck_id: str, speed: float | None = gps.speed)

Names, types and aliases are taken. Validators, constraints and defaults are not run: a field that has a default is
nullable, and is null in a record without it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from wrackline.errors import InvalidJobError

__all__ = ["fields_of", "is_model", "plain"]

# These are classes of their own when a program runs.
_TIMES: dict[str, type] = {
    "AwareDatetime": dt.datetime,
    "NaiveDatetime": dt.datetime,
    "PastDatetime": dt.datetime,
    "FutureDatetime": dt.datetime,
    "PastDate": dt.date,
    "FutureDate": dt.date,
}


def is_model(value: Any) -> bool:
    """Whether it is a subclass of pydantic's BaseModel, of any version."""
    return isinstance(value, type) and any(
        base.__name__ == "BaseModel" and base.__module__.partition(".")[0] == "pydantic" for base in value.__mro__
    )


def plain(hint: type) -> type:
    """For one of pydantic's times the class whose values it has."""
    return _TIMES.get(hint.__name__, hint) if hint.__module__ == "pydantic.types" else hint


def fields_of(model: Any) -> Iterator[tuple[str, Any, str]]:
    """Name, annotation and path of each field."""
    named = f"schema {model.__name__}"
    if not hasattr(model, "model_fields"):
        raise InvalidJobError(f"{named}: models of pydantic 2 are schemas, this is one of pydantic 1")
    if not model.__pydantic_complete__:
        try:
            model.model_rebuild()
        except NameError as error:
            raise InvalidJobError(f"{named}: {error}; its types must be known where the class is made") from None
    if not model.model_fields:
        raise InvalidJobError(f"{named} has no fields: annotate them, such as `speed: float`")
    if getattr(model, "__pydantic_root_model__", False):
        raise InvalidJobError(f"{named} is a RootModel, without names for columns; take a BaseModel")
    for name, field in model.model_fields.items():
        hint = field.annotation if field.is_required() else field.annotation | None
        yield name, hint, _path(f"{named}, column {name!r}", name, field)


def _path(column: str, name: str, field: Any) -> str:
    """Where JSON has it: under its alias, if it has one."""
    alias = field.validation_alias or field.alias or name
    if isinstance(alias, str):
        return alias
    steps = getattr(alias, "path", None)
    if steps is None:
        raise InvalidJobError(f"{column}: a column is in one place of a record; take one of {alias!r}")
    if not all(isinstance(one, str) for one in steps):
        raise InvalidJobError(f"{column}: {alias!r} leads into a list; a path has names alone")
    return ".".join(steps)
