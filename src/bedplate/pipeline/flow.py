"""The order of a run: which steps can be decided now, and what a failure holds up. Pure bookkeeping over the graph.

With `each=` a step has parts, which are decided together and finish one by one; the step is through when all are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence


class Flow:
    """Walks the selected steps of a graph as they finish. `upstream` maps each step to the steps it needs."""

    def __init__(self, upstream: Mapping[str, Sequence[str]]) -> None:
        self._needs = {name: {up for up in ups if up in upstream} for name, ups in upstream.items()}
        self._feeds: dict[str, list[str]] = {name: [] for name in upstream}
        for name, ups in self._needs.items():
            for up in ups:
                self._feeds[up].append(name)
        self._ready = deque(name for name, ups in self._needs.items() if not ups)
        self._open: dict[str, set[str]] = {}
        self._ended: set[str] = set()

    def ready(self) -> list[str]:
        """Steps whose inputs have just become known; each is given out once."""
        names = list(self._ready)
        self._ready.clear()
        return names

    def expand(self, name: str, parts: Iterable[str]) -> None:
        """The parts that a step will run as."""
        self._open[name] = set(parts)

    def finish(self, name: str, part: str) -> bool:
        """A part is through; whether it was the step's last."""
        self._open[name].discard(part)
        return not self._open[name]

    def through(self, name: str) -> None:
        """The whole step is through: what waited only for it becomes ready."""
        self._ended.add(name)
        for consumer in self._feeds[name]:
            self._needs[consumer].discard(name)
            if not self._needs[consumer] and consumer not in self._ended:
                self._ready.append(consumer)

    def fail(self, name: str) -> list[str]:
        """The step did not get through: every step that needs it, near ones first; they end with it."""
        held: list[str] = []
        todo = deque([name])
        while todo:
            current = todo.popleft()
            self._ended.add(current)
            for consumer in self._feeds[current]:
                if consumer not in self._ended and consumer not in held:
                    held.append(consumer)
                    todo.append(consumer)
        self._ended.update(held)
        return held

    @property
    def over(self) -> bool:
        """Whether every step has ended."""
        return len(self._ended) == len(self._feeds)
