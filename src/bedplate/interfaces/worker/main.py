"""The arguments of `bedplate work`, and the handler by its name."""

from __future__ import annotations

import argparse
import importlib
import socket
from collections.abc import Sequence
from typing import cast

from bedplate.compute.executor import MakeHandle
from bedplate.compute.forkserver import serve

HANDLER = "bedplate.assembly:worker_handler"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve workers until the controller is gone; the exit code. Raises ImportError or AttributeError for an unknown handler."""
    parser = argparse.ArgumentParser(prog="bedplate work", description="A fork server for one controller; started by bedplate itself.")
    parser.add_argument("--server", type=int, required=True, metavar="FD", help="the socket to the controller, open as this descriptor")
    parser.add_argument("--controller", type=int, required=True, metavar="PID", help="the process to end with")
    parser.add_argument("--preload", default="", metavar="NAMES", help="modules to import before forking, with commas between")
    parser.add_argument("--handler", default=HANDLER, metavar="MODULE:NAME", help="what makes a worker's handle")
    given = parser.parse_args(argv)
    module, _, name = given.handler.partition(":")
    make_handle = cast(MakeHandle, getattr(importlib.import_module(module), name))
    with socket.socket(fileno=given.server) as control:
        serve(control, make_handle, [part for part in given.preload.split(",") if part], given.controller)
    return 0
