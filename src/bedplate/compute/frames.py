"""Framed bytes between a controller, its fork server and its workers. No pickle.

A worker's stream carries frames: a kind (1 byte), a length (8 bytes, big-endian) and that many bytes. The fork server's socket keeps
message borders by itself (SEQPACKET) and carries one JSON message a packet, with file descriptors beside it.
"""

from __future__ import annotations

import signal
import socket
import struct
from typing import Final

import msgspec

from bedplate.core.records import Record

JOB: Final = 1
PROGRESS: Final = 2
ANSWER: Final = 3
FAILED: Final = 4
BROKEN: Final = 0
"""Never written: what a reader says of a stream that is no stream of frames."""
WHERE_ARE_YOU: Final = signal.SIGUSR1
"""The signal that makes a worker print where each of its threads is, even inside a native call."""
_KINDS: Final = (JOB, PROGRESS, ANSWER, FAILED)
_HEADER: Final = struct.Struct("!BQ")
_LONGEST: Final = 1 << 32
_PACKET: Final = 1 << 16


class BrokenStream(Exception):
    """The other side wrote something that is no frame."""


class Spawn(Record, frozen=True, kw_only=True, tag="spawn"):
    """Controller to fork server: fork worker `number`, with these environment variables; its socket and log pipe come along."""

    number: int
    environ: dict[str, str] = msgspec.field(default_factory=dict)


class Kill(Record, frozen=True, kw_only=True, tag="kill"):
    """Controller to fork server: kill a worker and all it started."""

    number: int


class Spawned(Record, frozen=True, kw_only=True, tag="spawned"):
    """Fork server to controller: the worker is there. `pid` is its process group too."""

    number: int
    pid: int


class Exited(Record, frozen=True, kw_only=True, tag="exited"):
    """Fork server to controller: a worker's process ended, with its `waitpid` status, all the CPU it took and its peak memory.

    `trouble` instead where it could not be forked.
    """

    number: int
    status: int = 0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    trouble: str = ""


class Account(Record, frozen=True, kw_only=True):
    """What a worker says beside its answer.

    CPU it has taken in its life; peak memory since the job began; `spent`: it must not run another job.
    """

    cpu_s: float
    peak_bytes: int
    spent: bool = False


_SERVER_MESSAGES: Final = msgspec.json.Decoder(Spawn | Kill)
_CONTROLLER_MESSAGES: Final = msgspec.json.Decoder(Spawned | Exited)
_ACCOUNT: Final = struct.Struct("!dQ?")


def pack(kind: int, *parts: bytes) -> bytes:
    """One frame."""
    return b"".join((_HEADER.pack(kind, sum(map(len, parts))), *parts))


def account_bytes(account: Account) -> bytes:
    """What stands before an answer's own bytes."""
    return _ACCOUNT.pack(account.cpu_s, account.peak_bytes, account.spent)


def split_account(payload: bytes) -> tuple[Account, bytes]:
    """An ANSWER or FAILED frame's account, and its own bytes."""
    cpu_s, peak_bytes, spent = _ACCOUNT.unpack_from(payload)
    return Account(cpu_s=cpu_s, peak_bytes=peak_bytes, spent=spent), payload[_ACCOUNT.size :]


def receive(sock: socket.socket) -> tuple[int, bytes] | None:
    """Wait for one frame; None at the end of the stream."""
    header = _exactly(sock, _HEADER.size)
    if header is None:
        return None
    kind, length = _HEADER.unpack(header)
    payload = _exactly(sock, length)
    return None if payload is None else (kind, payload)


def _exactly(sock: socket.socket, count: int) -> bytes | None:
    data = bytearray(count)
    view, got = memoryview(data), 0
    while got < count:
        step = sock.recv_into(view[got:])
        if not step:
            return None
        got += step
    return bytes(data)


class Reader:
    """Frames out of pieces as they come; for a side that must never block."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> list[tuple[int, bytes]]:
        """The frames that this piece completes. Raises BrokenStream."""
        self._data += piece
        frames: list[tuple[int, bytes]] = []
        at = 0
        while len(self._data) - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._data, at)
            if kind not in _KINDS or length > _LONGEST:
                raise BrokenStream(f"frame of kind {kind}, {length} bytes")
            end = at + _HEADER.size + length
            if len(self._data) < end:
                break
            frames.append((kind, bytes(self._data[at + _HEADER.size : end])))
            at = end
        del self._data[:at]
        return frames


def tell_server(sock: socket.socket, message: Spawn | Kill, fds: tuple[int, ...] = ()) -> None:
    """Send one message to the fork server, with descriptors."""
    socket.send_fds(sock, [msgspec.json.encode(message)], fds)


def hear_controller(sock: socket.socket) -> tuple[Spawn | Kill, list[int]] | None:
    """The controller's next message and descriptors; None once it is gone."""
    data, fds, _, _ = socket.recv_fds(sock, _PACKET, 2)
    return (_SERVER_MESSAGES.decode(data), fds) if data else None


def tell_controller(sock: socket.socket, message: Spawned | Exited) -> None:
    """Send one message to the controller."""
    sock.send(msgspec.json.encode(message))


def hear_server(sock: socket.socket) -> Spawned | Exited | None:
    """The fork server's next message; None once it is gone. Raises BlockingIOError where there is none yet."""
    data = sock.recv(_PACKET)
    return _CONTROLLER_MESSAGES.decode(data) if data else None
