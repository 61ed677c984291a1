"""The executor of a workspace: made for a run that needs one and ended with it, or kept for the next run.

Whoever does run after run keeps it (`bedplate run --due`): starting a fork server that imports the libraries takes longer than a small
step. It belongs to one loaded project, so no worker outlives an edit. A run that did not come to its end takes its executor with it,
since jobs of that run may still be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bedplate.compute.executor import Executor


class Warm:
    """One executor at a time; for one thread."""

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make
        self._keeps = False
        self._kept: Executor | None = None

    def keep(self) -> None:
        """From now on, keep it between runs."""
        self._keeps = True

    def cool(self) -> None:
        """End what is kept; the next run makes another."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """The executor, for one run."""
        executor, self._kept = self._kept or self._make(), None
        ended = False
        try:
            yield executor
            ended = True
        finally:
            if ended and self._keeps:
                self.cool()  # a run within this one may have left its own
                self._kept = executor
            else:
                executor.close()
