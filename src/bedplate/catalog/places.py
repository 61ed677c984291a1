"""Where a record may be kept, by the scheme of its address."""

from __future__ import annotations

from bedplate.core.errors import UserError
from bedplate.core.extras import load

from .database import Database

BACKENDS = {"sqlite": "sqlite", "postgresql": "postgres", "postgres": "postgres"}
"""Scheme -> the module in `backends/`."""


def database_at(url: str, *, makes: bool = True) -> Database:
    """The database at an address. Where there is none yet it is made, or with `makes` False an empty one is shown. Raises UserError."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in BACKENDS:
        known = ", ".join(f"{one}://" for one in BACKENDS)
        raise UserError("the setting catalog names no known place", why=f"known: {known}", next="see docs/reference/settings.md")
    backend = load(f"bedplate.catalog.backends.{BACKENDS[scheme]}", f"a catalog at {scheme}://", BACKENDS[scheme])
    database: Database = backend.open_url(url, makes=makes)
    return database
