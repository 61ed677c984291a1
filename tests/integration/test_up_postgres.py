"""`bedplate up` on a PostgreSQL: a team's record, away for a while and back, without a point lost or doubled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import PostgresServer, new_postgres
from up_site import API, Line, as_process


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = new_postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_a_record_that_goes_away_and_comes_back_keeps_what_was_acknowledged(tmp_path: Path, postgres: PostgresServer) -> None:
    """The server is killed under load, twice: requests wait or are told to come again, and each acknowledged point is there once."""
    acknowledged: list[int] = []
    over = threading.Event()

    def log(url: str, token: str, run: str) -> None:
        step = 0
        with Line(url, token) as line:
            while not over.is_set():
                point = {"run_id": run, "key": "m", "value": 1.5, "timestamp": step, "step": step}
                status = line.ask("POST", f"{API}/runs/log-metric", point).status
                assert status in (200, 503)
                if status == 200:
                    acknowledged.append(step)
                    step += 1

    state = f"{postgres.url}?schema=team"
    with as_process(tmp_path, "--state", state) as up:
        with up.line() as line:
            run = line.new_run(run_name="kept")
        client = threading.Thread(target=log, args=(up.url, up.token, run))
        client.start()
        for _ in range(2):
            time.sleep(0.5)
            postgres.kill()
            time.sleep(0.5)
            postgres.start()
            before = len(acknowledged)
            started = time.monotonic()
            while len(acknowledged) == before and time.monotonic() - started < 60:
                time.sleep(0.05)
            assert len(acknowledged) > before
        over.set()
        client.join(60)
        found = up.ask("GET", f"{API}/metrics/get-history?run_id={run}&metric_key=m&max_results=25000").json["metrics"]
    steps = [int(point["step"]) for point in found]
    assert len(steps) == len(set(steps))
    assert set(acknowledged) <= set(steps)
    assert not (tmp_path / ".bedplate" / "catalog.db").exists()
