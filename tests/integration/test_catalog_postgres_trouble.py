"""The catalog on a PostgreSQL that is shared, killed, frozen, full and cut off: nothing lost, nothing twice, nothing half."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from real_servers import PostgresServer, new_postgres

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.migration import Migration, load_migrations, migrate
from bedplate.core.clock import SystemClock
from bedplate.core.errors import BusyError, CatalogError, InternalError, Refused, UserError
from bedplate.core.records import Event
from bedplate.pipeline.owner import check_owner, take

pytest.importorskip("psycopg", reason="psycopg is not installed")
psycopg = importlib.import_module("psycopg")
postgres = importlib.import_module("bedplate.catalog.backends.postgres")
WRITER = str(Path(__file__).with_name("catalog_writer.py"))
ENDLESS = 1_000_000


def writer(url: str, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, WRITER, url, name, str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def opened(url: str) -> Catalog:
    return Catalog.open(postgres.open_url(url), SystemClock())


def acknowledged(output: str) -> set[str]:
    return {line.split()[0] for line in output.splitlines() if line.startswith("shared@") and len(line.split()) == 3}


def assert_whole(catalog: Catalog) -> None:
    """Every version has a done attempt, a done step, its cache key and all its sisters."""
    for version in catalog.artifacts.versions("shared", 10**6):
        attempt = catalog.runs.attempt(version.attempt)
        assert attempt.status == "done"
        assert catalog.runs.cached(f"key {attempt.id}") == attempt.id
        assert [made.artifact for made in catalog.artifacts.by_attempt(attempt.id)] == ["shared", f"own_{attempt.run[2:]}"]


@pytest.fixture
def url(postgres_url: str, tmp_path: Path) -> str:
    """A schema that nobody has used."""
    return f"{postgres_url}?schema={tmp_path.name.replace('-', '_').lower()[:40]}_{os.urandom(3).hex()}"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    server = new_postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_eight_processes_commit_at_once(url: str) -> None:
    """From the very first open on: no commit is lost, no number given twice, one of them makes the tables."""
    writers = [writer(url, f"w{number}", 25) for number in range(8)]
    said = [process.communicate(timeout=120) for process in writers]
    assert [(process.returncode, errors) for process, (_, errors) in zip(writers, said, strict=True)] == [(0, "")] * 8
    catalog = opened(url)
    versions = catalog.artifacts.versions("shared", 1000)
    assert {version.ref for version in versions} == set().union(*(acknowledged(output) for output, _ in said))
    assert {version.number for version in versions} == set(range(1, 201))
    migrated = [event.subject for _, event in catalog.events.since() if event.kind == "catalog.migrated"]
    assert len(migrated) == len(set(migrated)) > 0
    assert_whole(catalog)
    catalog.close()


def test_killed_in_the_middle_of_commits(url: str) -> None:
    """kill -9 of three writers at random moments, again and again: what was acknowledged is there, nothing is half there."""
    chance, seen = random.Random(20261122), set[str]()
    for turn in range(4):
        writers = [writer(url, f"t{turn}w{number}", ENDLESS) for number in range(3)]
        first = [process.stdout.readline() for process in writers if process.stdout]
        time.sleep(chance.uniform(0.0, 0.2))
        for process in writers:
            process.kill()
        seen |= acknowledged("".join(first)).union(*(acknowledged(process.communicate()[0]) for process in writers))
        catalog = opened(url)
        assert seen <= {version.ref for version in catalog.artifacts.versions("shared", 10**6)}
        assert_whole(catalog)
        catalog.close()
    assert len(seen) > 12


def test_f51_the_server_is_killed_and_comes_back(server: PostgresServer) -> None:
    """SIGKILL of the whole server under load, twice: writers wait, then go on; nothing acknowledged is lost, nothing is done twice."""
    count = 40
    writers = [writer(server.url, f"w{number}", count) for number in range(4)]
    first = [process.stdout.readline() for process in writers if process.stdout]
    for _ in range(2):
        server.kill()
        time.sleep(1.0)
        server.start()
        time.sleep(0.3)
    said = first + [process.stdout.read() for process in writers if process.stdout]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in writers]
    assert ended == [("", 0)] * 4
    catalog = opened(server.url)
    refs = [version.ref for version in catalog.artifacts.versions("shared", 1000)]
    assert sorted(refs) == sorted(acknowledged("".join(said)))
    assert len(refs) == 4 * count
    assert_whole(catalog)
    catalog.close()


def test_f51_connections_are_cut_all_the_time(url: str) -> None:
    """pg_terminate_backend in a loop, at any moment, also between a commit and its answer: each event is there once, in order."""
    catalog, clock, stop = opened(url), SystemClock(), threading.Event()
    cuts: dict[int, int] = {}

    def cut() -> None:
        with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
            while not stop.wait(0.02):
                cuts[number] = cuts.get(number, 0) + 1
                if cuts[number] < 10:  # a machine too busy to connect within 20 ms would never get an event through
                    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bedplate'")

    number = 0
    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        for number in range(200):
            catalog.events.add(Event(kind="count", subject=str(number), at=clock.now()))
    finally:
        stop.set()
        cutter.join()
    counted = [event.subject for _, event in catalog.events.since(limit=10_000) if event.kind == "count"]
    assert counted == [str(number) for number in range(200)]
    catalog.close()


def test_f70_a_writer_frozen_inside_a_transaction_holds_nobody_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server cuts it off; when it wakes it does its work again, once."""
    monkeypatch.setattr(postgres, "_SESSION", postgres._SESSION.replace("'10s'", "'300ms'"))
    frozen, other, clock = opened(url), opened(url), SystemClock()
    turns: list[str] = []

    def work() -> None:
        turns.append("turn")
        frozen.events.add(Event(kind="frozen", subject="s", at=clock.now()))
        if len(turns) == 1:
            other.events.add(Event(kind="other", subject="s", at=clock.now()))  # waits for the lock of a process that sleeps

    frozen.together(work)
    kinds = [event.kind for _, event in other.events.since() if event.kind != "catalog.migrated"]
    assert (turns, kinds) == (["turn", "turn"], ["other", "frozen"])
    frozen.close()
    other.close()


