"""The address of a catalog in PostgreSQL: libpq's own options, and `schema`."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bedplate.core.errors import UserError

_OPTIONS: dict[str, Any] = {
    "connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000,
    "application_name": "bedplate",
}  # fmt: skip
"""What libpq is told where the address says nothing else: a server or network that has gone is noticed within half a minute."""

logging.getLogger("psycopg").addHandler(logging.NullHandler())
"""It warns of connections that are lost while it tidies up; what that means is an error of ours. Who sets logging up hears it."""


def parted(url: str) -> tuple[dict[str, Any], str]:
    """What libpq is told, and the schema. Raises UserError."""
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    schema = next((value for name, value in options if name == "schema"), "bedplate")
    rest = urlencode([(name, value) for name, value in options if name != "schema"], quote_via=quote)  # libpq reads no + as a space
    try:
        _ = parts.port
        found = conninfo_to_dict(urlunsplit(parts._replace(scheme="postgresql", query=rest)))
    except (psycopg.Error, ValueError) as error:
        raise UserError(
            "this is not the address of a PostgreSQL database",
            why=str(error).strip().splitlines()[0],
            next="write postgresql://USER@HOST:5432/DATABASE?schema=NAME",
        ) from None
    return {**_OPTIONS, **{name: value for name, value in found.items() if value is not None}}, schema
