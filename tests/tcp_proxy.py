"""A proxy between a client and a server on loopback that is slow, or breaks connections, as a test says.

It is a process of its own: a library that holds up all threads while it waits for an answer would wait for ever for a proxy among them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import socket
import threading
import time
from typing import Any

_CONTEXT = multiprocessing.get_context("spawn")
_STALLS = {"": 0, "up": 1, "down": 2, "both": 3}


class TcpProxy:
    """Forwards to a port. `delay_s` holds back every answer; the next `breaks` answers are cut off after `after` bytes of a connection.

    Of the answers `loses` (a share) are lost, and their connection with them. Where nobody listens, who connects is hung up on.
    `stalls`: what is sent "up" to the server, "down" from it or "both" does not arrive until told otherwise, as in a parted network.
    """

    def __init__(self, port: int) -> None:
        self._told = _CONTEXT.Array("d", 6)
        here, there = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(port, self._told, there), daemon=True)
        self._process.start()
        self.port = int(here.recv())

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def broken(self) -> int:
        """How many answers were cut off."""
        return int(self._told[3])

    def tell(self, *, delay_s: float = 0.0, breaks: int = 0, after: int = 0, loses: float = 0.0, stalls: str = "") -> None:
        """Behave so from now on."""
        self._told[0], self._told[2], self._told[4] = delay_s, after, loses
        self._told[5] = _STALLS[stalls]
        self._told[1] = breaks

    def close(self) -> None:
        """End it, and every connection through it."""
        self._process.kill()
        self._process.join()


def _serve(port: int, told: Any, ready: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ready.send(listener.getsockname()[1])
    chance = random.Random(port)
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", port))
        except OSError:
            client.close()
            continue
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_upward, args=(client, server, told), daemon=True).start()
        threading.Thread(target=_downward, args=(client, server, told, chance), daemon=True).start()


def _upward(client: socket.socket, server: socket.socket, told: Any) -> None:
    with contextlib.suppress(OSError):
        while data := client.recv(65536):
            _stalled(told, 1)
            server.sendall(data)
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_WR)


def _downward(client: socket.socket, server: socket.socket, told: Any, chance: random.Random) -> None:
    with client, server:
        with contextlib.suppress(OSError):
            _pass_down(client, server, told, chance)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)  # wakes who still reads from it


def _pass_down(client: socket.socket, server: socket.socket, told: Any, chance: random.Random) -> None:
    passed = 0
    while data := server.recv(65536):
        delay_s, _, after, _, loses, _ = told[:]
        time.sleep(delay_s)
        _stalled(told, 2)
        if loses and chance.random() < loses:
            with told.get_lock():
                told[3] += 1
            return
        if _breaks(told, passed + len(data)):
            client.sendall(data[: max(int(after) - passed, 0)])
            return
        client.sendall(data)
        passed += len(data)


def _stalled(told: Any, direction: int) -> None:
    """Wait while that direction is stalled."""
    while int(told[5]) & direction:
        time.sleep(0.01)


def _breaks(told: Any, passed: int) -> bool:
    with told.get_lock():
        if told[1] < 1 or passed <= told[2]:
            return False
        told[1] -= 1
        told[3] += 1
        return True
