"""Forks: a child has its parent's handles, but not the threads behind them, and would wait for those for ever.

So what was open is gone in the child, and says so.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

from wrackline.errors import UnavailableError

__all__ = ["here", "track"]

_open: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
_leaked: list[Any] = []  # closing them would need the threads


_FORKED = (
    "this process was forked while a log or a job was open, and their threads did not come along: open them in the "
    'child, or start processes with multiprocessing.get_context("spawn")'
)


class _Gone:
    def close(self) -> None:
        """There is nothing to close in this process."""

    def __getattr__(self, name: str) -> Any:
        raise UnavailableError(_FORKED)


def here(handle: Any) -> Any:
    """The handle, to be given to the core."""
    if isinstance(handle, _Gone):
        raise UnavailableError(_FORKED)
    return handle


def track(owner: Any, attribute: str) -> None:
    """`owner` holds a handle of the core in `attribute`."""
    _open[owner] = attribute


def _in_child() -> None:
    for owner, attribute in list(_open.items()):
        _leaked.append(getattr(owner, attribute))
        setattr(owner, attribute, _Gone())
    _open.clear()


os.register_at_fork(after_in_child=_in_child)
