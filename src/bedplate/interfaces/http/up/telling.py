"""Tells webhooks what happened: a beat takes what is due and sends it, through the one guarded client.

Choices: an answer of 2xx is the only success; a redirect is none, for what is sent would go where nobody allowed; what is asked of an
address that may not be reached is given up at once. The pauses between tries grow, and are kept in the record, so that a restart changes
nothing. Limits: four at a time, ten seconds each; a receiver may be told twice and has the delivery's number to know it by.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.webhooks import Delivery, Webhooks
from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError, Refused, UserError
from bedplate.core.extras import load
from bedplate.core.records import Record
from bedplate.network.guard import Network, checked, is_address, reachable
from bedplate.security.webhooks import again_in, headers

EVERY_S: Final = 1.0
_AT_ONCE: Final = 4
_LIMIT_S: Final = 10.0
_LIMIT_BYTES: Final = 65_536
_HELD_MS: Final = 60_000
_FORGOTTEN_MS: Final = 7 * 86_400_000
_ANSWER: Final = 300


class Told(Record, frozen=True, kw_only=True):
    """How a receiver answered: its status (None: it did not), and the beginning of what it said, or why it did not."""

    status: int | None
    said: str
    is_refused: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends one delivery; each call has a client of its own, so that several may at once."""

    def __init__(self, clock: Clock, allowed: tuple[Network, ...]) -> None:
        self._clock = clock
        self._allowed = allowed

    def check(self, url: str) -> None:
        """Raises Refused for what is no http(s) URL, or names an address that may not be reached."""
        try:
            host = checked(url).hostname or ""
        except Refused as error:
            raise Refused(error.what, why=error.why) from None
        if is_address(host) and not reachable(host, self._allowed):
            raise Refused(
                f"'{url}' is not told", why=f"{host} is not an address of the public internet",
                next=f'a site that means it writes into bedplate.toml: allow_networks = "{host}"',
            )  # fmt: skip

    def send(self, url: str, event: str, number: str, body: str, secret: str) -> Told:
        """Send it once."""
        try:
            module: Any = load("bedplate.network.backends.client", "telling a webhook", "http")
            client, limits = module.Client(self._clock, self._allowed), module.Limits(_LIMIT_BYTES, _LIMIT_S)
            named = headers(event, number, int(self._clock.now().timestamp()), body, secret)
            with client.ask("POST", url, limits, body=body.encode(), headers=named) as answer:
                said = b"".join(answer.body)[:_ANSWER].decode("utf-8", "replace")
                return Told(status=answer.status, said=said)
        except Refused as error:
            return Told(status=None, said=f"refused: {error.what}"[:_ANSWER], is_refused=True)
        except BedplateError as error:
            return Told(status=None, said=error.line[:_ANSWER], is_refused=isinstance(error, UserError))
        except Exception as error:  # one that upsets us is given up: it must not keep the others from being told, or have them told twice
            return Told(status=None, said=f"it could not be told: {type(error).__name__}", is_refused=True)


class Telling:
    """The beat. `source` names this record in CloudEvents; `spread` gives random numbers in [0, 1)."""

    def __init__(self, catalog: Catalog, sender: Sender, clock: Clock, source: str, spread: Callable[[], float]) -> None:
        self._catalog = catalog
        self._webhooks = Webhooks(catalog.database)
        self._sender = sender
        self._clock = clock
        self._source = source
        self._spread = spread
        self._forgot_ms = 0

    def turn(self) -> None:
        """Queue what was recorded since the last turn, and send what is due."""
        now_ms = self._now_ms()
        self._webhooks.follow(self._source, now_ms)
        due = self._webhooks.take(now_ms, now_ms + _HELD_MS)
        if due:
            with ThreadPoolExecutor(_AT_ONCE, "bedplate-tell") as pool:
                told = list(pool.map(self._send, due))
            for delivery, how in zip(due, told, strict=True):
                self._settle(delivery, how)
        if now_ms - self._forgot_ms > _HELD_MS:
            self._webhooks.forget(now_ms - _FORGOTTEN_MS)
            self._forgot_ms = now_ms

    def close(self) -> None:
        """Let go of the record."""
        self._catalog.close()

    def _send(self, delivery: Delivery) -> Told:
        return self._sender.send(delivery.url, delivery.event, f"d-{delivery.number}", delivery.body, delivery.secret)

    def _settle(self, delivery: Delivery, how: Told) -> None:
        answer = f"{how.status} {how.said}" if how.status is not None else how.said
        if how.is_ok:
            self._webhooks.settle(delivery.number, "done", self._now_ms(), answer)
            return
        pause_s = None if how.is_refused else again_in(delivery.tries + 1, how.status, self._spread())
        if pause_s is None:
            self._webhooks.settle(delivery.number, "failed", self._now_ms(), answer)
        else:
            self._webhooks.settle(delivery.number, "waiting", self._now_ms() + int(pause_s * 1000), answer)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
