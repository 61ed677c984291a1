"""Hung: what becomes of a process whose event loop does not turn any more, because a call that was made on it never returns.

A thread looks every second whether the loop has turned. Where it has not for a minute of looks (a machine that slept, or a process that was
stopped and goes on, has few), it says where every thread stands, writes what waits for the log, and ends the process: who keeps it running
starts another, and the clients of this one see their connections end instead of waiting for ever.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from bedplate.core.errors import InternalError

PATIENCE_S: Final = 60.0
EVERY_S: Final = 1.0


class Watchdog:
    """Looks whether a loop turns, while its context lasts. `turned` grows with its turns; `hung` is called, once, where it does not."""

    def __init__(
        self, turned: Callable[[], float], hung: Callable[[], Any], *, patience_s: float = PATIENCE_S, every_s: float = EVERY_S
    ) -> None:  # fmt: skip
        self._turned = turned
        self._hung = hung
        self._most = patience_s / every_s
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bedplate-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last, looks = self._turned(), 0
        while not self._stop.wait(self._every_s):
            now = self._turned()
            looks, last = (looks + 1 if now == last else 0), now
            if looks >= self._most:
                self._hung()
                return


def end(write: Callable[[], Any]) -> None:
    """Say where every thread stands, have what waits written, and end the process as a mistake of ours."""
    sys.stderr.write(f"bedplate serve: the event loop did not turn for {PATIENCE_S:.0f} s, so this process ends; its threads stand here:\n")
    faulthandler.dump_traceback(all_threads=True)
    write()
    os._exit(InternalError.exit_code)
