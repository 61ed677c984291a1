"""The contract of online stores on LMDB, on SQLite and on a real Redis that the tests start; and what only a server does."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_process import RedisServer

from bedplate.core.errors import UserError
from bedplate.storage.backends import online_lmdb, online_redis, online_sqlite
from bedplate.storage.online import Missing, OnlineError, OnlineStore, Row
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


@pytest.mark.parametrize("kept", [False, True])
def test_a_redis_that_restarts_while_a_version_is_written_has_none(kept: bool) -> None:
    """It comes back empty, or with the rows of its last snapshot: a version that lacks rows is never one, and can be published again."""
    server = RedisServer()
    server.start()
    store = online_redis.open_url(server.url, "p")

    def rows(trouble: bool) -> Iterator[Row]:
        for at in range(10_000):
            if trouble and kept and at == 4_100:
                store._client.save()
            if trouble and at == 6_600:
                server.kill()
                server.start()
            yield b"k%d" % at, b"v"

    try:
        store.publish("f", "0", [])
        with pytest.raises(OnlineError, match="cannot be written") as told:
            store.publish("f", "1", rows(True))
        assert "rows are gone again" in told.value.why
        assert not store.has("f", "1")
        with pytest.raises(Missing):
            store.get("f", "1", [b"k1"])
        assert [*store._client.scan_iter("*f@1:*")] == []  # nothing is left over that nobody comes back for
        store.publish("f", "1", rows(False))
        assert store.get("f", "1", [b"k1", b"k5000", b"k9999", b"none"]) == [b"v", b"v", b"v", None]
    finally:
        server.kill()


def test_a_redis_that_hangs_costs_one_wait() -> None:
    """Who asks waits for the time limit once, not once for each try to connect and to read."""
    server = RedisServer()
    server.start()
    try:
        store = online_redis.open_url(server.url, "p")
        store.publish("f", "1", [(b"a", b"1")])
        server.freeze()
        began = time.monotonic()
        with pytest.raises(OnlineError, match="cannot be read"):
            store.get("f", "1", [b"a"])
        assert time.monotonic() - began < 2 * online_redis._TIMEOUT_S
    finally:
        server.kill()


def test_a_sqlite_file_that_is_deleted_under_two_threads_mixes_no_rows(tmp_path: Path) -> None:
    """One thread reads on in the file that is gone, another makes a new one, in another order: each view keeps its own rows."""
    store = online_sqlite.open_folder(tmp_path / "online")
    for view in ("f", "g"):
        store.publish(view, "1", [(b"a", view.encode())])
        assert store.get(view, "1", [b"a"]) == [view.encode()]
    shutil.rmtree(tmp_path / "online")
    found: dict[str, object] = {}

    def read() -> None:
        for view in ("g", "f"):
            try:
                found[view] = store.get(view, "1", [b"a"])
            except Missing:
                store.publish(view, "1", [(b"a", view.encode())])
                found[view] = store.get(view, "1", [b"a"])

    other = threading.Thread(target=read)
    other.start()
    other.join()
    assert found == {"f": [b"f"], "g": [b"g"]}
    assert store.get("f", "1", [b"a"]) == [b"f"]
    store.close()


def test_a_rotted_lmdb_file_is_told(tmp_path: Path) -> None:
    """Whoever looks, reads or writes hears that the folder may go, and not what a library calls it."""
    online_lmdb.open_folder(tmp_path).publish("f", "1", ((b"%d" % at, bytes(50)) for at in range(20_000)))
    file = tmp_path / "lmdb" / "data.mdb"
    with file.open("r+b") as rotted:
        rotted.seek(8192)
        rotted.write(bytes(file.stat().st_size - 8192))
    store = online_lmdb.open_folder(tmp_path)
    for ask in (lambda: store.has("f", "1"), lambda: store.get("f", "1", [b"1"]), lambda: store.publish("f", "2", [])):
        with pytest.raises(OnlineError, match="cannot be"):
            ask()


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
