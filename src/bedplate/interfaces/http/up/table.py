"""The one table of routes of `bedplate up`: what every module of endpoints lists, and the few routes that are open to anybody."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Final

from bedplate.interfaces.http import accounts, console, tracking
from bedplate.interfaces.http.console import pages
from bedplate.interfaces.http.door.app import OpenRoute
from bedplate.interfaces.http.door.endpoint import Endpoint, Reply
from bedplate.interfaces.http.replies import Receive, Scope

ROOMS: Final[tuple[ModuleType, ...]] = (tracking, accounts, console, pages)
"""Packages whose modules list endpoints in a tuple `ENDPOINTS`."""
VERSION: Final = "3.4.0"
"""What `GET /version` says: the version of the protocol that is spoken, not of bedplate, which is nobody's business who is not known."""


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint of every room."""
    found: list[Endpoint] = []
    for room in ROOMS:
        for module in sorted(one.name for one in pkgutil.iter_modules(room.__path__)):
            found += getattr(importlib.import_module(f"{room.__name__}.{module}"), "ENDPOINTS", ())
    return tuple(found)


async def health(_scope: Scope, _receive: Receive) -> Reply:
    """Whether the server answers."""
    return Reply(body=b"OK", media_type="text/plain; charset=utf-8")


async def version(_scope: Scope, _receive: Receive) -> Reply:
    """Which protocol it speaks."""
    return Reply(body=VERSION.encode(), media_type="text/plain; charset=utf-8")


ANSWERED: Final[Mapping[tuple[str, str], OpenRoute]] = {("GET", "/health"): health, ("GET", "/version"): version}
"""What is answered to anybody at once, without a thread; with the endpoints whose action is OPEN, at most six routes."""
