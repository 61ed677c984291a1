"""Runs jobs in this process, one at a time: for tests, notebooks and `compute = inline`.

Choices: `start` only queues and `wait` runs what is queued, for 20 ms or one job, so that the call shape is that of every executor. It
takes twice as many jobs as it ended in the last wait (1 to 64), so that what surrounds a job is paid once for many where jobs are short,
and no job waits behind a long one. Limits: nothing is enforced (time, memory, processors are only measured), output goes where this
process's output goes, and a job that ends the process ends the run. Progress arrives with the end of its job.
"""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Callable

from bedplate.core.errors import InternalError
from bedplate.core.records import Cause, Usage

from .executor import Ended, Handle, Job, Progress, Spent
from .slots import Slots

_ROOM = Slots(cpu=1e9, gpu=1 << 30, memory_bytes=1 << 62)
_MOST = 64


class InlineExecutor:
    """`handle` as in a worker; `sleep` is how an idle `wait` passes its time; `turn_s` for how long a `wait` begins jobs."""

    def __init__(
        self, handle: Handle, *, watts_per_cpu: float = 0.0, sleep: Callable[[float], None] = time.sleep,
        turn_s: float = 0.02,
    ) -> None:  # fmt: skip
        self._handle = handle
        self._turn_s = turn_s
        self._watts = watts_per_cpu
        self._sleep = sleep
        self._queue: deque[Job] = deque()
        self._events: list[Progress | Ended] = []
        self._takes = 1

    @property
    def total(self) -> Slots:
        """Room for any one job."""
        return _ROOM

    def free(self) -> Slots:
        """Room for as many jobs as it takes beside those that are queued, each counted by its processors; for any one where none is."""
        room = self._takes - len(self._queue)
        return Slots(cpu=room, gpu=_ROOM.gpu, memory_bytes=_ROOM.memory_bytes, busy=len(self._queue)) if room > 0 else Slots(busy=1)

    def start(self, job: Job) -> None:
        """Queue a job for the next `wait`."""
        if any(other.id == job.id for other in self._queue):
            raise InternalError(f"job {job.id} is running already", next="report this: an id was started twice")
        self._queue.append(job)

    def wait(self, timeout_s: float) -> list[Progress | Ended]:
        """Run queued jobs to their end until its turn is over, or pass the time where there is none."""
        if not self._queue and not self._events:
            self._sleep(timeout_s)
        over, ended = time.perf_counter() + self._turn_s, 0
        while self._queue and (not ended or time.perf_counter() < over):
            self._run(self._queue.popleft())
            ended += 1
        self._takes = min(max(1, 2 * ended), _MOST)
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """Nothing to do: a wait here runs a job in the caller's own thread."""

    def cancel(self, job_id: str, grace_s: float) -> None:
        """Take a job out of the queue."""
        for job in [job for job in self._queue if job.id == job_id]:
            self._queue.remove(job)
            self._events.append(Ended(id=job.id, cause="cancelled", message=f"{job.called} was stopped before it began"))

    def stop(self, grace_s: float) -> None:
        """Empty the queue."""
        for job in tuple(self._queue):
            self.cancel(job.id, grace_s)

    def close(self) -> None:
        """Forget what is queued."""
        self._queue.clear()

    def _run(self, job: Job) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        answer, message = b"", ""
        cause: Cause = ""
        try:
            answer = self._handle(job.payload, lambda said: self._events.append(Progress(id=job.id, payload=said)))
        except Spent as spent:
            answer = spent.answer
        except KeyboardInterrupt:
            self._events.append(Ended(id=job.id, cause="cancelled", message="stopped on request"))
            raise
        except Exception as error:
            cause, message = "lost", f"{job.called} could not answer: {type(error).__name__}: {error}"
        cpu = time.process_time() - cpu
        usage = Usage(
            wall_s=time.perf_counter() - wall,
            cpu_s=cpu,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            energy_joules=cpu * self._watts,
            energy_basis="assumed" if self._watts else "unknown",
        )
        self._events.append(Ended(id=job.id, cause=cause, payload=answer, message=message, usage=usage))
