"""What an ASGI server of ours listens with: uvicorn's loop, and a quiet end on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import uvicorn

from .binding import BACKLOG
from .plane.relay import Relay
from .protocol import Protocol

PATIENCE_S: Final = 30
_HANDSHAKE_S: Final = 15.0
_KEEP_ALIVE_S: Final = 65
_TICKS: Final = 10


class Listener(uvicorn.Server):
    """Uvicorn's server, which says when it listens and ends quietly on a signal. Its `guests` answer on sockets of their own."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None], guests: Sequence[Relay] = ()) -> None:
        super().__init__(config)
        self._listening = listening
        self._guests = guests

    def stop(self) -> None:
        """Stop as SIGTERM does; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for guest in self._guests:
            patience_s = _HANDSHAKE_S if guest.tls is not None else None
            self.servers.append(
                await loop.create_server(
                    guest.connected, sock=guest.listening, ssl=guest.tls, ssl_handshake_timeout=patience_s, backlog=BACKLOG
                )
            )  # fmt: skip
        self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, answer what is in hand, and let the clients go."""
        await asyncio.gather(super().shutdown(sockets), *(guest.drain(PATIENCE_S) for guest in self._guests))

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's tick, ten a second: every second one of ours looks for clients that are too slow."""
        if counter % _TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in [one for one in self.server_state.connections if isinstance(one, Protocol)]:
                connection.look(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT, SIGTERM and a closed terminal. They are not raised again afterwards: a stop that was asked for is a success."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]  # nohup
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM, *hangup)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def config(app: Any, *, tls_cert: str | None = None, tls_key: str | None = None) -> uvicorn.Config:
    """How uvicorn runs `app`: quietly, with limits of ours, behind TLS where there is a certificate."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=PATIENCE_S,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
