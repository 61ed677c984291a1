"""A worker: a forked process that runs one job after another in its main thread, until its controller closes the connection.

Choices: it leads a session of its own (Ctrl-C in the terminal does not reach it; all that it starts can be killed with it) and dies
with the fork server. SIGTERM only sets the flag behind `stopping()`. It ends by `os._exit`, because some native libraries abort
in their exit handlers. It says that it is spent, and is not used again, where a job left processes or threads behind or its handle raised;
the controller lets go of those that it asked to stop.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn, TextIO

from . import machine
from .executor import Handle, MakeHandle, Spent
from .frames import ANSWER, FAILED, JOB, PROGRESS, WHERE_ARE_YOU, Account, account_bytes, pack, receive
from .system import become_subreaper, die_with_parent, flush_c_streams

_BROKEN: Final = 70


def be_worker(
    connection: int, output: int, parent: int, environ: dict[str, str], make_handle: MakeHandle, leave: Callable[[], None],
) -> NoReturn:  # fmt: skip
    """Run in a fresh fork: let go of what is the server's, work on the two descriptors until the connection ends, never return."""
    code = _BROKEN
    try:
        leave()
        os.setsid()
        die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            _settle(output, environ)
            code = _Worker(socket.socket(fileno=connection), make_handle).run()
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        os._exit(code)


def _settle(output: int, environ: dict[str, str]) -> None:
    """Descriptors 0, 1 and 2, the environment, and what forks must not share."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)
    os.environ.update(environ)
    become_subreaper()
    machine.volunteer_for_oom()
    sys.stdout, sys.stderr = _printer(1), _printer(2)
    faulthandler.enable(file=2)
    faulthandler.register(WHERE_ARE_YOU, file=2)
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed()


def _printer(fd: int) -> TextIO:
    """A text stream on descriptor 1 or 2 that writes line by line, so that a log can be followed."""
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


class _Worker:
    def __init__(self, connection: socket.socket, make_handle: MakeHandle) -> None:
        self._connection = connection
        self._make_handle = make_handle
        self._handle: Handle | None = None
        self._stopping = False
        self._sending = threading.Lock()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, _no_one_asked)
        signal.signal(signal.SIGTERM, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))

    def run(self) -> int:
        """Serve jobs; the exit code."""
        while True:
            frame = receive(self._connection)
            if frame is None:
                return 0
            kind, payload = frame
            if kind != JOB:
                return _BROKEN
            self._work(payload)

    def _work(self, payload: bytes) -> None:
        machine.reset_peak()
        kind, spent = ANSWER, False
        try:
            if self._handle is None:
                self._handle = self._make_handle(lambda: self._stopping)
            answer = self._handle(payload, self._report)
        except Spent as reason:
            answer, spent = reason.answer, True
        except BaseException as error:
            kind, spent = FAILED, True
            answer = f"{type(error).__name__}: {error}".encode()
            traceback.print_exc()
        _flush()
        account = account_bytes(Account(cpu_s=_cpu_s(), peak_bytes=_peak_bytes(), spent=spent or _left_something()))
        with self._sending:
            self._connection.sendall(pack(kind, account, answer))

    def _report(self, said: bytes) -> None:
        with self._sending:
            self._connection.sendall(pack(PROGRESS, said))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True


def _no_one_asked(number: int, frame: FrameType | None) -> None:
    """The controller alone decides what stops."""


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    flush_c_streams()


def _left_something() -> bool:
    """Whether the job left a process or thread of its own running, or closed what the next job prints to."""
    own = threading.current_thread()
    threads = any(not thread.daemon for thread in threading.enumerate() if thread is not own)
    return threads or sys.stdout.closed or sys.stderr.closed or _left_children()


def _left_children() -> bool:
    """Whether the job started a process that is still there."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _cpu_s() -> float:
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_bytes() -> int:
    return max(machine.peak_bytes(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
