"""Asking another server again and again for answers that fit into memory: the guarded clients, with connections that are kept.

A client is loaded when it is first needed: most projects ask nobody. May be used by several threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, Final

from bedplate.core import extras
from bedplate.core.clock import Clock
from bedplate.core.errors import UserError

from .guard import GRPC, networks

CONNECTIONS: Final = 32
MOST_BYTES: Final = 64_000_000


class Asking:
    """Asks servers that the setting `allow_networks` lets it reach."""

    def __init__(self, clock: Clock, allowed: str, environ: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._allowed = allowed
        self._environ = environ
        self._lock = threading.Lock()
        self._module: Any = None
        self._client: Any = None
        self._caller: Any = None

    def __call__(
        self, method: str, url: str, time_s: float, *, body: bytes = b"", headers: Mapping[str, str] | None = None, token: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (in lower case) and body. `token` names the variable of the environment that is sent as a bearer token.

        An address of gRPC (`grpc://HOST:PORT/SERVICE/METHOD`) is called with the body as its message; the status is HTTP's for its own.
        Raises Refused for an address that may not be reached, UserError for a variable that is not set, WorldError for no answer in time.
        """
        if token and token not in self._environ:
            raise UserError(f"the variable {token} is not set", why="it holds the token of a remote model", next=f"export {token}=...")
        secret = self._environ[token] if token else ""
        if url.partition(":")[0] in GRPC:
            status, told, message = self._calling().ask(url, time_s, secret, body, headers or {})
            return status, told, message
        client, limits = self._opened(), self._module.Limits(MOST_BYTES, time_s)
        with client.ask(method, url, limits, secret, body=body, headers=headers) as answer:
            return answer.status, answer.headers, b"".join(answer.body)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            for client in filter(None, (self._client, self._caller)):
                client.close()
            self._client = self._caller = None

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                self._module = extras.load("bedplate.network.backends.client", "asking a remote model", "http")
                self._client = self._module.Client(self._clock, networks(self._allowed), CONNECTIONS)
            return self._client

    def _calling(self) -> Any:
        with self._lock:
            if self._caller is None:
                module = extras.load_grpc("bedplate.network.backends.grpc_client", "asking a remote model by gRPC")
                self._caller = module.GrpcClient(networks(self._allowed), MOST_BYTES)
            return self._caller