@pytest.mark.slow
def test_f57_no_connection_left(server: PostgresServer) -> None:
    """With five connections and twenty clients all wait their turn in the end, or are told so; none hangs."""
    server.kill()
    server.start("max_connections=8", "superuser_reserved_connections=1", "max_wal_senders=0")
    opened(server.url).close()
    writers = [writer(server.url, f"w{number}", 3) for number in range(20)]
    said = [process.communicate(timeout=120) for process in writers]
    assert [(process.returncode, errors) for process, (_, errors) in zip(writers, said, strict=True)] == [(0, "")] * 20
    catalog = opened(server.url)
    assert len(catalog.artifacts.versions("shared", 1000)) == 60
    catalog.close()


class SkewedClock(SystemClock):
    """The clock of a machine that is five minutes ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=5)


def test_f69_machines_whose_clocks_differ_go_by_the_servers(url: str) -> None:
    """Five minutes of skew take no lease away from who holds it, and the other clock's jumps are not seen."""
    mine = postgres.PostgresDatabase(url, clock=SystemClock(), jitter=random.random)
    ahead = postgres.PostgresDatabase(url, clock=SkewedClock(), jitter=random.random)
    here, there = Catalog.open(mine, mine.clock), Catalog.open(ahead, ahead.clock)
    assert abs((ahead.clock.now() - mine.clock.now()).total_seconds()) < 1
    assert abs((mine.clock.now() - SystemClock().now()).total_seconds()) < 5
    assert here.leases.acquire("late", "a", mine.clock.now(), 15) is not None
    assert there.leases.acquire("late", "b", ahead.clock.now(), 15) is None
    here.close()
    there.close()


def test_another_project_in_one_schema_is_refused(url: str, tmp_path: Path) -> None:
    """Its file cannot be seen from here: another name is another project, and is told to take a schema of its own."""
    catalog = opened(url)
    take(catalog, "flights", Path("/elsewhere/flights.py"), SystemClock().now())
    check_owner(catalog, "flights", tmp_path / "flights.py")
    with pytest.raises(Refused, match="is that of project 'flights'") as error:
        check_owner(catalog, "shop", tmp_path / "shop.py")
    assert "?schema=shop" in error.value.next
    catalog.close()


FORKING = """
import os, sys
from bedplate.catalog.backends.postgres import open_url
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.core.errors import InternalError
from bedplate.core.records import Event

clock = SystemClock()
catalog = Catalog.open(open_url(sys.argv[1]), clock)
said = lambda kind: Event(kind=kind, subject="s", at=clock.now())
catalog.events.add(said("parent"))
child = os.fork()
if child == 0:
    catalog.events.add(said("child"))
    os._exit(0)
catalog.events.add(said("parent"))
assert os.waitpid(child, 0)[1] == 0
catalog.events.add(said("parent"))

def inside():
    born = os.fork()
    if born == 0:
        try:
            catalog.events.add(said("orphan"))
        except InternalError as error:
            os._exit(7 if "forked inside" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(born, 0)[1]) == 7
    catalog.events.add(said("parent"))

catalog.database.transact(inside)
catalog.close()
"""


