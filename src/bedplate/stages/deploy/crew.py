"""A crew: processes that predict for one heavy model, so that the event loop never waits for it. Rows travel in shared memory.

Each process has loaded the model itself, and has an anonymous piece of shared memory and a socket: rows are written there, a message of a
few bytes says how many, and predictions come back the same way, without a copy through a pipe. A process works on one batch at a time.

One that dies fails the batch that it had, with what became of it, and is started again; after several deaths in a row nobody is sent
there for growing pauses (`planner/batching/breaker.py`). One that takes longer than `patience_s` for a batch, or does not come up, is
ended, and a batch that found no process for `waits_s` hears that. Deaths are counted, and lie in `news` for who tells of them. Closing the
sockets ends the processes; they also end with their parent.

Limits: Linux (anonymous memory by descriptor). All but `open` and `close` runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import select
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import numpy as np

from bedplate.core.errors import UserError, WorldError
from bedplate.planner.batching.breaker import Breaker, Trust

from .batcher import Died, Finished
from .crew_member import HALF, MOST, Done, Job, pack, unpack

_START_S: Final = 120.0
_END_S: Final = 2.0
_GONE_S: Final = 0.05
"""What a process whose socket is closed may still take to be gone."""
_NEWS: Final = 100
_MESSAGE: Final = 1 << 16

Command = Callable[[int, int], Sequence[str]]
"""What starts a process, given the descriptors of its socket and its memory."""


class Death(NamedTuple):
    """A process died: how, whether it had a batch, and in how many seconds another is started (0: now)."""

    how: str
    had_work: bool
    again_s: float


class _Work:
    """A batch, and who hears of it."""

    __slots__ = ("alarm", "finished", "matrix")

    def __init__(self, matrix: Any, finished: Finished) -> None:
        self.matrix = matrix
        self.finished = finished
        self.alarm: asyncio.TimerHandle | None = None


class _Member:
    """One process."""

    def __init__(self, command: Command) -> None:
        self.work: _Work | None = None
        self.ready = False
        self.overdue_s = 0.0
        self.alarm: asyncio.TimerHandle | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("bedplate-rows", 0)
        try:
            os.ftruncate(memory, MOST)
            self.memory = mmap.mmap(memory, MOST)
            told = [*command(theirs.fileno(), memory)]
            self.process = subprocess.Popen(told, pass_fds=(theirs.fileno(), memory), stdin=subprocess.DEVNULL)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(memory)
        self.socket = ours
        self.socket.setblocking(False)

    def send(self, work: _Work) -> None:
        """Give it a batch. Raises OSError where it is gone."""
        rows = np.ascontiguousarray(work.matrix, dtype=np.float64)
        self.memory[: rows.nbytes] = rows.tobytes()
        self.work = work
        self.socket.send(pack(Job(rows=len(rows), columns=rows.shape[1])))

    def answer(self, done: Done) -> Any:
        """The predictions that it wrote, or what went wrong."""
        if done.error:
            return UserError(done.error, why=done.why) if done.users else ModelFailed(done.error)
        kind = np.dtype(done.kind)
        count = done.rows * max(1, done.columns)
        made = np.frombuffer(self.memory, dtype=kind, count=count, offset=HALF).copy()
        return made.reshape(done.rows, done.columns) if done.columns else made

    def hang_up(self) -> None:
        """Close the socket, which is how it is told to end."""
        if self.alarm is not None:
            self.alarm.cancel()
        self.socket.close()

    def end(self, patience_s: float) -> str:
        """Wait for its end, at last make one; how it ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        code = self.process.returncode
        if self.overdue_s:
            return f"it took longer than {self.overdue_s:g} s, and was ended"
        if code >= 0:
            return f"exit code {code}"
        out_of_memory = ", as a machine does that is out of memory" if code == -signal.SIGKILL else ""
        return f"signal {-code} ({signal.strsignal(-code)}{out_of_memory})"


class ModelFailed(Exception):
    """What the model raised in its process, as text."""


