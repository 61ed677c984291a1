"""Addresses of databases and caches as a project file names them: without a password, which comes from the environment when it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from bedplate.core.errors import UserError

_PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled(url: str, environ: Mapping[str, str]) -> str:
    """The address with each `${NAME}` from the environment: as it is where the address begins with it, else quoted.

    Raises UserError for a name that is not set, and for a password that stands in the address itself.
    """
    parts = urlsplit(_PLACE.sub("place", url))
    if parts.password and parts.password != "place":
        raise UserError(
            f"the address of {shown(url)} has a password in it",
            why="it would be kept with the code and the record",
            next=f"write {parts.scheme}://{parts.username}:${{PASSWORD}}@{parts.hostname}... and `export PASSWORD=...`",
        )
    return _PLACE.sub(lambda found: quote(_value(found[1], environ), safe="") if found.start() else _value(found[1], environ), url)


def shown(url: str) -> str:
    """The address as it may be shown: without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else url


def _value(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise UserError(f"the variable {name} is not set", why="a source's address names it", next=f"export {name}=...")
    return environ[name]
