"""Which versions are there: what a report of an error should say.

>>> import wrackline as wl
>>> wl.show_versions()  # doctest: +ELLIPSIS
wrackline  ...
"""

from __future__ import annotations

import platform
from pathlib import Path

from wrackline import _core
from wrackline.results import text_table

__all__ = ["show_versions"]

_LIBRARIES = ["polars", "pyarrow", "pandas", "numpy", "duckdb", "altair", "rich"]


def show_versions() -> None:
    """Prints the versions of this package, of Python, of the libraries that it works with, and the platform.

    >>> import wrackline as wl
    >>> wl.show_versions()  # doctest: +ELLIPSIS
    wrackline  ...
    """
    print(text_table(*versions()))


def versions() -> tuple[list[str], list[list[str]]]:
    """The first line and the others, of two columns. A library that is not there is "not installed"."""
    import importlib.metadata  # a seventh of the time that importing this package takes

    from wrackline import __version__

    rows = [["python", f"{platform.python_version()} ({platform.python_implementation()})"]]
    for name in _LIBRARIES:
        try:
            rows.append([name, importlib.metadata.version(name)])
        except importlib.metadata.PackageNotFoundError:
            rows.append([name, "not installed"])
    rows += [
        ["tz database", f"{_core.TZ_VERSION} (built in)"],
        ["platform", platform.platform()],
        ["package", str(Path(__file__).parent)],
    ]
    return ["wrackline", __version__], rows
