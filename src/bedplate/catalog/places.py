"""Where a record may be kept, by the scheme of its address."""

from __future__ import annotations

from bedplate.core import addresses
from bedplate.core.extras import load

from .database import Database

BACKENDS = {"sqlite": "sqlite", "postgresql": "postgres", "postgres": "postgres"}
"""Scheme -> the module in `backends/`."""


def database_at(url: str, *, makes: bool = True) -> Database:
    """The database at an address. Where there is none yet it is made, or with `makes` False an empty one is shown. Raises UserError."""
    scheme = addresses.catalog(url).partition("://")[0]
    backend = load(f"bedplate.catalog.backends.{BACKENDS[scheme]}", f"a catalog at {scheme}://", BACKENDS[scheme])
    database: Database = backend.open_url(url, makes=makes)
    return database
