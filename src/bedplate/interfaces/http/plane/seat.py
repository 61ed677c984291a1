"""Seat: one of several processes that serve together: the socket that it answers on, and where it says what it has counted.

Each writes its counts to a file of its own, twice a second where they changed; the one that is scraped reads them all. Who takes the seat
of a process that ended goes on from what that one had counted, so that no counter ever falls.
Limits: a process that is killed loses the last half second of its counts.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bedplate.core.records import Record
from bedplate.interfaces.http.metrics import Counted, Metrics

_EVERY_S: Final = 0.5
_DECODER: Final = msgspec.json.Decoder(Counted)


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


class Counts:
    """What the process of a seat has counted, kept where the others find it."""

    def __init__(self, seat: Seat, metrics: Metrics) -> None:
        self._path = Path(seat.folder) / f"{seat.number}.json"
        self._metrics = metrics
        self._written = b""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bedplate-counts", daemon=True)
        before = _read(self._path)
        if before is not None:
            metrics.before = before.ended()
        metrics.others = self._others

    def __enter__(self) -> Counts:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last of it."""
        self._stop.set()
        self._thread.join()
        self._write()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._write()

    def _write(self) -> None:
        counted = msgspec.json.encode(self._metrics.counted())
        if counted == self._written:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(counted)
            fresh.replace(self._path)
            self._written = counted
        except OSError:  # a full disk: the next half second may have room
            return

    def _others(self) -> Sequence[Counted]:
        paths = sorted(path for path in self._path.parent.glob("*.json") if path != self._path)
        return [found for path in paths if (found := _read(path)) is not None]


def write_counts(folder: str, name: str, counted: Counted) -> None:
    """Keep what a process counted where those of the folder find it. Raises OSError."""
    path = Path(folder) / f"{name}.json"
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(counted))
    fresh.replace(path)


def read_counts(folder: str) -> Counted:
    """What the processes of a folder have counted together."""
    total = Counted()
    for path in sorted(Path(folder).glob("*.json")):
        if (found := _read(path)) is not None:
            total.add(found)
    return total


def end_counts(folder: str, name: str) -> None:
    """A process has ended and none takes its place: of what it counted stays what is counted for good. Raises OSError."""
    found = _read(Path(folder) / f"{name}.json")
    if found is not None:
        write_counts(folder, name, found.ended())


def _read(path: Path) -> Counted | None:
    try:
        return _DECODER.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
