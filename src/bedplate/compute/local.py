"""Runs jobs on this machine: a fork server, its workers, and the limits that jobs declare.

Choices: one event loop in `wait`, blocked in the kernel while nothing happens; memory is looked at only while a job with a memory
limit runs. A worker runs many jobs of one fingerprint and is let go after any failure. There is a fork server for each number of
threads asked for, because native libraries size their pools when they are imported. A job that was never begun when its server died
is begun again on the next one, once.

Limits: `cpu=` shares out slots and sizes thread pools, but a step that starts more processes than it asked for is not held back.
Memory is watched every 50 ms (less often where looking itself takes long), so a limit can be overrun for that long. Not for use
from two threads, nor after a fork.
"""

from __future__ import annotations

import itertools
import math
import os
import signal
from collections.abc import Sequence

from bedplate.core.clock import Clock, SystemClock
from bedplate.core.errors import InternalError, WorldError
from bedplate.core.records import Cause
from bedplate.core.units import show_bytes, show_seconds

from . import machine
from .ends import ServerEnd, WorkerEnd, environment, how_it_ended
from .eventloop import EventLoop
from .executor import Ended, Job, Progress
from .frames import ANSWER, BROKEN, FAILED, JOB, PROGRESS, WHERE_ARE_YOU, Exited, Spawned, pack, split_account
from .joblog import JobLog
from .meter import Meter
from .nvml import Accelerators
from .running import Key, Running
from .slots import Slots

_LOOK_S = 0.05
_LOOK_SHARE = 20
_GRACE_S = 2.0
_PATIENCE_S = 6.0


def _threads(cpu: float) -> int:
    return max(1, math.ceil(cpu))


