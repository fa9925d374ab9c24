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
    """The base of all errors of this package.

    >>> import wrackline as wl
    >>> try:
    ...     wl.tumbling("5 minutes")
    ... except wl.WracklineError as error:
    ...     print(type(error).__name__)
    InvalidJobError
    """


class InvalidArgumentError(WracklineError, ValueError):
    """A call that cannot mean anything: change the call.

    >>> import wrackline as wl
    >>> wl.from_records([{"v": 2**70}])
    Traceback (most recent call last):
    wrackline.errors.InvalidArgumentError: from_records: row 0, column "v": 1180591620717411303424 does not fit int64
    """


class InvalidJobError(InvalidArgumentError):
    """A job that cannot be built, or cannot be started as it is: change the job.

    Raised by the call that makes the mistake, wherever it can be seen without the log.

    >>> import wrackline as wl
    >>> wl.Job("example").read(wl.from_records([{"ts": 1}]), time="t")
    Traceback (most recent call last):
    wrackline.errors.InvalidJobError: read: time="t" is no column; did you mean 'ts'?
    """


class NotYetError(WracklineError, NotImplementedError):
    """Part of the design, but not of this version.

    >>> import wrackline as wl
    >>> raise wl.NotYetError("joins come with a later version")
    Traceback (most recent call last):
    wrackline.errors.NotYetError: joins come with a later version
    """


class NotFoundError(WracklineError, LookupError):
    """A topic, job or log that does not exist. The text has the nearest name that does.

    >>> import wrackline as wl
    >>> log = wl.Log("memory:")
    >>> log.create("readings")
    >>> log.read("reading")
    Traceback (most recent call last):
    wrackline.errors.NotFoundError: no topic 'reading'; did you mean 'readings'?
    """


class AlreadyExistsError(WracklineError):
    """Something of that name exists, and is not the same.

    >>> import wrackline as wl
    >>> log = wl.Log("memory:")
    >>> log.create("readings", partitions=2)
    >>> log.create("readings", partitions=3)
    Traceback (most recent call last):
    wrackline.errors.AlreadyExistsError: topic 'readings' exists with 2 partitions, not 3
    """


class UnavailableError(WracklineError):
    """Locked by another process, not writable, or full. Nothing is lost: run again when the cause is gone.

    >>> import wrackline as wl
    >>> log = wl.Log("memory:")
    >>> log.create("readings")
    >>> job = wl.Job("example", log=log)
    >>> job.read("readings", {"ts": int}, time="ts", out_of_orderness="30s").write("out")
    >>> with job.start():
    ...     job.run()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    wrackline.errors.UnavailableError: job 'example' runs already, in this process and on this log: ...
    """


class FencedError(WracklineError):
    """Another process runs this job now. What this one had not committed is dropped.

    A program that is started again by a supervisor just ends::

        try:
            job.run()
        except wl.FencedError:
            sys.exit("this job runs elsewhere")
    """


class CorruptionError(WracklineError):
    """Bytes on disk are not what was written. Nothing was overwritten.

    Keep the files, and start on a log that is whole::

        try:
            job.run()
        except wl.CorruptionError as error:
            sys.exit(f"look at the disk before anything else: {error}")
    """


class JobFailedError(WracklineError):
    """A run ended by something that trying again does not mend.

    >>> import wrackline as wl
    >>> rows = wl.Job("example").read(wl.from_records([{"v": 0, "ts": 1}]), time="ts")
    >>> rows.map(lambda v: 1 / v, returns={"x": float}, on_error="fail").collect()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    wrackline.errors.JobFailedError: step 'map': ZeroDivisionError: division by zero (...
    """
