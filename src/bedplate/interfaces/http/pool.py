"""Pool: the threads in which slow calls of the project are made, and what becomes of a call that never returns.

A call that takes longer than `patience_s` is given up: whoever waited hears it, and another thread takes the place of the one that is held,
which ends with the call, if ever it does. Threads are daemons: one that is held keeps no server from ending.

Limit: a thread cannot be ended from outside. At most `MOST_LOST` are held so; beyond that none takes their place, and calls are given up
until one returns.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

PATIENCE_S: Final = 60.0
MOST_LOST: Final = 32
AWAY: Final = 32
"""Threads for calls that wait for other servers."""
_END_S: Final = 5.0
"""What the calls that still run may take when the server ends."""

Result = TypeVar("Result")


class GivenUp(Exception):
    """A call that did not return in time; `begun`: it holds a thread, else it was never made."""

    def __init__(self, seconds: float, *, begun: bool) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.begun = begun


class _Job:
    __slots__ = ("call", "heard", "over", "thread")

    def __init__(self, call: Callable[[], Any], heard: Callable[[Any, BaseException | None], None]) -> None:
        self.call = call
        self.heard = heard
        self.over = False
        self.thread: threading.Thread | None = None


class Pool:
    """Threads that calls share. Each service and model has its own, a `branch` of one: who is slow, or hangs, holds up nobody else."""

    def __init__(self, threads: int = 0, *, patience_s: float = PATIENCE_S) -> None:
        self.size = threads or max(4, os.cpu_count() or 1)
        self.patience_s = patience_s
        self._lost = 0
        self._branches: list[Pool] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._free = 0
        self._wanted = 0
        """Jobs that no thread has taken up, as `_free` counts those: the queue itself is ahead of both."""
        self._away: Pool | None = None

    def branch(self) -> Pool:
        """Threads of their own, which end with these."""
        made = Pool(self.size, patience_s=self.patience_s)
        self._branches.append(made)
        return made

    @property
    def lost(self) -> int:
        """Threads that are held by calls that were given up, those of branches among them."""
        return self._lost + sum(one.lost for one in self._branches)

    @property
    def away(self) -> Pool:
        """The threads of calls that wait for other servers: many, and of their own, so that one that hangs holds up no other call."""
        if self._away is None:
            self._away = Pool(AWAY, patience_s=self.patience_s)
            self._branches.append(self._away)
        return self._away

    @property
    def waiting(self) -> int:
        """Calls that no thread has taken up."""
        return self._jobs.qsize()

    async def run(self, call: Callable[[], Result], patience_s: float | None = None) -> Result:
        """Make the call in a thread. Raises what it raises, and GivenUp."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def told(made: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(made)
            else:
                future.set_exception(error)

        def heard(made: Any, error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(told, made, error)

        job, seconds = _Job(call, heard), self.patience_s if patience_s is None else patience_s
        self._put(job)
        alarm = loop.call_later(seconds, lambda: told(None, GivenUp(seconds, begun=self._give_up(job))))
        try:
            return await future
        finally:
            alarm.cancel()

    def wait(self, call: Callable[[], Result], patience_s: float) -> Result:
        """Make the call in a thread, and wait for it in this one. Raises what it raises, and GivenUp."""
        ended: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        job = _Job(call, lambda made, error: ended.put((made, error)))
        self._put(job)
        try:
            made, error = ended.get(timeout=patience_s)
        except Empty:
            raise GivenUp(patience_s, begun=self._give_up(job)) from None
        if error is not None:
            raise error
        result: Result = made
        return result

    def close(self) -> None:
        """Take no more, and wait a while for the calls that run."""
        threads, until = self._end(), time.monotonic() + _END_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _end(self) -> list[threading.Thread]:
        """Tell every thread, those of branches too, to end after its call."""
        with self._lock:
            threads = list(self._threads)
            for _ in threads:
                self._jobs.put(None)
        return [*threads, *(thread for one in self._branches for thread in one._end())]

    def _put(self, job: _Job) -> None:
        self._jobs.put(job)
        with self._lock:
            self._wanted += 1
            if self._free < self._wanted and len(self._threads) < self.size:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="bedplate-call", daemon=True)
        self._threads.add(thread)
        self._free += 1
        thread.start()

    def _give_up(self, job: _Job) -> bool:
        """Let a job go; whether a thread is held by it, in whose place another is started."""
        with self._lock:
            job.over = True
            if job.thread is None:
                return False
            self._lost += 1
            if self._lost <= MOST_LOST:
                self._threads.discard(job.thread)
                self._start()
            return True

    def _work(self) -> None:
        this = threading.current_thread()
        while (job := self._jobs.get()) is not None:
            with self._lock:
                self._wanted -= 1
                if job.over:
                    continue
                job.thread = this
                self._free -= 1
            made, error = None, None
            try:
                made = job.call()
            except BaseException as raised:  # whoever waits hears it
                error = raised
            job.heard(made, error)
            with self._lock:
                self._lost -= job.over
                if this not in self._threads:
                    return
                self._free += 1
        with self._lock:
            self._threads.discard(this)
