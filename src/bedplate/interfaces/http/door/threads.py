"""Threads that read: each with a connection of its own, so that a long search holds up no other and no write.

Limits: at most `most` requests wait for a thread; a thread opens its connection on first use.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

from bedplate.catalog.catalog import Catalog

from .endpoint import Fault
from .writer import RETRY, Ended


class Read(Protocol):
    """One thing to be read, in whichever thread is free."""

    def run(self, catalog: Catalog) -> Any:
        """Do it; returns the answer."""
        ...


class Threads:
    """A fixed number of threads, and who waits for one."""

    def __init__(self, opens: Callable[[], Catalog], name: str, *, threads: int = 4, most: int = 256) -> None:
        self._opens = opens
        self._most = most
        self._queue: queue.SimpleQueue[tuple[Read, Ended] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=f"bedplate-{name}-{one}", daemon=True) for one in range(threads)]

    def open(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Do what waits, then end."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def waiting(self) -> int:
        """How many wait for a thread."""
        return self._queue.qsize()

    def submit(self, read: Read, ended: Ended) -> None:
        """Queue it. Raises Fault where too many wait."""
        if self._queue.qsize() >= self._most:
            raise Fault("RESOURCE_EXHAUSTED", f"{self._most} requests wait already: send this again in a second", headers=RETRY)
        self._queue.put((read, ended))

    def _run(self) -> None:
        catalog: Catalog | None = None
        while (job := self._queue.get()) is not None:
            read, ended = job
            answer: Any = None
            problem: BaseException | None = None
            try:
                if catalog is None:
                    catalog = self._opens()
                answer = read.run(catalog)
            except Exception as error:  # is raised again where the answer is waited for
                problem = error
            ended(answer, problem)
        if catalog is not None:
            catalog.close()
