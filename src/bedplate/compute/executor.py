"""The port: what a run loop may ask of any place that runs jobs.

A job is bytes in and bytes out. Every job that was started ends in exactly one `Ended`, whatever its process did; the executor
goes on. Executors are used from one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bedplate.core.parameters import Secret
from bedplate.core.project import Needs
from bedplate.core.records import Cause, Record, Usage

from .slots import Slots

Handle = Callable[[bytes, Callable[[bytes], None]], bytes]
"""`handle(payload, report) -> answer`, in the worker's main thread; `report(bytes)` arrives as a Progress."""
MakeHandle = Callable[[Callable[[], bool]], Handle]
"""`worker_handler(stopping) -> handle`: called once in each worker; `stopping()` is true once the job was asked to stop."""


class Spent(Exception):
    """Raised by a handle instead of returning: `answer` is the answer, and its process must not run another job.

    For a step that failed or left something behind; the job itself ends as if `answer` had been returned.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__("answered; not to be used again")
        self.answer = answer


class Job(Record, frozen=True, kw_only=True):
    """Work for a worker. `name` is what messages call it; what it prints is appended to `log` (no file where it prints nothing).

    `secrets` are masked in its log. A worker is never reused for a job with another `fingerprint` (the digest of the project's code).
    """

    id: str
    payload: bytes
    needs: Needs = Needs()
    log: Path
    fingerprint: str = ""
    name: str = ""
    secrets: tuple[Secret, ...] = ()

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.name or self.id


class Progress(Record, frozen=True, kw_only=True):
    """What a running job reported."""

    id: str
    payload: bytes


class Ended(Record, frozen=True, kw_only=True):
    """How a job ended. `cause` "" means that it answered with `payload`.

    `memory` and `time`: a limit was hit, and `message` names it; `lost`: its process died or could not answer, and `message` says
    by which signal, exit code or exception; `cancelled`: it was asked to stop. A job that answered in the grace it was given after
    `time` or `cancelled` has its `payload` too.
    """

    id: str
    cause: Cause = ""
    payload: bytes = b""
    message: str = ""
    usage: Usage = Usage()


class Executor(Protocol):
    """Runs jobs."""

    @property
    def total(self) -> Slots:
        """What it has when nothing runs."""
        ...

    def free(self) -> Slots:
        """What it has now; give it to `pick`."""
        ...

    def start(self, job: Job) -> None:
        """Begin a job; never waits for it. Raises InternalError for an id that is running."""
        ...

    def wait(self, timeout_s: float) -> list[Progress | Ended]:
        """What happened since the last call, in order; waits until something does, `wake` is called or the time is over ([])."""
        ...

    def wake(self) -> None:
        """Make a wait that is going on return at once. May be called from a signal handler or another thread."""
        ...

    def cancel(self, job_id: str, grace_s: float) -> None:
        """Ask a job to stop; kill it after the grace; asked again, the sooner counts. It ends as `cancelled`.

        An id that is not running is ignored.
        """
        ...

    def stop(self, grace_s: float) -> None:
        """Cancel every running job; `wait` then brings their ends. Does not wait itself."""
        ...

    def close(self) -> None:
        """End every process, running jobs too, and give everything back. May be called twice."""
        ...
