"""One server of replicas, started, loaded and ended: `router_drive.py cost|called|killed|overload SECONDS|REQUESTS [WORDS OF SERVE]`.

`cost` tells CPU microseconds of a request: of the process that clients ask, and of the whole tree; `called` those of a call of gRPC, on one
connection. `killed` ends a replica (kill -9) every
half second under traffic, and tells what failed. `overload` first finds what the replicas carry, then sends twenty times as many, and tells
the share that was carried still, and how soon the others were refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import grpc.aio
import psutil
import uvloop

CONNECTIONS: Final = 16
TIMES: Final = 20
METHOD: Final = "/inference.GRPCInferenceService/ServerMetadata"
KILL_EVERY_S: Final = 0.5


class Client(asyncio.Protocol):
    """A connection that asks one request at a time."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.held = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        end = self.held.find(b"\r\n\r\n")
        if end < 0 or self.answer is None:
            return
        length = int(self.held[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(self.held) >= end + 4 + length:
            answer, self.answer = self.answer, None
            status, body, self.held = int(self.held[9:12]), self.held[end + 4 :], b""
            answer.set_result((status, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionError(str(error)))

    def ask(self, service: str) -> asyncio.Future[tuple[int, bytes]]:
        self.answer = asyncio.get_running_loop().create_future()
        head = b"POST /%b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        self.transport.write(head % service.encode())
        return self.answer


async def connect(port: int, count: int) -> list[Client]:
    """So many connections."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Client, "127.0.0.1", port))[1] for _ in range(count)]


async def closed(port: int, service: str, count: int, until: float, most: float = float("inf")) -> list[tuple[float, int, int]]:
    """Ask one after the other on each connection, until then or so many; seconds, status and process of each (0: no answer)."""
    found: list[tuple[float, int, int]] = []

    async def go(client: Client) -> None:
        while time.perf_counter() < until and len(found) < most:
            began = time.perf_counter()
            try:
                status, body = await client.ask(service)
            except ConnectionError:
                found.append((time.perf_counter() - began, 0, 0))
                return
            found.append((time.perf_counter() - began, status, json.loads(body).get("result", 0)))

    await asyncio.gather(*(go(client) for client in await connect(port, count)))
    return found


def clock(process: psutil.Process) -> float:
    """CPU time of a process, by the scheduler's own clock."""
    return time.clock_gettime(~process.pid << 3 | 2)


async def cost(port: int, server: psutil.Process, requests: int) -> None:
    """What a request costs whom."""
    forever = time.perf_counter() + 600
    await told(server, requests, lambda count: closed(port, "quick", CONNECTIONS, forever, count))
    print(f"told:memory_mib={server.memory_full_info().pss / (1 << 20)}")


async def called(port: int, server: psutil.Process, calls: int) -> None:
    """What a call of gRPC costs whom."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(METHOD)

        async def ask(count: float) -> None:
            for _ in range(int(count / CONNECTIONS)):
                await call(b"")

        await told(server, calls, lambda count: asyncio.gather(*(ask(count) for _ in range(CONNECTIONS))))


async def told(server: psutil.Process, count: float, load: Callable[[float], Awaitable[Any]]) -> None:
    """Say what each of so many costs, once a tenth of them has gone before."""
    await load(count / 10)
    processes = (server, *server.children(recursive=True))
    before = [clock(one) for one in processes]
    await load(count)
    took = [(clock(one) - was) / count * 1e6 for one, was in zip(processes, before, strict=True)]
    print(f"told:front_us={took[0]}\ntold:cpu_us={sum(took)}")


async def killed(port: int, _server: psutil.Process, seconds: float) -> None:
    """What fails while replicas are killed."""
    until, kills = time.perf_counter() + seconds, 0
    load = asyncio.ensure_future(closed(port, "quick", CONNECTIONS, until))
    while not load.done():
        await asyncio.sleep(KILL_EVERY_S)
        for _, status, pid in await closed(port, "quick", 1, until, 1):
            if status == 200:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
    found = await load
    failed = sum(status != 200 for _, status, _ in found)
    print(f"told:kills={kills}\ntold:answered={len(found) - failed}\ntold:failed={failed}\ntold:worst_ms={max(found)[0] * 1e3}")


async def overload(port: int, server: psutil.Process, seconds: float) -> None:
    """What is carried of twenty times too much, and when the rest is told."""
    began = time.perf_counter()
    peak = len(await closed(port, "slow", CONNECTIONS, began + seconds)) / seconds
    memory = server.memory_full_info().uss
    clients = await connect(port, min(3000, int(peak * TIMES)))
    found: list[tuple[float, int]] = []
    tasks = set()

    async def one(client: Client) -> None:
        at = time.perf_counter()
        status, _ = await client.ask("slow")
        found.append((time.perf_counter() - at, status))
        clients.append(client)

    began, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        while sent < passed * peak * TIMES and clients:
            tasks.add(asyncio.ensure_future(one(clients.pop(0))))
            sent += 1
        await asyncio.sleep(0.001)
    carried = sum(status == 200 for _, status in found) / seconds
    refused = sorted(took for took, status in found if status == 503)
    odd = sum(status not in (200, 503) for _, status in found)
    await asyncio.gather(*tasks)
    print(f"told:peak={peak}\ntold:sent={sent / seconds}\ntold:goodput={carried / peak}\ntold:odd={odd}")
    print(f"told:refused_p99_ms={refused[int(0.99 * len(refused))] * 1e3 if refused else -1}")
    print(f"told:grown_mib={(server.memory_full_info().uss - memory) / (1 << 20)}")


@contextlib.contextmanager
def pinned(at: int) -> Iterator[None]:
    """Have what is started run on one processor: the first, or the last."""
    there = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(there)[at]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, there)


def main() -> None:
    """Start, load, end."""
    mode, size, *words = sys.argv[1:]
    drives = {"cost": cost, "called": called, "killed": killed, "overload": overload}
    with pinned(0):
        command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json", *words]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    server = psutil.Process(started.pid)
    try:
        assert started.stdout is not None
        port = int(json.loads(started.stdout.readline())["grpc" if mode == "called" else "url"].rpartition(":")[2])
        with pinned(-1):
            uvloop.run(drives[mode](port, server, float(size)))
    finally:
        for one in (*server.children(recursive=True), server):
            one.kill()
        started.wait(30)


if __name__ == "__main__":
    main()
