"""A job on a worker, as it goes: what it was given, what it took, and why it is being ended."""

from __future__ import annotations

from bedplate.core.records import Cause, Usage

from .ends import WorkerEnd
from .executor import Ended, Job
from .joblog import JobLog
from .meter import Meter, Reading

Key = tuple[str, int, tuple[int, ...]]
"""What a worker must share with a job to run it: fingerprint, threads, accelerators."""


class Running:
    """One job. `began` is None until its worker is there; `cause` is set by whoever decides that it must end."""

    def __init__(self, job: Job, worker: WorkerEnd, key: Key, log: JobLog) -> None:
        self.job = job
        self.key = key
        self.log = log
        self.tried_again = False
        self.began: float | None = None
        self.peak_bytes = 0
        self.cause: Cause = ""
        self.message = ""
        self.kill_at: float | None = None
        self._energy_before = Reading()
        self.put_on(worker)

    def put_on(self, worker: WorkerEnd) -> None:
        """The worker that runs it; `first` says that it is the first job there."""
        self.worker = worker
        self.first = worker.pid is None
        self._cpu_before = worker.cpu_s

    def begin(self, now: float, meter: Meter) -> None:
        """The worker is there: time and energy count from now."""
        self.began = now
        self._energy_before = meter.read()

    def end_as(self, cause: Cause, message: str) -> None:
        """Why it will have ended; the first reason stays."""
        if not self.cause:
            self.cause, self.message = cause, message

    def ended(self, now: float, meter: Meter, payload: bytes) -> Ended:
        """The record of its end, with what it took."""
        cpu_s = max(0.0, self.worker.cpu_s - self._cpu_before)
        joules, basis = meter.energy(self._energy_before, meter.read(), cpu_s, self.key[2])
        usage = Usage(
            wall_s=now - (self.began if self.began is not None else now),
            cpu_s=cpu_s,
            peak_bytes=self.peak_bytes,
            energy_joules=joules,
            energy_basis=basis,
        )
        message = "; ".join(part for part in (self.message, self.log.trouble) if part)
        return Ended(id=self.job.id, cause=self.cause, payload=payload, message=message, usage=usage)
