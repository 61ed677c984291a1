"""A heart: something that has to be done every few seconds beside what a process is busy with, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Heart:
    """Calls `beat` every `interval_s` seconds between `with` and its end; `problem` says what the last beat failed of.

    A beat that fails is tried again at the next one: a record that cannot be written for a while must not end the beats. At the end a beat
    under way is waited for, for `patience_s` seconds at most (None: however long it takes).
    """

    def __init__(self, name: str, interval_s: float, beat: Callable[[], None], *, patience_s: float | None = None) -> None:
        self.problem = ""
        self._interval_s = interval_s
        self._patience_s = patience_s
        self._beat = beat
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"bedplate-{name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(self._patience_s)

    def _run(self) -> None:
        while not self._over.wait(self._interval_s):
            try:
                self._beat()
                self.problem = ""
            except Exception as error:
                self.problem = f"{type(error).__name__}: {error}"
