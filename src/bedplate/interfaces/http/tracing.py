"""Tracing: which requests are traced, by W3C's `traceparent`, and what the reply says of it: `traceparent` and `Server-Timing`.

Traced is who asks for it (a `traceparent` whose flag says so, or the header `X-Trace: 1`), one of many that is drawn (setting
`trace_share`), and what proves slower than the service's `p95=` (without one, the setting `trace_over`) or fails. The trace is in the
record, with the prediction; the parts of the time are those of `stages/deploy/trace.py`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

import msgspec

from bedplate.stages.deploy.trace import Trace

from .answered import Answered
from .replies import Headers

PARENT: Final = b"traceparent"
ASKED: Final = b"x-trace"
_PARENT: Final = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NEVER: Final = 1 << 62


class Tracer:
    """Decides which requests of a server are traced. `share` of all are drawn (0: none), `over_s` is slow where a service does not say."""

    def __init__(self, share: float, over_s: float, random_bits: Callable[[int], int]) -> None:
        self.over_s = over_s
        self.left = self._every = max(1, round(1 / share)) if share else _NEVER
        self._random_bits = random_bits

    def begin(self, headers: Headers, arrived: float, started: float) -> Trace | None:
        """The trace of a request that is drawn, or whose headers may ask for one; None where they do not."""
        found = _PARENT.fullmatch(headers.get(PARENT, b""))
        asked = headers.get(ASKED) == b"1" or (found is not None and bool(int(found[4], 16) & 1))
        if self.left <= 0:
            self.left = self._every
        elif not asked:
            return None
        trace, parent = (found[2].decode(), found[3].decode()) if found else (f"{self._random_bits(128) or 1:032x}", "")
        return Trace("asked" if asked else "drawn", trace, self._span(), parent, arrived, started, time.perf_counter)

    def late(self, why: str, started: float, now: float) -> Trace:
        """The trace of a request that proved slow, or failed: of when it began and when it ended."""
        trace = Trace(why, f"{self._random_bits(128) or 1:032x}", self._span(), "", started, started, time.perf_counter)
        trace.made = trace.answered = trace.written = now
        return trace

    def _span(self) -> str:
        return f"{self._random_bits(64) or 1:016x}"


def told(trace: Trace, answered: Answered) -> Answered:
    """The answer, with what it took so far; once it is sent, the trace is whole."""
    trace.answered = trace.written = time.perf_counter()
    parts = {name: seconds * 1e3 for name, seconds in trace.parts().items() if name != "write"}
    timing = ", ".join(f"{name};dur={ms:.3f}" for name, ms in {**parts, "total": sum(parts.values())}.items())
    lines = f"traceparent: 00-{trace.trace}-{trace.span}-01\r\nserver-timing: {timing}\r\n"
    return msgspec.structs.replace(answered, lines=answered.lines + lines.encode(), after=trace.sent)
