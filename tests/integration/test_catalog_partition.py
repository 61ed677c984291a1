"""PostgreSQL that conflicts (F52) and that cannot be reached for a while, in one direction or both (F56)."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tcp_proxy import TcpProxy

import bedplate
from bedplate.catalog.backends.postgres_dialect import lock_number
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.core.errors import BusyError
from bedplate.core.records import Event
from bedplate.testing.records import History, draft

pytest.importorskip("psycopg", reason="psycopg is not installed")
psycopg = importlib.import_module("psycopg")
postgres = importlib.import_module("bedplate.catalog.backends.postgres")
QUICK = "options=-c%20deadlock_timeout%3D20ms"
"""The server looks for a deadlock after a second, as it comes."""


@pytest.fixture
def schema() -> str:
    return f"parted_{os.urandom(4).hex()}"


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[TcpProxy]:
    found = TcpProxy(urlsplit(postgres_url).port or 0)
    yield found
    found.close()


def opened(url: str, schema: str) -> Catalog:
    database = postgres.open_url(f"{url}?schema={schema}&{QUICK}")
    return Catalog.open(database, database.clock)


def through(url: str, proxy: TcpProxy) -> str:
    """The same database, by way of the proxy."""
    return url.replace(f":{urlsplit(url).port}/", f":{proxy.port}/")


def test_f52_two_clients_that_lock_in_opposite_order_a_thousand_times(postgres_url: str, schema: str) -> None:
    """Two of ours, each with a transaction over two leases: none ever meets the other half-way, and no error is seen."""
    failures: list[BaseException] = []

    def work(names: tuple[str, str], holder: str) -> None:
        catalog, clock = opened(postgres_url, schema), SystemClock()

        def both() -> None:
            for name in names:
                if (lease := catalog.leases.acquire(name, holder, clock.now(), 5)) is not None:
                    catalog.leases.release([lease])

        try:
            for _ in range(500):
                catalog.together(both)
        except BaseException as error:
            failures.append(error)
        finally:
            catalog.close()

    opened(postgres_url, schema).close()
    threads = [threading.Thread(target=work, args=(names, names[0])) for names in (("x", "y"), ("y", "x"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_f52_a_stranger_that_locks_in_opposite_order_is_never_shown_to_the_user(postgres_url: str, schema: str) -> None:
    """Somebody locks a table and then wants our writers' lock: the server ends one of the two, and ours is done again, once."""
    catalog, clock, stop, ended = opened(postgres_url, schema), SystemClock(), threading.Event(), [0]

    def stranger() -> None:
        with psycopg.connect(f"{postgres_url}?{QUICK}", autocommit=True) as connection:
            while not stop.is_set():
                try:
                    with connection.transaction():
                        connection.execute(f"LOCK TABLE {schema}.events IN EXCLUSIVE MODE")
                        connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number(schema),))
                except psycopg.errors.DeadlockDetected:
                    ended[0] += 1

    thread = threading.Thread(target=stranger)
    thread.start()
    try:
        for number in range(300):
            catalog.events.add(Event(kind="count", subject=str(number), at=clock.now()))
    finally:
        stop.set()
        thread.join()
    counted = [event.subject for _, event in catalog.events.since(limit=10_000) if event.kind == "count"]
    assert counted == [str(number) for number in range(300)]
    with psycopg.connect(postgres_url) as connection:
        (deadlocks,) = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert deadlocks > 0
    catalog.close()


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_f56_who_was_cut_off_for_longer_than_its_lease_commits_nothing(
    postgres_url: str, schema: str, proxy: TcpProxy, direction: str
) -> None:
    """What it asks does not arrive, or no answer does: another has taken over meanwhile, and one result counts."""
    far, near = opened(through(postgres_url, proxy), schema), opened(postgres_url, schema)
    far_lease = far.leases.acquire("late", "far", far.database.clock.now(), 1.0)
    assert far_lease is not None
    mine = History(far, far.database.clock, "r-far").done("late", draft("late", "far"), lease=far_lease)
    other = History(near, near.database.clock, "r-near")
    proxy.tell(stalls=direction)
    said: list[Any] = []

    def commit() -> None:
        try:
            said.append(far.commit([mine]))
        except BusyError as error:
            said.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    time.sleep(1.2)
    lease = near.leases.acquire("late", "near", near.database.clock.now(), 5.0)
    assert lease is not None
    assert lease.fence > far_lease.fence
    near.commit([other.done("late", draft("late", "near"), lease=lease)])
    assert said == []
    proxy.tell()
    thread.join(30)
    assert [type(one) for one in said] == [BusyError]
    assert [version.attempt for version in near.artifacts.versions("late")] == ["a-r-near-1"]
    far.close()
    near.close()


PROJECT = """
import time
from bedplate import Project

parted = Project("parted")

@parted.step
def slow() -> int:
    time.sleep(2.0)
    return 1

@parted.step
def after(slow: int) -> int:
    return slow + 1
"""


@pytest.mark.slow
def test_f56_a_run_that_is_cut_off_and_another_make_each_step_once(postgres_url: str, schema: str, proxy: TcpProxy, tmp_path: Path) -> None:
    """Two machines, one of which does not reach the database in the middle of a step: both runs end well, and heal by themselves."""
    for name, url in (("far", through(postgres_url, proxy)), ("near", postgres_url)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "parted.py").write_text(PROJECT)
        settings = f'catalog = "{url}?schema={schema}"\nstore = "file://{tmp_path}/store"\nlease = "1 s"\n'
        (tmp_path / name / "bedplate.toml").write_text(settings)
    typed = [sys.executable, "-m", "bedplate", "run", "--json"]
    with subprocess.Popen(typed, cwd=tmp_path / "far", stdout=subprocess.PIPE, text=True) as far:
        assert far.stdout is not None
        while json.loads(far.stdout.readline())["kind"] != "step.started":
            pass
        proxy.tell(stalls="both")
        near = subprocess.run(typed, cwd=tmp_path / "near", capture_output=True, text=True, timeout=120, check=False)
        proxy.tell()
        far.communicate(timeout=120)
    assert (near.returncode, far.returncode) == (0, 0)
    record = bedplate.open(tmp_path / "near").catalog
    assert {name: len(record.artifacts.versions(name)) for name in ("slow", "after")} == {"slow": 1, "after": 1}
    assert not record.runs.running()
    assert not record.runs.open_attempts()
