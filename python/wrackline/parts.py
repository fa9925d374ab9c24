"""Parts: the files that a sink makes in a directory. Each is whole when it is seen, and each row is in one of them.

``_wrackline.json`` says up to which offset of each partition of the sink's topic there are parts. A part is written
under a hidden name, then counted there, then it gets its own name. So what a crash leaves is decided: a hidden file
that is counted gets its name, another one is removed; and a part that was moved away is not made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wrackline.errors import CorruptionError, InvalidArgumentError, InvalidJobError, UnavailableError

__all__ = ["Origin", "Part", "Parts", "locked"]

_STATE = "_wrackline.json"
_NAME = re.compile(r"part-(\d+)-(\d{20})-(\d+)\.(parquet|ndjson)")


def locked(handle: int) -> int | None:
    """The open file or directory, locked until it is closed; None, and closed, if another has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@dataclass(frozen=True)
class Origin:
    """Whose parts they are. `log` and `topic_id` tell a log, and a topic, from others of their name."""

    job: str
    topic: str
    kind: str
    log: str
    topic_id: str | None  # None: there is no such topic yet


@dataclass(frozen=True)
class Part:
    """Rows of the offsets from `first` to `end`, `end` excluded."""

    partition: int
    first: int
    end: int
    kind: str

    @property
    def name(self) -> str:
        return f"part-{self.partition}-{self.first:020}-{self.end}.{self.kind}"

    @property
    def hidden(self) -> str:
        return f".{self.name}.tmp"

    @classmethod
    def of(cls, name: str) -> Part | None:
        """The part that has this name, be it hidden."""
        found = _NAME.fullmatch(name[1:-4] if name.startswith(".") and name.endswith(".tmp") else name)
        return None if found is None else cls(int(found[1]), int(found[2]), int(found[3]), found[4])


@dataclass
class _State:
    """What `_wrackline.json` says."""

    origin: Origin
    next: dict[int, int] = field(default_factory=dict)  # partition -> offset
    replacing: bool = False  # a run(fresh=True) is about to: the parts are of a run that it forgets

    @classmethod
    def read(cls, path: Path) -> _State | None:
        try:
            said: Any = json.loads(path.read_bytes())
            ends = {int(partition): int(offset) for partition, offset in said["next"].items()}
            return cls(Origin(**said["origin"]), ends, bool(said["replacing"]))
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise CorruptionError(
                f"{path} is not what was written there ({error}), and without it nobody knows which rows are in the "
                "parts: keep them, and give the sink another directory"
            ) from None

    def write(self, path: Path) -> None:
        hidden = path.with_name(f".{path.name}.tmp")
        with hidden.open("w") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)