class LocalExecutor:
    """`command` starts a fork server (`python -m bedplate work`), with `--preload` the modules it imports before it forks.

    `cpu`, `gpu`, `memory_bytes`: what may be used at once; 0 is all of this machine (no accelerator for `gpu`). `log_limit_bytes`: how
    much of a job's output is kept. `watts`: power of the busy machine where no meter is readable.
    """

    def __init__(
        self, command: Sequence[str], *, cpu: float = 0, memory_bytes: int = 0, gpu: int = 0, log_limit_bytes: int = 10_000_000,
        preload: Sequence[str] = (), watts: float = 0.0, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        cpus = machine.cpu_count()
        self._total = Slots(cpu=cpu or cpus, gpu=gpu, memory_bytes=memory_bytes or machine.memory_bytes())
        self._command = tuple(command)
        self._preload = tuple(preload)
        self._log_limit = log_limit_bytes
        self._clock = clock or SystemClock()
        self._meter = Meter(watts / cpus, accelerators=Accelerators() if gpu else None)
        self._numbers = itertools.count()
        self._servers: dict[int, ServerEnd] = {}
        self._workers: dict[int, WorkerEnd] = {}
        self._running: dict[str, Running] = {}
        self._by_worker: dict[int, Running] = {}
        self._idle: list[tuple[Key, WorkerEnd]] = []
        self._free_gpus = list(range(gpu))
        self._events: list[Progress | Ended] = []
        self._look_at = 0.0
        self._oom_kills = machine.oom_kills()
        self._loop = EventLoop()
        self._closed = False

    @property
    def total(self) -> Slots:
        """What there is when nothing runs."""
        return self._total

    def free(self) -> Slots:
        """What is left beside the running jobs."""
        free = self._total
        for running in self._running.values():
            free = free.minus(running.job.needs)
        return free

    def warm(self, cpu: float = 1.0) -> None:
        """Start the fork server for jobs that need `cpu` processors now, so that it preloads while the caller still plans."""
        self._server_for(_threads(cpu))

    def start(self, job: Job) -> None:
        """Give a job to an idle worker of its fingerprint, or to a new one. Raises WorldError where no fork server starts."""
        if job.id in self._running:
            raise InternalError(f"job {job.id} is running already", next="report this: an id was started twice")
        if self._idle:
            self._loop.turn(0.0)
        gpus = tuple(self._free_gpus[: job.needs.gpu])
        key = (job.fingerprint, _threads(job.needs.cpu), gpus)
        running = Running(job, self._worker_for(key), key, JobLog(job.log, self._log_limit, job.secrets))
        del self._free_gpus[: job.needs.gpu]
        self._enter(running)

    def wait(self, timeout_s: float) -> list[Progress | Ended]:
        """What happened; see Executor."""
        deadline = self._clock.monotonic() + timeout_s
        while True:
            now = self._clock.monotonic()
            next_look = self._enforce(now)
            if self._loop.was_rung() or self._events or now >= deadline:
                events, self._events = self._events, []
                return events
            self._loop.turn(min(deadline, next_look) - now)

    def wake(self) -> None:
        """Make a wait that is going on return at once."""
        self._loop.ring()

    def cancel(self, job_id: str, grace_s: float) -> None:
        """Ask a job to stop; kill it after the grace. Asked again, the sooner of the two counts."""
        running = self._running.get(job_id)
        if running is None:
            return
        if running.cause and running.kill_at is not None:
            running.kill_at = min(running.kill_at, self._clock.monotonic() + grace_s)
        elif not running.cause:
            self._end_early(running, "cancelled", f"{running.job.called} was stopped on request", grace_s)

    def stop(self, grace_s: float) -> None:
        """Cancel every running job."""
        for job_id in tuple(self._running):
            self.cancel(job_id, grace_s)

    def close(self) -> None:
        """End every process and give everything back."""
        if self._closed:
            return
        self._closed = True
        for running in self._running.values():
            running.log.close()
        for worker in self._workers.values():
            worker.close()
        for server in self._servers.values():
            server.close(_PATIENCE_S)
        for known in (self._running, self._by_worker, self._workers, self._servers, self._idle):
            known.clear()
        self._loop.close()

    # Workers and servers

    def _worker_for(self, key: Key) -> WorkerEnd:
        for at, (had, worker) in enumerate(self._idle):
            if had == key:
                del self._idle[at]
                return worker
        while self._idle and len(self._workers) >= math.ceil(self._total.cpu):
            self._let_go(self._idle.pop(0)[1])
        order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # the driver's numbers, which its meters go by
        environ = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, key[2])), **order} if self._total.gpu else {}
        server = self._server_for(key[1])
        try:
            worker = WorkerEnd(next(self._numbers), server, environ, self._loop.watch, self._on_frame, self._on_output)
        except OSError as error:
            raise WorldError(
                f"a worker could not be started: {error.strerror}", why="it needs a socket and a pipe", next="bedplate doctor"
            ) from error
        self._workers[worker.number] = worker
        return worker

    def _server_for(self, threads: int) -> ServerEnd:
        if threads not in self._servers:
            preload = ("--preload", ",".join(self._preload)) if self._preload else ()
            environ = environment(os.environ, threads)
            self._servers[threads] = ServerEnd((*self._command, *preload), environ, self._loop.watch, self._on_server)
        return self._servers[threads]

    def _let_go(self, worker: WorkerEnd) -> None:
        worker.close()
        worker.kill()
        self._workers.pop(worker.number, None)

    def _on_server(self, server: ServerEnd, heard: Spawned | Exited | None) -> None:
        if heard is None:
            self._on_server_lost(server)
            return
        worker = self._workers.get(heard.number)
        if worker is None:
            return
        if isinstance(heard, Spawned):
            server.proved = True
            worker.pid = heard.pid
            running = self._by_worker.get(worker.number)
            if running is not None:
                self._begin(running)
            return
        worker.drain_frames()
        self._on_worker_exit(worker, heard)

    def _on_worker_exit(self, worker: WorkerEnd, exited: Exited) -> None:
        running = self._by_worker.get(worker.number)
        if running is not None and running.first:
            running.peak_bytes = max(running.peak_bytes, exited.peak_bytes)
        if running is not None and exited.status & 0x7F == signal.SIGKILL and not running.cause and self._kernel_killed():
            running.end_as("memory", f"{running.job.called} was killed by the kernel: this machine ran out of memory")
        self._on_worker_lost(worker, exited.cpu_s, exited.trouble or how_it_ended(exited.status))

    def _on_server_lost(self, server: ServerEnd) -> None:
        self._servers = {threads: one for threads, one in self._servers.items() if one is not server}
        how = server.close(1.0)
        orphans = [worker for worker in self._workers.values() if worker.server is server]
        for worker in orphans:
            worker.kill_group()
            worker.drain_frames()
            running = self._by_worker.get(worker.number)
            if running is not None and running.began is None and not running.tried_again and not running.cause:
                self._try_again(running)
            else:
                self._on_worker_lost(worker, worker.cpu_s, f"went down with its fork server, which {how}")

    def _try_again(self, running: Running) -> None:
        """A server that died before the job began (while it imported, say): the next one goes without preloading."""
        self._preload = () if not running.worker.server.proved else self._preload
        self._by_worker.pop(running.worker.number)
        self._let_go(running.worker)
        running.tried_again = True
        running.put_on(self._worker_for(running.key))
        self._enter(running)

    def _on_worker_lost(self, worker: WorkerEnd, cpu_s: float, how: str) -> None:
        self._idle = [(key, one) for key, one in self._idle if one is not worker]
        running = self._by_worker.get(worker.number)
        if running is not None:
            worker.cpu_s = max(cpu_s, worker.cpu_s)
            running.end_as("lost", f"the worker of {running.job.called} {how}")
            self._finish(running)
        worker.close()
        self._workers.pop(worker.number, None)

    def _kernel_killed(self) -> bool:
        before, self._oom_kills = self._oom_kills, machine.oom_kills()
        return self._oom_kills > before

    # Jobs

    def _enter(self, running: Running) -> None:
        self._running[running.job.id] = running
        self._by_worker[running.worker.number] = running
        if running.worker.pid is not None:
            self._begin(running)
        running.worker.send(pack(JOB, running.job.payload))

    def _begin(self, running: Running) -> None:
        """The worker is there: its time counts from now."""
        running.begin(self._clock.monotonic(), self._meter)
        if running.cause:
            running.worker.signal(signal.SIGTERM)

    def _on_output(self, worker: WorkerEnd, data: bytes) -> None:
        running = self._by_worker.get(worker.number)
        if running is not None:
            running.log.write(data)

    def _on_frame(self, worker: WorkerEnd, kind: int, payload: bytes) -> None:
        running = self._by_worker.get(worker.number)
        if running is None:
            return
        if kind == PROGRESS:
            self._events.append(Progress(id=running.job.id, payload=payload))
        elif kind == BROKEN:
            running.end_as("lost", f"the worker of {running.job.called} sent what is no answer: {payload.decode()}")
            worker.kill()
        elif kind in (ANSWER, FAILED):
            account, answer = split_account(payload)
            worker.cpu_s = account.cpu_s
            running.peak_bytes = max(running.peak_bytes, account.peak_bytes)
            if kind == FAILED:
                running.end_as("lost", f"{running.job.called} could not answer: {answer.decode(errors='replace')}")
            self._finish(running, b"" if kind == FAILED else answer)
            if account.spent or running.cause:
                self._let_go(worker)
            else:
                self._idle.append((running.key, worker))

    def _finish(self, running: Running, payload: bytes = b"") -> None:
        running.worker.drain_output()
        running.log.close()
        del self._running[running.job.id], self._by_worker[running.worker.number]
        self._free_gpus = sorted({*self._free_gpus, *running.key[2]})
        self._events.append(running.ended(self._clock.monotonic(), self._meter, payload))

    # Limits

    def _enforce(self, now: float) -> float:
        """Act on every limit that is reached; the time of the next look."""
        next_look = math.inf
        looking = now >= self._look_at
        for running in tuple(self._running.values()):
            needs = running.job.needs
            if running.kill_at is not None and now >= running.kill_at:
                running.kill_at = None
                running.worker.kill()
            if needs.time_s is not None and running.began is not None and not running.cause:
                self._check_time(running, now, needs.time_s)
                next_look = min(next_look, running.began + needs.time_s if not running.cause else math.inf)
            if needs.memory_bytes is not None and running.began is not None:
                if looking:
                    self._check_memory(running, needs.memory_bytes)
                    took = self._clock.monotonic() - now
                    self._look_at = now + took + max(_LOOK_S, took * _LOOK_SHARE)
                next_look = min(next_look, self._look_at)
            next_look = min(next_look, running.kill_at or math.inf)
        return next_look

    def _check_time(self, running: Running, now: float, limit_s: float) -> None:
        if running.began is not None and now >= running.began + limit_s:
            running.worker.signal(WHERE_ARE_YOU)
            self._end_early(running, "time", f"{running.job.called} ran longer than its limit of {show_seconds(limit_s)}", _GRACE_S)

    def _check_memory(self, running: Running, limit_bytes: int) -> None:
        assert running.worker.pid is not None
        taken = machine.tree_bytes(running.worker.pid, limit_bytes)
        running.peak_bytes = max(running.peak_bytes, taken)
        if taken > limit_bytes:
            message = f"{running.job.called} took {show_bytes(taken)} of memory, more than its limit of {show_bytes(limit_bytes)}"
            running.end_as("memory", message)
            running.worker.kill()

    def _end_early(self, running: Running, cause: Cause, message: str, grace_s: float) -> None:
        running.end_as(cause, message)
        running.kill_at = self._clock.monotonic() + grace_s
        running.worker.signal(signal.SIGTERM)
