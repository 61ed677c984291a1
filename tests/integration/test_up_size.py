"""How much a server takes: to start, and over time under load."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import psutil
import pytest
from insisting import Insisting
from trackers import Tracker

START_S = 2.0
START_CPU_S = 1.0
START_BYTES = 100 << 20
GROWTH_BYTES = 16 << 20
CLIENTS = 8
WARM_S = 15.0
LOAD_S = 60.0


def test_it_starts_soon_and_small(tracker: Callable[..., Tracker]) -> None:
    """Of two starts on one state the better; how long it took by the clock counts where the machine is not busy."""
    up = tracker()
    took = []
    for _ in range(2):
        up.kill()
        began = time.monotonic()
        up.start()
        wall_s = time.monotonic() - began
        spent, held = psutil.Process(up.pid).cpu_times(), psutil.Process(up.pid).memory_info().rss
        took.append((spent.user + spent.system, wall_s, held))
    cpu_s, wall_s, held = min(took)
    assert cpu_s <= START_CPU_S
    assert wall_s <= START_S or os.getloadavg()[0] > 1
    assert held <= START_BYTES


class Load(threading.Thread):
    """A client that logs, searches, uploads and reads, until told to stop."""

    def __init__(self, up: Tracker, number: int, stop: threading.Event) -> None:
        super().__init__()
        self.client = Insisting(up.url, up.token)
        self.number, self.stop, self.failed = number, stop, ""

    def run(self) -> None:
        try:
            turn = 0
            while not self.stop.is_set():
                self._turn(turn)
                turn += 1
        except Exception as error:  # told by the test's own thread
            self.failed = repr(error)
        finally:
            self.client.close()

    def _turn(self, turn: int) -> None:
        client, started = self.client, 1_760_000_000_000 + self.number * 1_000_000 + turn
        run = client.new_run(started, f"load {self.number}.{turn}")
        for start in range(0, 2000, 500):
            points = [{"key": "loss", "value": step, "timestamp": step, "step": step} for step in range(start, start + 500)]
            client.post("runs/log-batch", run_id=run, metrics=points, tags=[{"key": "note", "value": "x" * 1000}])
        for step in range(20):
            client.post("runs/log-metric", run_id=run, key="accuracy", value=step, timestamp=step, step=step)
        kind = {"Content-Type": "application/octet-stream"}
        client.ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a.bin", bytes([turn % 256]) * 1_000_000, kind)
        client.post("runs/update", run_id=run, status="FINISHED")
        client.post("runs/search", experiment_ids=["0"], max_results=50, filter="metrics.loss > 5", order_by=["metrics.accuracy DESC"])
        client.history(run, "loss")


@pytest.mark.slow
def test_memory_stays_flat_under_eight_clients(tracker: Callable[..., Tracker]) -> None:
    """Over a minute of work of every kind; and no file or socket stays open."""
    up, stop = tracker(), threading.Event()
    loads = [Load(up, number, stop) for number in range(CLIENTS)]
    for load in loads:
        load.start()
    process, held, opened = psutil.Process(up.pid), [], []
    time.sleep(WARM_S)
    until = time.monotonic() + LOAD_S
    while time.monotonic() < until:
        held.append(process.memory_info().rss)
        opened.append(process.num_fds())
        time.sleep(1)
    stop.set()
    for load in loads:
        load.join()
    third = len(held) // 3
    early, late = max(held[:third]), max(held[-third:])
    calls = sum(load.client.tries for load in loads)
    print(f"resident after the start of the load {early >> 20} MiB, at its end {late >> 20} MiB; {calls} calls")
    assert [load.failed for load in loads] == [""] * CLIENTS
    assert late - early <= GROWTH_BYTES
    assert max(opened[-third:]) <= max(opened[:third]) + CLIENTS
