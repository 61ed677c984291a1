"""PyTorch's process group on gloo, over loopback alone: rank 0 listens on a port of 127.0.0.1, which the group's supervisor chose."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

dist: Any = importlib.import_module("torch.distributed")
"""By name: what it says of its types leaves TCPStore out."""


@contextmanager
def joined(rank: int, world: int, port: int, patience_s: float) -> Iterator[None]:
    """Be rank `rank` of `world`; a collective that waits longer than `patience_s` for the others fails."""
    timeout = timedelta(seconds=patience_s)
    listening: dict[str, Any] = {"master_listen_fd": _listen(port)} if rank == 0 else {}
    store = dist.TCPStore("127.0.0.1", port, world, is_master=rank == 0, timeout=timeout, **listening)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timeout)
    try:
        yield
    finally:
        with suppress(RuntimeError):  # the others may be gone
            dist.destroy_process_group()


def _listen(port: int) -> int:
    """A socket that listens on loopback, as a descriptor that the store owns."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening.detach()
