"""Together: several processes that serve one port, started and watched by this one, which loads little of what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bedplate.compute.system import leave_libraries

from . import grpc_port
from .plane.processes import serve_together


def together(
    count: int, host: str, port: int, command: Callable[[str], Sequence[str]], heard: Callable[[bytes, bool], None], grpc: str = "none"
) -> int:  # fmt: skip
    """Serve with several processes, which `command` starts, given the word that says which seat one takes; the exit code.

    `heard` gets each line that they print, and whether it says that all answer; `grpc` is the port of gRPC, as the setting has it.
    """
    leave_libraries()
    return serve_together(count, host, port, lambda seat: command(seat.word), heard, grpc_port.asked(grpc))
