"""Seat: one of several processes that serve together: the sockets that it answers on, and where it says what it has counted."""

from __future__ import annotations

import socket

import msgspec

from bedplate.core.records import Record


class Seat(Record, frozen=True, kw_only=True):
    """`descriptor` is an inherited, listening socket, `number` counts from 0, `folder` is where counts are written, `url` is where clients
    ask (empty: at the socket). `grpc` is another socket, to answer gRPC on; -1 where nobody does. `grpc_at` is where clients ask by gRPC
    (empty: at that socket, if there is one).
    """

    descriptor: int
    number: int
    folder: str
    url: str = ""
    grpc: int = -1
    grpc_at: str = ""

    @classmethod
    def read(cls, text: str) -> Seat:
        """The seat that `word` wrote."""
        return msgspec.json.decode(text, type=cls)

    @property
    def word(self) -> str:
        """The seat as one word of a command."""
        return msgspec.json.encode(self).decode()

    @property
    def is_first(self) -> bool:
        """Whether it is the one that speaks for all: of what happened, and of the bill."""
        return self.number == 0

    def sockets(self) -> list[socket.socket]:
        """The sockets to answer on: that of HTTP, and that of gRPC where there is one."""
        return [socket.socket(fileno=one) for one in self.descriptors]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What its process inherits."""
        return (self.descriptor,) if self.grpc < 0 else (self.descriptor, self.grpc)
