"""The contract of online stores on LMDB, on SQLite and on a real Redis that the tests start; and what only a server does."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis_process import RedisServer

from bedplate.core.errors import UserError
from bedplate.storage.backends import online_lmdb, online_redis, online_sqlite
from bedplate.storage.online import Missing, OnlineError, OnlineStore
from bedplate.testing.online_contract import OnlineContract


class TestLmdb(OnlineContract):
    def make(self, folder: Path) -> OnlineStore:
        return online_lmdb.open_folder(folder / "online")


class TestSqlite(OnlineContract):
    def make(self, folder: Path) -> OnlineStore:
        return online_sqlite.open_folder(folder / "online")


class TestRedis(OnlineContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self._url = redis_server.url

    def make(self, folder: Path) -> OnlineStore:
        return online_redis.open_url(self._url, f"p{folder.name}-{abs(hash(str(folder)))}")


def test_a_redis_that_comes_back_empty_is_told_from_one_that_does_not_know() -> None:
    """F53: killed, every read is a plain error that names the place; started empty, the version is Missing and can be published again."""
    server = RedisServer()
    server.start()
    try:
        store = online_redis.open_url(f"redis://:secret@127.0.0.1:{server.port}/0".replace(":secret@", ""), "p")
        store.publish("f", "1", [(b"a", b"1")])
        server.kill()
        for ask in (lambda: store.get("f", "1", [b"a"]), lambda: store.has("f", "1"), lambda: store.publish("f", "2", [])):
            with pytest.raises(OnlineError, match=f"redis://127.0.0.1:{server.port}/0 cannot be"):
                ask()
        server.start()
        with pytest.raises(Missing):
            store.get("f", "1", [b"a"])
        store.publish("f", "1", [(b"a", b"1")])
        assert store.get("f", "1", [b"a"]) == [b"1"]
    finally:
        server.kill()


def test_a_redis_that_may_evict_is_refused() -> None:
    """What it evicts would look like an entity that nobody knows."""
    server = RedisServer()
    server.start("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(UserError, match="may drop online features"):
            online_redis.open_url(server.url, "p").publish("f", "1", [])
    finally:
        server.kill()


def test_a_password_is_not_shown() -> None:
    """Errors name the place without it."""
    assert online_redis.shown("redis://user:secret@cache.example:6380/2") == "redis://cache.example:6380/2"
