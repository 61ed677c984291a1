"""Due work beside the server: `bedplate run --due --loop` as a child that is started again, with growing pauses, when it ends.

A child of its own, because it imports the project's code and runs for hours: neither may hold up an answer. Each line that it prints is
handed on. It is told to stop with the server (SIGTERM, and the steps that it runs checkpoint), and killed where it does not within 30 s.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

from bedplate.core.clock import Clock

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
SETTLED_S: Final = 60.0
"""A child that lived so long starts again after the shortest pause."""
_PATIENCE_S: Final = 30.0


def pause_after(lived_s: float, before_s: float) -> float:
    """Seconds until a child is started again, given how long it lived and the pause before that."""
    return FIRST_PAUSE_S if lived_s >= SETTLED_S else min(max(before_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)


class Child:
    """One child process, kept alive between `open` and `close`. `heard` is called with each line, in a thread of its own."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], clock: Clock, heard: Callable[[str], None]) -> None:
        self._command = list(command)
        self._environ = dict(environ)
        self._clock = clock
        self._heard = heard
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="bedplate-due", daemon=True)
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def open(self) -> None:
        """Start it."""
        self._thread.start()

    def close(self) -> None:
        """Have it stop, and wait until it did."""
        with self._lock:
            self._over.set()
            process = self._process
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)
        if process is not None and process.poll() is None:
            process.kill()
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._over.is_set():
            began = self._clock.monotonic()
            code = self._live()
            if self._over.is_set():
                return
            pause_s = pause_after(self._clock.monotonic() - began, pause_s)
            self._heard(f"due work ended (exit code {code}); it is started again in {pause_s:.0f} s")
            self._over.wait(pause_s)

    def _live(self) -> int:
        with self._lock:
            if self._over.is_set():
                return 0
            self.starts += 1
            process = self._process = subprocess.Popen(
                self._command, env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        assert process.stdout is not None
        self._listen(process.stdout)
        return process.wait()

    def _listen(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._heard(line.rstrip("\n"))
