"""What can go wrong, as classes::

    WracklineError
    ├── InvalidArgumentError (ValueError)      a call that cannot mean anything
    │   └── InvalidJobError                    a job that cannot be built, or not be started as it is
    ├── NotYetError (NotImplementedError)      right, but it comes with a later version
    ├── NotFoundError (LookupError)            a topic, job or log that does not exist
    ├── AlreadyExistsError                     one that exists already
    ├── UnavailableError                       locked, not writable, full: try again when the cause is gone
    ├── FencedError                            another process has taken over; this one must stop
    ├── CorruptionError                        bytes are not what was written; nothing was overwritten
    └── JobFailedError                         a run ended for any other reason

The text of an error names the step, the column or the setting, and what would be right. A program that has to
decide what to do next looks at the class alone.
"""

from __future__ import annotations

__all__ = [
    "AlreadyExistsError",
    "CorruptionError",
    "FencedError",
    "InvalidArgumentError",
    "InvalidJobError",
    "JobFailedError",
    "NotFoundError",
    "NotYetError",
    "UnavailableError",
    "WracklineError",
]


class WracklineError(Exception):
    """The base of all errors of this package."""


class InvalidArgumentError(WracklineError, ValueError):
    """A call that cannot mean anything: change the call."""


class InvalidJobError(InvalidArgumentError):
    """A job that cannot be built, or cannot be started as it is: change the job.

    Raised by the call that makes the mistake, wherever it can be seen without the log.
    """


class NotYetError(WracklineError, NotImplementedError):
    """Part of the design, but not of this version."""


class NotFoundError(WracklineError, LookupError):
    """A topic, job or log that does not exist. The text has the nearest name that does."""


class AlreadyExistsError(WracklineError):
    """Something of that name exists, and is not the same."""


class UnavailableError(WracklineError):
    """Locked by another process, not writable, or full. Nothing is lost: run again when the cause is gone."""


class FencedError(WracklineError):
    """Another process runs this job now. What this one had not committed is dropped."""


class CorruptionError(WracklineError):
    """Bytes on disk are not what was written. Nothing was overwritten."""


class JobFailedError(WracklineError):
    """A run ended by something that trying again does not mend."""