def test_a_fork_loses_nothing(url: str) -> None:
    """Parent and child both go on, each with a connection of its own; a child born inside a transaction is told."""
    done = subprocess.run([sys.executable, "-c", FORKING, url], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    catalog = opened(url)
    kinds = [event.kind for _, event in catalog.events.since() if event.kind != "catalog.migrated"]
    assert sorted(kinds) == ["child", "parent", "parent", "parent", "parent"]
    catalog.close()


ONE = Migration(1, "one", "CREATE TABLE one (id INTEGER) STRICT;")
BROKEN = Migration(2, "broken", "CREATE TABLE two (id INTEGER) STRICT; INSERT INTO nowhere VALUES (1);")
SLOW = Migration(2, "slow", "CREATE TABLE two (id INTEGER) STRICT; SELECT pg_sleep(60); CREATE TABLE three (id INTEGER) STRICT;")
TWO = Migration(2, "two", "CREATE TABLE two (id INTEGER) STRICT; INSERT INTO two VALUES (1);")


def test_a_broken_migration_leaves_the_state_as_it_was(url: str) -> None:
    """One transaction each: the number does not move, and the mended script applies."""
    database = postgres.open_url(url)
    with pytest.raises(InternalError, match="nowhere"):
        migrate(database, [ONE, BROKEN])
    assert database.schema() == 1
    assert migrate(database, [ONE, TWO]) == [2]
    database.close()


MIGRATING = """
import sys
from bedplate.catalog.backends.postgres import open_url
open_url(sys.argv[1]).apply(2, sys.argv[2])
"""


def test_f73_a_migration_killed_half_way_is_absent(url: str) -> None:
    """Its process dies between two tables: neither is there, and the next start applies it whole."""
    database = postgres.open_url(url)
    assert migrate(database, [ONE]) == [1]
    process = subprocess.Popen([sys.executable, "-c", MIGRATING, url, SLOW.script])
    with psycopg.connect(url.partition("?")[0], autocommit=True) as watching:
        sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not (found := watching.execute(sleeping).fetchone()):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        watching.execute("SELECT pg_terminate_backend(%s)", found)
    assert database.schema() == 1
    assert migrate(database, [ONE, TWO]) == [2]
    database.close()


@pytest.mark.bad_input("a state folder of a newer bedplate")
def test_a_newer_schema_is_refused(url: str) -> None:
    """With what to do; nothing in it is touched."""
    database = postgres.open_url(url)
    newer = len(load_migrations()) + 1
    database.apply(newer, "CREATE TABLE later (id INTEGER);")
    with pytest.raises(Refused, match="newer bedplate"):
        opened(url)
    assert database.schema() == newer
    database.close()


@pytest.mark.bad_input("a database server that is not there")
def test_nobody_at_that_address(url: str) -> None:
    """At once, in one message with the address and without the password."""
    began = time.monotonic()
    with pytest.raises(CatalogError, match="cannot be reached") as error:
        opened("postgresql://bed:hunter2@127.0.0.1:1/none")
    assert time.monotonic() - began < 5
    assert "hunter2" not in str(error.value)
    with pytest.raises(CatalogError, match="does not let us in"):
        opened(url.replace("/postgres?", "/no_such_database?"))
    with pytest.raises(UserError, match="not the address"):
        opened("postgresql://bed@host:port/none")


def test_looking_makes_nothing(url: str) -> None:
    """Where there is no catalog yet an empty one is shown, and the database stays as it is."""
    catalog = Catalog.open(postgres.open_url(url, makes=False), SystemClock())
    assert catalog.runs.last() == []
    catalog.close()
    database: Any = postgres.open_url(url)
    assert database.schema() == 0
    database.close()


def test_text_of_any_kind(url: str) -> None:
    """NUL becomes U+FFFD, all else comes back as it was, and sorts by code point whatever the server's locale."""
    catalog, clock = opened(url), SystemClock()
    for subject in ("b", "A", "a\0b", "é", "%s :name ::text"):
        catalog.events.add(Event(kind="k", subject=subject, at=clock.now()))
    assert [event.subject for _, event in catalog.events.since() if event.kind == "k"] == ["b", "A", "a\ufffdb", "é", "%s :name ::text"]
    with pytest.raises(UserError, match="is not text"):
        catalog.events.add(Event(kind="k", subject="\ud800", at=clock.now()))
    catalog.close()


def test_a_lock_held_for_long_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """BusyError, as on SQLite; not a wait without end."""
    monkeypatch.setattr(postgres, "_SESSION", postgres._SESSION.replace("'20s'", "'200ms'"))
    holder, other, clock = opened(url), opened(url), SystemClock()
    with pytest.raises(BusyError, match="is busy"):
        holder.together(lambda: other.events.add(Event(kind="k", subject="s", at=clock.now())))
    holder.close()
    other.close()
