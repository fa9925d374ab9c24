"""How much memory there is, for the bounds that nobody has set."""

from __future__ import annotations

import contextlib
import functools
import os

__all__ = ["memory_bound"]

# Of the container: version 2 and version 1 of control groups.
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@functools.cache
def memory_bound() -> int:
    """Half of the memory that the machine, or the container, has.

    >>> memory_bound() > 1 << 20
    True
    """
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _GROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:  # "max": none
            sizes.append(int(file.read()))
    return min(sizes) // 2
