"""Rows of a Redis server, through redis-py: hashes, texts and JSON texts by key.

Choices: keys are found with SCAN, never KEYS, so that the server goes on serving; values are fetched in pipelines of 1,000. All is text, as
Redis keeps it; keys are sorted, so that the same content gives the same rows. Limits: all of it is in memory; a key of another type
(list, set, stream) is refused by name; a key that comes or goes while it is read may be missed, as SCAN says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import polars as pl

from bedplate.core import extras
from bedplate.core.errors import UserError, WorldError
from bedplate.core.sources import Entry, Redis
from bedplate.stages.ingest.address import shown

_PIPELINE = 1_000


def entries(source: Redis, url: str) -> tuple[Entry, ...]:
    """All that matches, as one entry whose stamp is the digest of keys and values. Raises UserError where nothing does."""
    digest, count = hashlib.sha256(), 0
    for row in _rows(source, url):
        digest.update(msgspec.json.encode(row, order="sorted"))
        count += 1
    if not count:
        why = "there is nothing to read; a server that was restarted may have come back empty"
        raise UserError(f"no key at {shown(url)} matches '{source.match}'", why=why, next="fill it, or change match= in Redis(...)")
    return (Entry(source.match, shown(source.url), count, f"sha256:{digest.hexdigest()}"),)


def rows(source: Redis, url: str) -> pl.LazyFrame:
    """Key and fields of all that matches; a field that a key lacks is null."""
    found = list(_rows(source, url))
    names = dict.fromkeys(name for row in found for name in row) or {"key": None}
    return pl.LazyFrame(found, schema=dict.fromkeys(names, pl.String))


def _rows(source: Redis, url: str) -> Iterator[dict[str, str]]:
    with _connected(url) as server:
        keys = sorted(server.scan_iter(match=source.match, count=_PIPELINE))
        for some in _some(keys):
            kinds = _all(server, "type", some)
            for key, kind in zip(some, kinds, strict=True):
                if kind not in ("hash", "string", "none"):
                    raise UserError(f"'{key}' is a {kind}", why="hashes and texts are rows", next="name others in match=")
            texts = [key for key, kind in zip(some, kinds, strict=True) if kind == "string"]
            hashes = [key for key, kind in zip(some, kinds, strict=True) if kind == "hash"]
            values = {
                **dict(zip(texts, _all(server, "get", texts), strict=True)),
                **dict(zip(hashes, _all(server, "hgetall", hashes), strict=True)),
            }
            for key in some:
                value = values.get(key)
                if value is not None:
                    yield {"key": key, **(value if isinstance(value, dict) else {"value": value})}


def _some(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _PIPELINE):
        yield keys[start : start + _PIPELINE]


def _all(server: Any, command: str, keys: list[str]) -> list[Any]:
    pipeline = server.pipeline(transaction=False)
    for key in keys:
        getattr(pipeline, command)(key)
    answered: list[Any] = pipeline.execute()
    return answered


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    library = extras.load("redis", "Redis(...)", "redis")
    try:
        with library.Redis.from_url(url, decode_responses=True) as server:
            yield server
    except library.exceptions.AuthenticationError as error:
        raise UserError(f"{shown(url)} does not let us in", why=str(error), next="look at user and password in the address") from error
    except library.exceptions.RedisError as error:
        raise WorldError(f"{shown(url)} did not answer", why=str(error), next="bedplate run, when it is back") from error
    except UnicodeDecodeError as error:
        why = f"{error.object[:40]!r} is not UTF-8"
        raise UserError(f"a key or value at {shown(url)} is no text", why=why, next="name others in match=") from error
    except ValueError as error:
        raise UserError(f"{shown(url)} is no address of a Redis server", why=str(error), next="redis://host:6379/0") from error
