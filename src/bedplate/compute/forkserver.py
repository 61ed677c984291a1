"""The fork server: a process that has imported the heavy libraries, never uses them, and forks workers on request.

Choices: it is single-threaded and touches nothing native, because a child forked after Polars or deltalake was used hangs or panics
(invariant 6). It is the parent and the sub-reaper of everything its workers start, so a worker's whole tree is killed even where parts
of it left its process group. It ends, and kills what is left, when its controller's process is gone, however that happened.
Limits: Linux (pidfd, prctl). A library that starts threads of its own when imported must survive a fork to be preloaded.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from types import FrameType

from . import machine
from .executor import MakeHandle
from .frames import Exited, Kill, Spawn, Spawned, hear_controller, tell_controller
from .system import become_subreaper
from .worker import be_worker

_LAST_WORDS_S = 5.0


def serve(control: socket.socket, make_handle: MakeHandle, preload: Sequence[str], controller: int) -> None:
    """Import `preload` (what fails to import is left out), then fork workers until the controller's process is gone."""
    become_subreaper()
    for name in preload:
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    sys.stdout.flush()
    gc.collect()
    gc.freeze()
    server = _Server(control, make_handle, controller)
    try:
        server.run()
    finally:
        server.end()


class _Server:
    def __init__(self, control: socket.socket, make_handle: MakeHandle, controller: int) -> None:
        self._control = control
        self._make_handle = make_handle
        self._workers: dict[int, int] = {}
        self._killed = False
        self._selector = selectors.DefaultSelector()
        self._bell, ring = socket.socketpair()
        for end in (self._bell, ring):
            end.setblocking(False)
        self._ring = ring
        signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ring_only)
        signal.signal(signal.SIGINT, _ring_only)
        signal.signal(signal.SIGTERM, self._on_term)
        self._controller = os.pidfd_open(controller)
        self._fds = (control.fileno(), self._bell.fileno(), self._controller)
        for fd in self._fds:
            self._selector.register(fd, selectors.EVENT_READ)

    def run(self) -> None:
        """Until the controller closes its end or its process is gone, or SIGTERM."""
        while not self._killed:
            ready = {key.fd for key, _ in self._selector.select()}
            if self._bell.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    self._bell.recv(4096)
                self._reap()
            if self._controller in ready or (self._control.fileno() in ready and not self._obey()):
                return

    def end(self) -> None:
        """Kill every worker and all they started; returns when nothing is left, or after five seconds."""
        deadline = time.monotonic() + _LAST_WORDS_S
        while time.monotonic() < deadline:
            for pid in (*self._workers.values(), *machine.children(os.getpid())):
                _kill_group(pid)
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.005)
            except ChildProcessError:
                return

    def _obey(self) -> bool:
        try:
            heard = hear_controller(self._control)
        except ConnectionError:
            return False
        if heard is None:
            return False
        message, fds = heard
        if isinstance(message, Spawn):
            self._spawn(message, fds)
        elif isinstance(message, Kill) and message.number in self._workers:
            _kill_group(self._workers[message.number])
        return True

    def _spawn(self, message: Spawn, fds: list[int]) -> None:
        try:
            pid = self._fork(message, fds)
        except OSError as error:
            self._tell(Exited(number=message.number, trouble=f"could not be forked: {error.strerror}"))
        else:
            self._workers[message.number] = pid
            self._tell(Spawned(number=message.number, pid=pid))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))
            for fd in fds:
                os.close(fd)

    def _fork(self, message: Spawn, fds: list[int]) -> int:
        """The new worker's pid. SIGTERM waits until the worker can take it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD))
        server = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            be_worker(fds[0], fds[1], server, message.environ, self._make_handle, self._leave)
        return pid

    def _tell(self, message: Spawned | Exited) -> None:
        """A controller that is gone is noticed where it is heard."""
        with contextlib.suppress(OSError):
            tell_controller(self._control, message)

    def _leave(self) -> None:
        """In a new worker: let go of what is the server's."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._control.close()
        self._bell.close()
        self._ring.close()
        os.close(self._controller)

    def _reap(self) -> None:
        numbers = {pid: number for number, pid in self._workers.items()}
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in numbers:
                _kill_group(pid)
                del self._workers[numbers[pid]]
                cpu_s, peak_bytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
                self._tell(Exited(number=numbers[pid], status=status, cpu_s=cpu_s, peak_bytes=peak_bytes))
        self._sweep()

    def _sweep(self) -> None:
        """Kill what dead workers left to us; each death rings again, until none is left."""
        workers = set(self._workers.values())
        for pid in machine.children(os.getpid()):
            if pid not in workers:
                _kill_group(pid)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self._killed = True


def _ring_only(number: int, frame: FrameType | None) -> None:
    """The wake-up descriptor does the rest."""


def _kill_group(pid: int) -> None:
    """Kill a process and its group, where it leads one."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
