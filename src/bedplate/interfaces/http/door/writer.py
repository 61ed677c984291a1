"""The writer: one thread, one connection, one transaction for as many writes as wait.

What arrives while a commit is on its way to the disk is committed together by the next one: eight clients cost little more than one.
A write is acknowledged when its transaction is committed, never before. A write has two parts: `ready`, which only reads and may refuse
it without touching the others, and `apply`. Where an `apply` raises, everything is undone and each write is done alone, so that nobody
pays for another's mistake. Limits: at most `MOST` writes wait; a transaction takes no new one after 50 ms.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import BusyError, CatalogError

from .endpoint import Fault

MOST: Final = 2000
BATCH: Final = 256
LONGEST_S: Final = 0.05
AWAY: Final = (CatalogError, BusyError)
"""The record itself cannot be had: no write is then tried alone, for each would wait for all of its patience."""


class Write(Protocol):
    """One write. All of it runs in the writer's thread, and may run again."""

    def ready(self, catalog: Catalog) -> None:
        """Look whether it may be done; changes nothing. Raises what refuses it."""
        ...

    def apply(self, catalog: Catalog) -> Any:
        """Do it; returns the answer."""
        ...


Ended = Callable[[Any, BaseException | None], None]
"""Hears, in the writer's thread, what became of a write: its answer once it is committed, or what it raised."""
Waiting = tuple[Write, Ended]


class Writer:
    """Does writes in the order in which they came."""

    def __init__(self, catalog: Catalog, *, most: int = MOST) -> None:
        self._catalog = catalog
        self._most = most
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._left: list[Waiting] = []
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bedplate-writer", daemon=True)
        self.commits = 0
        self.written = 0

    def open(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Do what waits, then end."""
        with self._lock:
            self._closing = True
            self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    @property
    def waiting(self) -> int:
        """How many writes wait."""
        return self._queue.qsize() + len(self._left)

    def submit(self, write: Write, ended: Ended) -> None:
        """Queue a write. Raises Fault where too many wait."""
        if self._queue.qsize() >= self._most:
            raise Fault("RESOURCE_EXHAUSTED", f"{self._most} writes wait already: send this again in a second", headers=RETRY)
        with self._lock:
            if self._closing:
                raise Fault("TEMPORARILY_UNAVAILABLE", "the server is stopping", headers=RETRY)
            self._queue.put((write, ended))

    def _run(self) -> None:
        ends = False
        while self._left or not ends:
            batch, self._left = self._left, []
            while not ends and len(batch) < BATCH and (not batch or not self._queue.empty()):
                waiting = self._queue.get()
                if waiting is None:
                    ends = True
                else:
                    batch.append(waiting)
            if batch:
                self._do(batch)

    def _do(self, batch: list[Waiting]) -> None:
        done: list[tuple[Ended, Any, BaseException | None]] = []

        def work() -> None:
            done.clear()
            started = time.monotonic()
            for number, (write, ended) in enumerate(batch):
                if number and time.monotonic() - started > LONGEST_S:
                    break
                try:
                    write.ready(self._catalog)
                except AWAY:
                    raise
                except Exception as error:  # a refusal, or a mistake of ours: the others go on
                    done.append((ended, None, error))
                else:
                    done.append((ended, write.apply(self._catalog), None))

        try:
            self._catalog.together(work)
        except AWAY as error:
            done = [(ended, None, error) for _, ended in batch]
        except Exception as error:  # whatever one write raised undoes all; each is then done alone
            if len(batch) > 1:
                for one in batch:
                    self._do([one])
                return
            done = [(batch[0][1], None, error)]
        else:
            self.commits += 1
        self.written += len(done)
        self._left = batch[len(done) :] + self._left
        for ended, answer, problem in done:
            ended(answer, problem)


RETRY: Final = ((b"retry-after", b"1"),)
