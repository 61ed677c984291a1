"""An open load: `serving_pace.py PORT PATH FORM ROWS CONNECTIONS RATE SECONDS`.

Requests come at random, whether earlier ones are answered or not. A latency counts from when the request should have come; one that finds
no connection free waits for the next, and that counts too. Prints JSON: answered, rejected (429, 503) and failed (anything else, and
connections that end in the middle), milliseconds, and the rates.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import sys
import time
from typing import Any

import numpy as np
import uvloop
from serving_load import FEATURES, VARIETY, request

REJECTED = (b"429", b"503")
PATIENCE_S = 20.0


class Pace:
    """What all connections share."""

    def __init__(self, sends: list[bytes], rate: float, seconds: float) -> None:
        drawn, at, self.due = random.Random(11), 0.0, list[float]()
        while at < seconds:
            at += drawn.expovariate(rate)
            self.due.append(at)
        self.sends = sends
        self.free: list[Client] = []
        self.waiting: collections.deque[int] = collections.deque()
        self.answered: list[float] = []
        self.rejected: list[float] = []
        self.failed = 0
        self.first_failure = b""
        self.began = 0.0

    @property
    def settled(self) -> int:
        return len(self.answered) + len(self.rejected) + self.failed

    def came(self, number: int) -> None:
        """A request is due."""
        if self.free:
            self.free.pop().send(number)
        else:
            self.waiting.append(number)

    def freed(self, client: Client) -> None:
        """A connection has its answer."""
        if self.waiting:
            client.send(self.waiting.popleft())
        else:
            self.free.append(client)

    def ended(self, number: int, status: bytes) -> None:
        """A request is settled."""
        taken = time.perf_counter() - self.began - self.due[number]
        if status == b"200":
            self.answered.append(taken)
        elif status in REJECTED:
            self.rejected.append(taken)
        else:
            self.failed += 1
            self.first_failure = self.first_failure or status


class Client(asyncio.Protocol):
    """One connection; made again where the server ends it."""

    def __init__(self, pace: Pace, port: int) -> None:
        self._pace, self._port = pace, port
        self._held = b""
        self._number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._pace.freed(self)

    def connection_lost(self, _error: Exception | None) -> None:
        pace = self._pace
        if self._number >= 0:
            pace.ended(self._number, b"lost")
        elif self in pace.free:
            pace.free.remove(self)
        asyncio.get_running_loop().create_task(opened(pace, self._port))

    def send(self, number: int) -> None:
        """Ask."""
        self._number = number
        self._transport.write(self._pace.sends[number % len(self._pace.sends)])

    def data_received(self, data: bytes) -> None:
        if self._number < 0:
            return  # a server that is tired of waiting says so before it ends the connection
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._held[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r", 1)[0])
        if len(self._held) < end + 4 + length:
            return
        number, self._number, self._held = self._number, -1, b""
        self._pace.ended(number, head[9:12])
        if b"connection: close" in head:
            self._transport.close()
        else:
            self._pace.freed(self)


async def opened(pace: Pace, port: int) -> None:
    """Another connection, as soon as the server takes one."""
    for _ in range(100):
        try:
            await asyncio.get_running_loop().create_connection(lambda: Client(pace, port), "127.0.0.1", port)
            return
        except OSError:
            await asyncio.sleep(0.05)


async def drive(port: int, pace: Pace, connections: int) -> float:
    """Send it all; the seconds until all were settled, or nobody waits any longer."""
    for _ in range(connections):
        await opened(pace, port)
    pace.began = time.perf_counter()
    following = 0
    while pace.settled < len(pace.due):
        now = time.perf_counter() - pace.began
        while following < len(pace.due) and pace.due[following] <= now:
            pace.came(following)
            following += 1
        if now > pace.due[-1] + PATIENCE_S:
            pace.failed += len(pace.due) - pace.settled
            break
        nap = pace.due[following] - now if following < len(pace.due) else 0.01
        await asyncio.sleep(nap - 0.002 if nap > 0.004 else 0)
    return time.perf_counter() - pace.began


def percentile(times: list[float], share: float) -> float:
    """In milliseconds."""
    return sorted(times)[int(len(times) * share)] * 1e3 if times else 0.0


def main() -> None:
    """Drive, and say how it went."""
    port, path, form, rows, connections, rate, seconds = sys.argv[1:]
    if form == "distance":
        lines = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        bodies = [b'{"distance":%d}' % (100 + at) for at in range(VARIETY)]
        sends = [f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    else:
        values = np.random.default_rng(3).normal(size=(VARIETY, int(rows), FEATURES)).round(4)
        sends = [request(path, form, one) for one in values]
    pace = Pace(sends, float(rate), float(seconds))
    wall = uvloop.run(drive(int(port), pace, int(connections)))
    told = {
        "answered": len(pace.answered), "rejected": len(pace.rejected), "failed": pace.failed, "wall_s": wall,
        "rate": len(pace.answered) / wall, "first_failure": pace.first_failure.decode("latin-1"),
    }  # fmt: skip
    for name, times in (("answered", pace.answered), ("rejected", pace.rejected)):
        told |= {f"{name}_p{share:g}": percentile(times, share / 100) for share in (50, 95, 99)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
