"""Rows of real servers: PostgreSQL through SQLAlchemy, with its own types and its own death; Redis by key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import redis
import sqlalchemy
from redis_process import RedisServer

from bedplate import Redis, Sql
from bedplate.core.errors import UserError, WorldError
from bedplate.core.sources import continues
from bedplate.testing.sources import bound

START = datetime(2026, 1, 1)
QUERY = "SELECT number, price, at, note FROM orders"


@pytest.fixture
def shop(postgres_url: str) -> Iterator[tuple[sqlalchemy.Engine, str]]:
    """A table of 100 orders, one a minute, whose first note comes late."""
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE orders (number BIGINT, price NUMERIC(10, 2), at TIMESTAMP, note TEXT)"))
    add(engine, range(100))
    yield engine, url
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE orders"))
    engine.dispose()


def add(engine: sqlalchemy.Engine, numbers: range) -> None:
    rows = [{"n": n, "p": n + 0.5, "at": START + timedelta(minutes=n), "note": "gift" if n == 99 else None} for n in numbers]
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("INSERT INTO orders VALUES (:n, :p, :at, :note)"), rows)


def test_a_database_gives_its_own_types_and_only_what_is_new(shop: tuple[sqlalchemy.Engine, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A watermark of times; the rows that came after the plan wait for the next."""
    engine, url = shop
    monkeypatch.setenv("SHOP", url)
    source = bound(Sql(QUERY, url="${SHOP}", watermark="at"))
    add(engine, range(100, 105))
    first = source.new().collect()
    assert first.height == 100
    assert first.schema["at"] == pl.Datetime("us")
    assert first["note"].to_list()[-1] == "gift"
    again = bound(Sql(QUERY, url="${SHOP}", watermark="at"), before=source.entries or ())
    assert continues(source.entries or (), again.entries or ())
    later = again.bind(again.entries or (), source.entries or (), again.reader)
    assert later.new().collect()["number"].to_list() == [100, 101, 102, 103, 104]
    assert later.frame().select("number").filter(pl.col("number") > 101).collect().height == 3


def test_the_address_in_the_record_names_no_user_and_no_password(
    shop: tuple[sqlalchemy.Engine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP", shop[1])
    (entry,) = bound(Sql(QUERY, url="${SHOP}")).entries or ()
    assert "@" not in entry.path
    assert entry.stamp.startswith("sha256:")


def test_a_database_that_is_away_is_the_worlds_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorldError, match="did not answer"):
        bound(Sql(QUERY, url="postgresql+psycopg://127.0.0.1:9/none"))


def test_a_column_that_is_not_there_is_the_users_mistake(shop: tuple[sqlalchemy.Engine, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", shop[1])
    with pytest.raises(UserError, match="the query cannot be run"):
        bound(Sql("SELECT colour FROM orders", url="${SHOP}"))


def test_hashes_and_texts_of_a_cache_are_rows_and_a_change_is_another_version(redis_server: RedisServer, tmp_path: Path) -> None:
    server = redis.Redis.from_url(redis_server.url, decode_responses=True)
    server.flushdb()
    server.hset("user:1", mapping={"name": "Ada", "city": "London"})
    server.hset("user:2", mapping={"name": "Max"})
    server.set("user:3", "plain")
    server.set("other", "no")
    source = bound(Redis(redis_server.url, match="user:*"), tmp_path)
    found = source.frame().collect()
    assert found.rows(named=True) == [
        {"key": "user:1", "name": "Ada", "city": "London", "value": None},
        {"key": "user:2", "name": "Max", "city": None, "value": None},
        {"key": "user:3", "name": None, "city": None, "value": "plain"},
    ]
    before = source.entries
    assert bound(Redis(redis_server.url, match="user:*"), tmp_path).entries == before
    server.hset("user:2", "city", "Graz")
    assert bound(Redis(redis_server.url, match="user:*"), tmp_path).entries != before
    server.rpush("user:4", "a")
    with pytest.raises(UserError, match="'user:4' is a list"):
        bound(Redis(redis_server.url, match="user:*"), tmp_path)
    server.close()


def test_a_cache_that_is_away_is_the_worlds_fault(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="did not answer"):
        bound(Redis("redis://127.0.0.1:9/0"), tmp_path)


def test_a_cache_that_came_back_empty_or_holds_no_text_is_told(redis_server: RedisServer, tmp_path: Path) -> None:
    """Nothing that matches is no table without rows, which would take the head's place; bytes that are no text are named."""
    with pytest.raises(UserError, match=r"no key at .* matches 'none:\*'"):
        bound(Redis(redis_server.url, match="none:*"), tmp_path)
    redis.Redis.from_url(redis_server.url).set(b"raw:1", b"\xff\xfe")
    with pytest.raises(UserError, match=r"a key or value at .* is no text"):
        bound(Redis(redis_server.url, match="raw:*"), tmp_path)
