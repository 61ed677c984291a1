"""A member of a crew: the other side of `crew.py`, in a process of its own. It loads nothing: whoever starts it brings what predicts.

Messages are MessagePack on a socket that keeps their bounds; rows and predictions lie in the memory that both share, rows in its first
half, predictions in its second.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from bedplate.compute.system import die_with_parent
from bedplate.core.errors import UserError

MOST: Final = 1 << 27
"""Bytes that are shared with each process; those that are not written to take no memory."""
HALF: Final = MOST // 2
_MESSAGE: Final = 1 << 12
_LONGEST: Final = 1000


class Job(msgspec.Struct, frozen=True, array_like=True):
    """Rows lie in the memory."""

    rows: int
    columns: int


class Done(msgspec.Struct, frozen=True, array_like=True):
    """Predictions lie in the memory (`columns` 0: one value a row), or what went wrong: `users` says that the rows were refused."""

    rows: int = 0
    columns: int = 0
    kind: str = "<f8"
    seconds: float = 0.0
    error: str = ""
    why: str = ""
    users: bool = False


pack: Final = msgspec.msgpack.Encoder().encode
_JOB: Final = msgspec.msgpack.Decoder(Job)
unpack: Final = msgspec.msgpack.Decoder(Done).decode


def settle() -> None:
    """What a member does first: it ends with its parent, and a Ctrl-C in the terminal is for that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)


def serve(call: Callable[[Any], Any], connection: int, shared: int) -> None:
    """Predict until the socket is closed."""
    memory = mmap.mmap(shared, MOST)
    os.close(shared)
    with socket.socket(fileno=connection) as ours:
        ours.send(pack(Done()))
        while told := ours.recv(_MESSAGE):
            ours.send(pack(_done(call, _JOB.decode(told), memory)))


def _done(call: Callable[[Any], Any], job: Job, memory: mmap.mmap) -> Done:
    rows = np.frombuffer(memory, dtype=np.float64, count=job.rows * job.columns).reshape(job.rows, job.columns)
    begun = time.perf_counter()
    try:
        made = np.ascontiguousarray(call(rows))
    except UserError as error:
        return Done(error=error.what[:_LONGEST], why=error.why[:_LONGEST], users=True)
    except Exception as error:  # a framework may raise anything; the process goes on
        return Done(error=f"{type(error).__name__}: {error}"[:_LONGEST])
    seconds = time.perf_counter() - begun
    if made.dtype.kind not in "fiub" or made.ndim not in (1, 2) or made.nbytes > HALF:
        return Done(error=f"the model answered with {made.dtype}, {' x '.join(map(str, made.shape))}: numbers are shared, in 64 MiB")
    memory[HALF : HALF + made.nbytes] = made.tobytes()
    return Done(rows=len(made), columns=made.shape[1] if made.ndim == 2 else 0, kind=made.dtype.str, seconds=seconds)
