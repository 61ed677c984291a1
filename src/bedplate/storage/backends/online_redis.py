"""Online features in Redis, shared by machines: a hash per version, its rows packed, many read in one round trip.

A version is written under a name of its own and then renamed, if every row is still there: a Redis that restarted meanwhile has lost some.
Readers see all of it or nothing. A hash cannot lose single rows, so where a row is not found it is enough to ask whether the hash is there:
a Redis that came back empty is told from one that does not know an entity. A Redis that may evict whole keys is refused where it says so.
Who does not answer in time is not asked again: a Redis that hangs costs a caller one wait.

Limits: one server, or a cluster where a version fits on one of its nodes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, Final, cast
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from bedplate.core.errors import UserError
from bedplate.storage.online import KEPT, Missing, OnlineError, Row

_MARK: Final = b""
_BATCH: Final = 2000
_HALF_S: Final = 3600
"""How long a version that is being written may stay without its name: who writes it may be gone."""
_TIMEOUT_S: Final = 2.0


def open_url(url: str, project: str) -> RedisOnline:
    """The store at `redis://HOST:PORT/DB` (or `rediss://`), for one project. Raises UserError for an address that is none."""
    try:
        client = redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, health_check_interval=30,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2, (redis.ConnectionError,)),
        )  # fmt: skip
    except ValueError as error:
        raise UserError(f"online = '{shown(url)}' is no address of a Redis", why=str(error), next="write redis://HOST:6379/0") from None
    return RedisOnline(client, shown(url), project)


def shown(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


class RedisOnline:
    """Keys begin with `bedplate:PROJECT:`; connections are pooled by the client."""

    def __init__(self, client: redis.Redis, place: str, project: str) -> None:
        self._client = client
        self._place = place
        self._prefix = f"bedplate:{project}:"
        self._safe = False

    def has(self, artifact: str, version: str) -> bool:
        """As of `OnlineStore`."""
        with self._said("read"):
            return bool(self._client.hexists(self._name(artifact, version), _MARK.decode()))

    def publish(self, artifact: str, version: str, rows: Iterable[Row]) -> None:
        """As of `OnlineStore`. Raises UserError for a Redis that may evict what is kept."""
        name, listed = self._name(artifact, version), f"{self._prefix}{artifact}:versions"
        with self._said("written"):
            self._refuse_eviction()
            fresh = f"{name}:{secrets.token_hex(6)}"
            try:
                count = self._fill(fresh, rows)
                order = self._client.incr(f"{listed}:count")

                def give_name(together: redis.client.Pipeline) -> None:
                    if (there := int(together.hlen(fresh))) != count:
                        raise self._error("written", f"{count - there:,} of {count:,} rows are gone again: it was restarted meanwhile")
                    together.multi()
                    together.rename(fresh, name)
                    together.persist(name)
                    together.zadd(listed, {version: order}, nx=True)

                self._client.transaction(give_name, fresh)
            finally:
                with suppress(redis.RedisError):
                    self._client.unlink(fresh)
            self._drop_old(artifact, listed)

    def get(self, artifact: str, version: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """As of `OnlineStore`."""
        name = self._name(artifact, version)
        try:
            if len(keys) == 1:
                found = [cast("bytes | None", self._client.hget(name, cast(str, keys[0])))]
            else:
                found = cast("list[bytes | None]", self._client.hmget(name, keys)) if keys else []
            if None in found or not found:  # once more, in one command with the mark: no publication comes between
                mark, *found = cast("list[bytes | None]", self._client.hmget(name, [_MARK, *keys]))
                if mark is None:
                    raise Missing(f"{artifact} {version} is not at {self._place}", next="a server publishes it when it loads it")
        except redis.RedisError as error:
            raise self._error("read", error) from error
        return found

    def close(self) -> None:
        """As of `OnlineStore`."""
        with suppress(redis.RedisError):
            self._client.close()

    def _fill(self, name: str, rows: Iterable[Row]) -> int:
        """Put rows under a name that goes by itself where nobody comes back for it; how many fields it should have."""
        self._client.hset(name, _MARK.decode(), "whole")
        self._client.expire(name, _HALF_S)
        waiting, count = iter(rows), 1
        while some := dict(islice(waiting, _BATCH)):
            self._client.hset(name, mapping=cast(Any, some))
            count += len(some)
        return count

    def _drop_old(self, artifact: str, listed: str) -> None:
        for old in cast("list[bytes]", self._client.zrange(listed, 0, -KEPT - 1)):
            self._client.unlink(self._name(artifact, old.decode()))
            self._client.zrem(listed, old)

    def _name(self, artifact: str, version: str) -> str:
        return f"{self._prefix}{artifact}@{version}"

    def _refuse_eviction(self) -> None:
        """What is evicted looks like what was never known; a server that does not tell its policy is trusted."""
        if self._safe:
            return
        with suppress(redis.ResponseError):
            policy = cast("dict[str, str]", self._client.config_get("maxmemory-policy")).get("maxmemory-policy", "")
            if policy.startswith("allkeys"):
                raise UserError(
                    f"the Redis at {self._place} may drop online features when its memory is full",
                    why=f"its maxmemory-policy is {policy}",
                    next="give it maxmemory-policy noeviction (or volatile-lru), or name another one in `online`",
                )
        self._safe = True

    @contextmanager
    def _said(self, done: str) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise self._error(done, error) from error

    def _error(self, done: str, error: Exception | str) -> OnlineError:
        return OnlineError(
            f"online features at {self._place} cannot be {done}", why=str(error) or type(error).__name__,
            next="start the Redis, or set online = \"embedded\"",
        )  # fmt: skip