class Parts:
    """The directory of a sink while a run has it. `named` begins messages."""

    def __init__(self, directory: Path, named: str) -> None:
        self._directory = directory
        self._named = named
        self._lock: int | None = None
        self._state: _State | None = None
        self._is_news = True  # what the file is to say before this run's end

    def lock(self) -> bool:
        """False: another run has it. The lock goes with the process, however that ends."""
        if self._lock is not None:
            return True
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        except (FileExistsError, NotADirectoryError):
            raise InvalidArgumentError(f"{self._named}: it is a file, not a directory") from None
        except OSError as error:
            raise self._unavailable(error) from error
        self._lock = locked(handle)
        return self._lock is not None

    def close(self) -> None:
        """Gives the directory back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def open(self, origin: Origin) -> None:
        """Sees whose parts there are, and mends what a crash left. REQUIRES: lock()."""
        self._state = self._checked(origin)
        if self._state.replacing:
            raise InvalidJobError(
                f"{self._named}: a run(fresh=True) was to replace the parts there, and ended before it did: repeat it"
            )
        known = self._state.origin
        if known.topic_id is not None and known != origin:
            raise InvalidJobError(
                f"{self._named}: the parts there come from {self._other(known, origin)}, so nobody knows which rows "
                "they have: give the sink another directory, or replace the parts by run(fresh=True)"
            )
        self._mend()
        self._is_news = not (self._directory / _STATE).exists()

    def check(self, origin: Origin) -> None:
        """Raises where `start_over` would. REQUIRES: lock()."""
        self._checked(origin)

    def start_over(self, origin: Origin, ends: dict[int, int]) -> None:
        """As `open`, but the parts go when the run has begun. `ends`: where its rows begin. REQUIRES: lock()."""
        self._state = _State(self._checked(origin).origin, ends, replacing=True)
        with self._writing():
            self._save()

    def found(self, origin: Origin) -> None:
        """The topic is there by now."""
        self._known.origin = origin

    def began(self) -> bool:
        """The run has committed: another one goes on behind it. True if that is news."""
        if not self._is_news:
            return False
        with self._writing():
            if self._known.replacing:
                for path, _ in self._files():
                    path.unlink()
                self._sync()
            self._known.replacing = False
            self._save()
        self._is_news = False
        return True

    def next_offset(self, partition: int) -> int:
        """Below it each row is in a part."""
        return self._known.next.get(partition, 0)

    def write(self, part: Part, write: Callable[[Path], None]) -> None:
        """Makes a part. `write` is given the path to write to."""
        path = self._directory / part.hidden
        with self._writing():
            try:
                write(path)
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            except BaseException:
                path.unlink(missing_ok=True)  # a full disk needs the room
                raise
            self._sync()
            self._known.next[part.partition] = part.end
            self._save()
            path.replace(self._directory / part.name)
            self._sync()

    @property
    def _known(self) -> _State:
        assert self._state is not None
        return self._state

    def _checked(self, origin: Origin) -> _State:
        """What is known of the directory, if it is this sink's, or nobody's."""
        state = _State.read(self._directory / _STATE)
        if state is None:
            whose = next((path.name for path, part in self._files() if path.name == part.name), None)
            if whose is not None:
                raise InvalidJobError(
                    f"{self._named}: there is {whose}, but no {_STATE} that says whose it is: give the sink another "
                    "directory"
                )
            return _State(origin)
        known = state.origin
        if (known.job, known.topic, known.kind) != (origin.job, origin.topic, origin.kind):
            raise InvalidJobError(
                f"{self._named}: it belongs to job {known.job!r}, topic {known.topic!r}: give the sink a directory of "
                "its own"
            )
        return state

    def _other(self, known: Origin, origin: Origin) -> str:
        if known.log != origin.log:
            return 'another log (a "memory:" log ends with its process)'
        if origin.topic_id is None:
            return f"topic {known.topic!r}, which is no longer there"
        return f"an earlier topic {known.topic!r}, which was deleted"

    def _mend(self) -> None:
        with self._writing():
            for path, part in self._files():
                counts = part.end <= self.next_offset(part.partition)
                if path.name == part.name and not counts:
                    raise InvalidJobError(
                        f"{self._named}: there is {path.name}, which {_STATE} does not know of: that is an older copy, "
                        "or the part comes from elsewhere. Put back what belongs together, or give the sink another "
                        "directory"
                    )
                if path.name == part.hidden and counts:
                    path.replace(path.with_name(part.name))
                elif path.name == part.hidden:
                    path.unlink()
            self._sync()

    def _files(self) -> list[tuple[Path, Part]]:
        """The parts, also hidden ones."""
        found = ((name, Part.of(name)) for name in sorted(os.listdir(self._directory)))
        return [(self._directory / name, part) for name, part in found if part is not None]

    def _save(self) -> None:
        self._known.write(self._directory / _STATE)
        self._sync()

    def _sync(self) -> None:
        assert self._lock is not None
        os.fsync(self._lock)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """What the file system refuses is told with the sink's name."""
        try:
            yield
        except OSError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> UnavailableError:
        return UnavailableError(
            f"{self._named}: {error.strerror or error}; nothing is lost: run again when the cause is gone"
        )
