"""Again: answers that a server gives more than once, to retries and out of services' caches, in one memory of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bedplate.stages.deploy.kept import Keeping
from bedplate.stages.deploy.service import Service

from .cached import Cache
from .lanes import Lane
from .metrics import Metrics
from .once import Once
from .pool import Pool
from .shared import Shared


class Again:
    """What a server's desks give answers again with. `memory` is in bytes."""

    def __init__(self, memory: int, window_s: float, timer: Callable[[], float], metrics: Metrics, pool: Pool) -> None:
        self._keeping = Keeping(memory)
        self._lane = Lane(pool)
        self._timer = timer
        self._metrics = metrics
        self.once = Once(self._keeping, window_s, timer, partial(metrics.again, "repeated"), self._lane)
        metrics.answers = lambda: (len(self._keeping), self._keeping.size)

    def share(self, folder: Path) -> None:
        """Share the answers to requests with an idempotency key with other processes, in a folder."""
        if self.once.window_s:
            self.once.shared = Shared(folder, self.once.window_s, self._keeping.most)

    def close(self) -> None:
        """Share no more."""
        if self.once.shared is not None:
            self.once.shared.close()

    def cache(self, service: Service) -> Cache | None:
        """The cache of a service; None where it has none."""
        if not service.cache_s:
            return None
        return Cache(service.name, service.cache_s, self._keeping, self._timer, partial(self._counted, service.name), self._lane)

    def _counted(self, name: str, outcome: str) -> None:
        self._metrics.again(outcome, name)