class Crew:
    """The processes of one model version."""

    def __init__(
        self, name: str, command: Command, size: int, *, timer: Callable[[], float], trust: Trust | None = None, patience_s: float = 60.0,
        waits_s: float = 60.0,
    ) -> None:  # fmt: skip
        self.name = name
        self.size = size
        self.deaths = 0
        self.news: deque[Death] = deque(maxlen=_NEWS)
        self.breaker = Breaker(trust)
        self._command = command
        self._timer = timer
        self._patience_s = patience_s
        self._waits_s = waits_s
        self._members: list[_Member] = []
        self._waiting: deque[_Work] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes that are up."""
        return [member.process.pid for member in self._members]

    def open(self) -> None:
        """Start the processes, and wait until each has loaded its model. Raises WorldError where one does not come up."""
        self._members = [_Member(self._command) for _ in range(self.size)]
        for member in self._members:
            if not select.select([member.socket], [], [], _START_S)[0] or not self._hears(member):
                member.hang_up()
                how = member.end(_END_S)
                self.close()
                raise WorldError(f"a process for {self.name} did not come up", why=how, next="look at what it printed")

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer on this loop from now on."""
        self._loop = loop
        for member in self._members:
            loop.add_reader(member.socket.fileno(), self._heard, member)

    def close(self) -> None:
        """End every process; batches that wait hear that they are not worked on."""
        self._closed = True
        members, self._members = self._members, []
        for member in members:
            self._let_go(member)
            member.hang_up()
            self._fail(member.work, Died(f"{self.name} is put away"))
        if members:
            threading.Thread(target=_reap, args=(members,), name="bedplate-crew-end", daemon=True).start()
        while self._waiting:
            self._fail(self._waiting.popleft(), Died(f"{self.name} is put away"))

    def put_away(self) -> None:
        """Close it, from any thread."""
        loop = self._loop
        if loop is None or loop.is_closed():
            self.close()
            return
        with suppress(RuntimeError):  # the loop is closed meanwhile, and its server with it
            loop.call_soon_threadsafe(self.close)

    def start(self, matrix: Any, finished: Finished) -> None:
        """Predict in the first process that is free."""
        if matrix.nbytes > HALF:
            finished(UserError("the batch is too large", why=f"{matrix.nbytes:,} bytes, and {HALF:,} are shared"), 0.0)
            return
        work = _Work(matrix, finished)
        self._waiting.append(work)
        self._give()
        if self._loop is not None and self._waiting and self._waiting[-1] is work:
            work.alarm = self._loop.call_later(self._waits_s, self._unheeded, work)

    def wait_s(self) -> float:
        """How long nobody is sent here, after several deaths."""
        return self.breaker.wait_s(self._timer())

    def _give(self) -> None:
        for member in list(self._members):
            if not self._waiting:
                return
            if member.ready and member.work is None:
                work = self._waiting.popleft()
                if work.alarm is not None:
                    work.alarm.cancel()
                try:
                    member.send(work)
                except OSError:
                    self._died(member)
                    continue
                if self._loop is not None:
                    member.alarm = self._loop.call_later(self._patience_s, self._overdue, member, self._patience_s)

    def _heard(self, member: _Member) -> None:
        """A process has said something, or is gone."""
        done = self._hears(member)
        if done is None:
            self._died(member)
            return
        work, member.work = member.work, None
        if member.alarm is not None:
            member.alarm.cancel()
        if work is not None:
            self.breaker.worked()
            work.finished(member.answer(done), done.seconds)
        self._give()

    def _hears(self, member: _Member) -> Done | None:
        """The next message; None where the process is gone. The first says that it has loaded the model."""
        try:
            told = member.socket.recv(_MESSAGE)
        except OSError:
            return None
        if not told:
            return None
        member.ready = True
        return unpack(told)

    def _overdue(self, member: _Member, seconds: float) -> None:
        """It takes too long: it is ended, and what follows is as for any that dies."""
        member.overdue_s = seconds
        member.process.kill()

    def _unheeded(self, work: _Work) -> None:
        """No process was free for a batch for so long."""
        with suppress(ValueError):  # it was given to one, or failed, meanwhile
            self._waiting.remove(work)
            self._fail(work, Died(f"no process for {self.name} was free", why=f"in {self._waits_s:g} s"))

    def _died(self, member: _Member) -> None:
        if member not in self._members:
            return
        self._members.remove(member)
        self._let_go(member)
        member.hang_up()
        how = member.end(_GONE_S)
        self.deaths += 1
        self.breaker.failed(self._timer())
        self.news.append(Death(how, member.work is not None, self.wait_s()))
        what = f"the process that predicted for {self.name} died"
        self._fail(member.work, Died(what, why=f"{how}; it is started again, and other requests are not touched"))
        wait = self.wait_s()
        if wait > 0.0:
            while self._waiting:
                self._fail(self._waiting.popleft(), Died(what, why=f"{how}; nobody is sent there for {wait:.0f} s"))
        if self._loop is not None and not self._closed:
            self._loop.call_later(wait, self._again)

    def _again(self) -> None:
        """Another process in place of one that died."""
        if self._closed or self._loop is None:
            return
        member = _Member(self._command)
        self._members.append(member)
        self._loop.add_reader(member.socket.fileno(), self._heard, member)
        member.alarm = self._loop.call_later(_START_S, self._overdue, member, _START_S)

    def _let_go(self, member: _Member) -> None:
        if self._loop is not None and not self._loop.is_closed() and member.socket.fileno() >= 0:
            self._loop.remove_reader(member.socket.fileno())

    def _fail(self, work: _Work | None, error: Exception) -> None:
        if work is not None:
            if work.alarm is not None:
                work.alarm.cancel()
            work.finished(error, 0.0)


def _reap(members: list[_Member]) -> None:
    for member in members:
        member.end(_END_S)
