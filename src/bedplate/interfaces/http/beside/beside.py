"""The project beside a server: a look at it, and runs of it. A server of a state without a project has none of this."""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.core.clock import Clock

from .begun import Begun, Runs
from .glance import Glance, Seen
from .home import Home


class Beside:
    """Children about one project. `news` counts up when there is something new to show."""

    def __init__(self, home: Home, clock: Clock) -> None:
        self.home = home
        self.news = 0
        self._glance = Glance(home, clock, self._heard)
        self._runs = Runs(home, clock, self._heard)

    @property
    def begun(self) -> Begun | None:
        """The run that was begun here last."""
        return self._runs.last

    def look(self, moved: Sequence[object]) -> Seen:
        """What was seen of the project last; another look begins where the record has `moved` since, or the project's files have."""
        return self._glance.look(moved)

    def begin(self, words: tuple[str, ...], by: str, reason: str) -> Begun:
        """Begin `bedplate run` with these words. Raises BusyError while the last one goes on."""
        return self._runs.begin(words, by, reason)

    def close(self) -> None:
        """End the children; a run checkpoints first."""
        self._glance.close()
        self._runs.close()

    def _heard(self) -> None:
        self.news += 1
