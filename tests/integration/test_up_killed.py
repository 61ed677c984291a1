"""Clients log while the server is killed again and again and answers get lost: no point is lost, none is there twice, no run either."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from insisting import Insisting
from mlflow_clients import LINES, Client, told
from tcp_proxy import TcpProxy
from trackers import Tracker

SEED = 20_261_122
START_MS = 1_760_000_000_000
EXTRA_RUNS = 5
LOSES = 0.03


class Writer(threading.Thread):
    """Makes runs, and logs into the first of them so many points, so many at a time; then ends it."""

    def __init__(self, url: str, token: str, number: int, points: int, batch: int) -> None:
        super().__init__(name=f"writer-{number}")
        self.number, self.points, self.batch = number, points, batch
        self.client = Insisting(url, token)
        self.runs: list[str] = []
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            self._log()
        except BaseException as error:  # told by the test's own thread
            self.failed = error
        finally:
            self.client.close()

    def _log(self) -> None:
        client = self.client
        self.runs.append(client.new_run(START_MS + self.number, f"writer {self.number}"))
        each = max(self.points // EXTRA_RUNS, 1)
        for start in range(0, self.points, self.batch):
            steps = range(start, min(start + self.batch, self.points))
            points = [{"key": "loss", "value": step / 8, "timestamp": START_MS + step, "step": step} for step in steps]
            if self.batch == 1:
                client.post("runs/log-metric", run_id=self.runs[0], **points[0])
            else:
                params = [{"key": f"p{start}", "value": str(start)}]
                client.post("runs/log-batch", run_id=self.runs[0], metrics=points, params=params)
            if start // each != (start + self.batch) // each:
                self.runs.append(client.new_run(START_MS + 1000 * len(self.runs) + self.number, f"extra {self.number}.{len(self.runs)}"))
        client.post("runs/update", run_id=self.runs[0], status="FINISHED", end_time=START_MS + self.points)


def log_through_kills(up: Tracker, points: int, batches: Sequence[int], kills: int, clients: Sequence[Client] = ()) -> list[Writer]:
    """Let the writers (and MLflow's clients, 100 points at a time) log through a proxy that loses answers while the server is killed."""
    proxy = TcpProxy(int(up.url.rpartition(":")[2]))
    proxy.tell(loses=LOSES)
    chance = random.Random(SEED)
    writers = [Writer(proxy.endpoint, up.token, number, points, batch) for number, batch in enumerate(batches)]
    try:
        real = [one.start("logging_much", proxy.endpoint, up.token, one.line, str(points), "100") for one in clients]
        for writer in writers:
            writer.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.2, 1.2))
            up.kill()
            up.start()
        for writer in writers:
            writer.join()
        runs = [told(one) for one in real]
        lost = proxy.broken
    finally:
        proxy.close()
    failed = [(writer.name, writer.failed) for writer in writers if writer.failed is not None]
    assert not failed
    assert lost > 0, "no answer was lost: this proves nothing"
    reader = Insisting(up.url, up.token)
    for one, run in zip(clients, runs, strict=True):
        assert reader.history(run, one.line) == [(step, float(step)) for step in range(points)]
    reader.close()
    return writers


def whole(up: Tracker, writers: Sequence[Writer], others: int = 0) -> None:
    """Every point once and in order, every run once and as it was left; and the doctor finds nothing."""
    reader = Insisting(up.url, up.token)
    for writer in writers:
        assert reader.history(writer.runs[0], "loss") == [(step, step / 8) for step in range(writer.points)], writer.name
        run = reader.get(f"runs/get?run_id={writer.runs[0]}")["run"]
        assert run["info"]["status"] == "FINISHED"
        batches = range(0, writer.points, writer.batch) if writer.batch > 1 else ()
        assert {one["key"] for one in run["data"].get("params", [])} == {f"p{start}" for start in batches}
    found = reader.post("runs/search", experiment_ids=["0"], max_results=1000)["runs"]
    made = [run for writer in writers for run in writer.runs]
    assert len(found) == len(made) + others
    assert {run["info"]["run_id"] for run in found} >= set(made)
    reader.close()
    up.kill(signal.SIGTERM)
    sound(up.folder)


def sound(folder: Path) -> None:
    """`bedplate doctor --deep` finds nothing."""
    (folder / "kept.py").write_text('from bedplate import Project\n\nproject = Project("kept")\n')
    done = subprocess.run(
        [sys.executable, "-m", "bedplate", "doctor", "--deep", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    findings = json.loads(done.stdout)
    assert not [one for one in findings if one["level"] != "ok" and one["area"] not in ("ports", "disk", "libraries")]


def test_no_point_and_no_run_is_lost_or_doubled(tracker: Callable[..., Tracker]) -> None:
    """Four clients, three kills; every 33rd answer is lost on its way."""
    up = tracker()
    whole(up, log_through_kills(up, 400, (1, 1, 10, 100), 3))


@pytest.mark.slow
def test_ten_clients_log_ten_thousand_points_each_through_twenty_kills(tracker: Callable[..., Tracker]) -> None:
    """One by one and in batches, and both lines of MLflow's client beside them."""
    up = tracker()
    clients = [Client(line) for line in LINES]
    whole(up, log_through_kills(up, 10_000, (1, 1, 1, 1, 7, 10, 50, 100, 500, 900), 20, clients), len(clients))
