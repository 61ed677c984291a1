"""Which answers were lost: a request that makes something new and is sent again gets the answer that its client never saw.

The record keeps, for a minute, a digest of such a request with its answer (`catalog/answers.py`); so this holds over a restart.
An equal request is a retry unless the earlier answer was taken: its connection has brought another request since, or is open still (two
clients that say the same at the same moment are two). Where it is open, it is given a tenth of a second to close.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Any, Final, Protocol

_MOST: Final = 4096
_LOOKS: Final = 10
_LOOK_S: Final = 0.01


class Connection(Protocol):
    """A client's connection, as the protocol has it."""

    noted: Any

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        ...


class Told:
    """An answer on its way to a client."""

    __slots__ = ("connection", "taken")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.taken = False


class Memory:
    """What was answered lately, and on which connection. Used on the event loop only."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, Told] = OrderedDict()

    async def is_new(self, digest: str, connection: Connection | None) -> bool:
        """Whether this cannot be a retry: an equal request was answered, and its answer was taken. Notes the request as told here."""
        earlier = self._told.pop(digest, None)
        if connection is not None:
            connection.noted = self._told[digest] = Told(connection)
            if len(self._told) > _MOST:
                self._told.popitem(last=False)
        for _ in range(_LOOKS):
            if earlier is None or earlier.taken or not earlier.connection.is_open:
                break
            await asyncio.sleep(_LOOK_S)
        return earlier is not None and (earlier.taken or earlier.connection.is_open)

    def taken(self, connection: Connection) -> None:
        """The connection brings another request: its last answer was taken."""
        told: Told = connection.noted
        connection.noted = None
        told.taken = True


def digest_of(credentials: str, method: str, path: str, body: bytes) -> str:
    """What tells a request from another one."""
    head = f"{credentials}\0{method}\0{path}\0".encode("utf-8", "surrogatepass")
    return hashlib.sha256(head + body).hexdigest()
