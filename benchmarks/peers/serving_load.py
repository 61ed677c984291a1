"""A light load generator: `serving_load.py PORT PATH FORM ROWS CONNECTIONS REQUESTS`, the next request when the last is answered.

FORM is `fields` (an object per row), `rows` (a list of lists), `oip` or `binary` (Open Inference Protocol, JSON or raw bytes both ways).
Prints `requests failed wall_s p50_ms p99_ms`, and what the first answer was.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any

import numpy as np
import uvloop

FEATURES = 30
VARIETY = 64


def request(path: str, form: str, values: np.ndarray) -> bytes:
    """One whole request."""
    rows = len(values)
    headers = {
        "Host": "127.0.0.1",
        "User-Agent": "load",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
    }
    if form == "binary":
        tensor = {"name": "input", "shape": [rows, FEATURES], "datatype": "FP64", "parameters": {"binary_data_size": values.nbytes}}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        headers |= {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        body = head + values.tobytes()
    elif form == "oip":
        tensor = {"name": "input", "shape": [rows, FEATURES], "datatype": "FP64", "data": values.ravel().tolist()}
        body = json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()
    elif form == "fields":
        each = [{f"f{at}": value for at, value in enumerate(row)} for row in values.tolist()]
        body = json.dumps(each[0] if rows == 1 else each, separators=(",", ":")).encode()
    else:
        body = json.dumps({"rows": values.tolist()}, separators=(",", ":")).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "Content-Length": len(body)}.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Load:
    """What all connections share."""

    def __init__(self, sends: list[bytes], requests: int) -> None:
        self.sends = itertools.cycle(sends)
        self.left = requests
        self.failed = 0
        self.times: list[float] = []
        self.first = b""
        self.open = 0


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load, done: asyncio.Event) -> None:
        self._load = load
        self._done = done
        self._held = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._load.open += 1
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        self._load.open -= 1
        if not self._load.open:
            self._done.set()

    def data_received(self, data: bytes) -> None:
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._held.lower().find(b"content-length:", 0, end)
        length = int(self._held[at + 15 : self._held.find(b"\r", at)])
        if len(self._held) < end + 4 + length:
            return
        if not self._load.first:
            self._load.first = self._held
        self._load.failed += self._held[9:12] != b"200"
        self._load.times.append(time.perf_counter() - self._began)
        self._held = b""
        self._next()

    def _next(self) -> None:
        if self._load.left <= 0:
            self._transport.close()
            return
        self._load.left -= 1
        self._began = time.perf_counter()
        self._transport.write(next(self._load.sends))


async def drive(port: int, load: Load, connections: int) -> float:
    """Send it all; the seconds that it took."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(load, done), "127.0.0.1", port)
    await done.wait()
    return time.perf_counter() - began


def main() -> None:
    """Drive, and say how it went."""
    port, path, form, rows, connections, requests = sys.argv[1:]
    values = np.random.default_rng(3).normal(size=(VARIETY, int(rows), FEATURES)).round(4)
    load = Load([request(path, form, one) for one in values], int(requests))
    wall = uvloop.run(drive(int(port), load, int(connections)))
    times = sorted(load.times)
    p50, p99 = (times[int(len(times) * share)] * 1e3 for share in (0.5, 0.99))
    print(len(times), load.failed, wall, p50, p99, flush=True)
    print(load.first[:2000], file=sys.stderr)


if __name__ == "__main__":
    main()
