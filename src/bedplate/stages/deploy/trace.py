"""Trace: where the time of one request went, from its first byte to the last of its answer.

Moments cut the request into parts that follow one another, so that they add up to the whole: its first byte came, it was whole
(*read*), it was decoded (*decode*), it was taken up (*queue*), its answer was worked out (*features*, *model*), the answer was made
(*answer*), and it was sent (*write*). Who asks for a trace, or is drawn, has all of them; of one that proved slow, or failed, only what was
noted anyway.

Limits: *model* is the function with the model that it asks, *features* what it waited for the rows that it looked up last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

PARTS: Final = ("read", "decode", "queue", "features", "model", "answer", "write")
"""The parts of a request, in their order."""


class Trace:
    """One request, while it is worked on; moments are seconds of one clock. `why`: asked, drawn, slow or failed."""

    __slots__ = (
        "_timer",
        "answered",
        "arrived",
        "begun",
        "features_s",
        "made",
        "parent",
        "ran",
        "span",
        "started",
        "then",
        "trace",
        "why",
        "written",
    )

    def __init__(self, why: str, trace: str, span: str, parent: str, arrived: float, started: float, timer: Callable[[], float]) -> None:
        self._timer = timer
        self.why, self.trace, self.span, self.parent = why, trace, span, parent
        self.arrived = min(arrived or started, started)
        self.started = self.begun = self.ran = self.made = self.answered = self.written = started
        self.features_s = 0.0
        self.then: list[Callable[[], None]] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be noted."""
        return self.why in ("slow", "failed")

    def work(self, call: Callable[[], Any]) -> Any:
        """Make the call, and note when it began and ended. Raises what it raises."""
        self.ran = self._timer()
        try:
            return call()
        finally:
            self.made = self._timer()

    def took(self, seconds: float) -> None:
        """Note that the answer is there, which was worked out in so many seconds, after it had waited."""
        self.made = self._timer()
        self.ran = max(self.begun, self.made - seconds)

    def looked(self, rows: Iterable[Mapping[str, Any] | None]) -> None:
        """Note what the feature rows took, by parameter, of each row of the request."""
        self.features_s = features_s(rows)

    def sent(self) -> None:
        """The answer is sent: what waited for that is done, as recording it."""
        self.written = self._timer()
        then, self.then = self.then, []
        for one in then:
            one()

    def parts(self) -> dict[str, float]:
        """Seconds of each part. Their sum is the whole."""
        features = min(self.features_s, max(0.0, self.made - self.ran))
        return {
            "read": self.started - self.arrived,
            "decode": self.begun - self.started,
            "queue": self.ran - self.begun,
            "features": features,
            "model": self.made - self.ran - features,
            "answer": self.answered - self.made,
            "write": self.written - self.answered,
        }

    def text(self) -> str:
        """The trace as the record has it, in milliseconds."""
        told = {"why": self.why, "trace": self.trace, "span": self.span, "parent": self.parent}
        times = {f"{name}_ms": round(seconds * 1e3, 4) for name, seconds in self.parts().items()}
        return msgspec.json.encode({**told, **times}).decode()


def features_s(rows: Iterable[Mapping[str, Any] | None]) -> float:
    """What feature rows took to look up."""
    return sum(getattr(row, "took_s", 0.0) for views in rows if views for row in views.values())
