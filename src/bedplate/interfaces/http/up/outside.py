"""What a server tells the outside beside its answers: webhooks, metrics of the record, its requests as spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.webhooks import SOURCE
from bedplate.core.clock import Clock
from bedplate.core.config import Config
from bedplate.network.guard import networks
from bedplate.pipeline.heart import Heart

from . import request_spans, telling
from .counts import Counts
from .request_spans import RequestSpans
from .standing import StandingCollector
from .telling import Sender, Telling

_ADDRESSES: Final = ("http://", "https://")
_STEPS: Final = 1 << 20
PARTING_S: Final = 5.0
"""How long what goes on beside the answers is waited for when the server ends."""


class Outside:
    """Made with the server, and closed with it; `sender` is what tells webhooks."""

    def __init__(
        self, opens: Callable[[], Catalog], clock: Clock, random_bits: Callable[[int], int], config: Config, counts: Counts
    ) -> None:
        allowed = networks(config["allow_networks"])
        self.sender = Sender(clock, allowed)
        self._counts = counts
        self._standing = StandingCollector(opens(), clock)
        self._telling = Telling(opens(), self.sender, clock, SOURCE, lambda: random_bits(20) / _STEPS)
        told = config["otlp"].startswith(_ADDRESSES)
        self._spans = RequestSpans(config["otlp"], clock, allowed, random_bits) if told else None
        counts.register(self._standing)
        if self._spans is not None:
            counts.register(self._spans)

    def counted(self, action: str, status: int, seconds: float) -> None:
        """Count one answered request, and tell of it."""
        self._counts.request(action, status, seconds)
        if self._spans is not None:
            self._spans.request(action, status, seconds)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Tell what is due, every second, until the end of the block; then what is left of the requests."""
        with ExitStack() as beats:
            beats.enter_context(Heart("webhooks", telling.EVERY_S, self._telling.turn, patience_s=PARTING_S))
            if self._spans is not None:
                beats.callback(self._spans.send)
                beats.enter_context(Heart("spans", request_spans.EVERY_S, self._spans.send, patience_s=PARTING_S))
            yield

    def close(self) -> None:
        """Let go of the record."""
        self._telling.close()
        self._standing.close()
