"""Connections and forks: neither SQLite's locks nor a server's socket may be used on both sides of one.

So a connection is closed before every fork of this process, and each side opens its own on next use.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forking(Protocol):
    """What is told of a fork of this process."""

    def before_fork(self) -> None:
        """Wait for this process's other threads and close, unless this very thread is inside a transaction."""
        ...

    def after_fork_in_parent(self) -> None:
        """Let the other threads in again."""
        ...

    def after_fork_in_child(self) -> None:
        """Start afresh, where that can be."""
        ...


def close_at_fork(database: Forking) -> None:
    """Have a database told of every fork of this process, for as long as it lives."""
    alive = weakref.ref(database)

    def call(name: str) -> None:
        found = alive()
        if found is not None:
            getattr(found, name)()

    os.register_at_fork(
        before=lambda: call("before_fork"),
        after_in_parent=lambda: call("after_fork_in_parent"),
        after_in_child=lambda: call("after_fork_in_child"),
    )
