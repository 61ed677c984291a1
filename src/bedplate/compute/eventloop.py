"""One selector: who reacts to which descriptor, and a bell that ends a wait from outside."""

from __future__ import annotations

import contextlib
import os
import selectors
from collections.abc import Callable
from typing import Final

_LONGEST_S: Final = 3600.0


class EventLoop:
    """Blocks in the kernel until something is ready. `ring` may be called from a signal handler or another thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._rung = False
        self._closed = False
        self.watch(self._bell, selectors.EVENT_READ, self._on_bell)

    def watch(self, fd: int, events: int, react: Callable[[int], None]) -> None:
        """Call `react(events)` when the descriptor is ready; no events forgets it."""
        known = fd in self._selector.get_map()
        if not events and known:
            self._selector.unregister(fd)
        elif events and known:
            self._selector.modify(fd, events, react)
        elif events:
            self._selector.register(fd, events, react)

    def turn(self, timeout_s: float) -> None:
        """Wait for at most that long (and an hour), and react once; a reaction may forget descriptors that were ready too."""
        for ready, mask in self._selector.select(min(max(0.0, timeout_s), _LONGEST_S)):
            current = self._selector.get_map().get(ready.fd)
            if current is not None and current.data == ready.data:
                ready.data(mask)

    def ring(self) -> None:
        """End a turn that is waiting, or the next one."""
        if not self._closed:
            os.eventfd_write(self._bell, 1)

    def was_rung(self) -> bool:
        """Whether the bell rang since this was last asked."""
        rung, self._rung = self._rung, False
        return rung

    def close(self) -> None:
        """Give the descriptors back."""
        self._closed = True
        self._selector.close()
        os.close(self._bell)

    def _on_bell(self, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._rung = True
