"""MLflow's own client at work, in its own environment: `tracking_client.py log COUNT`, `many COUNT`, `read SIZE...`, `history POINTS`.

The tracker is the one that the environment names. Before each work it prints `begin NAME COUNT` and waits for a line on its standard
input, after it `end SECONDS`: who started it reads the server's CPU in between.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.rest_utils import http_request

client = MlflowClient()


def timed(name: str, count: int, work: Callable[[], None]) -> None:
    """Do a work between two marks."""
    print(f"begin {name} {count}", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    work()
    print(f"end {time.perf_counter() - began}", flush=True)


def log(count: int) -> None:
    """One call after another: points, batches of 1,000, runs."""
    run = client.create_run("0").info.run_id
    client.log_metric(run, "warm", 0.0)

    def metrics() -> None:
        for step in range(count):
            client.log_metric(run, "loss", 1.0 / (step + 1), step=step)

    def batches() -> None:
        for number in range(max(count // 20, 3)):
            client.log_batch(run, metrics=[Metric(f"b{number}", float(step), 1000 + step, step) for step in range(1000)])

    def runs() -> None:
        for _ in range(count):
            client.create_run("0", start_time=int(time.time() * 1000))

    timed("log_metric", count, metrics)
    timed("log_batch", max(count // 20, 3), batches)
    timed("create_run", count, runs)


def many(count: int) -> None:
    """Eight threads, each with a run of its own."""
    runs = [client.create_run("0").info.run_id for _ in range(8)]

    def one(run: str) -> None:
        for step in range(count):
            client.log_metric(run, "loss", 1.0 / (step + 1), step=step)

    def work() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, runs))

    timed("eight", 8 * count, work)


def read(sizes: list[int]) -> None:
    """The newest hundred runs, the best hundred of those that satisfy two comparisons, and (of no more than 10,000) all."""
    for size in sizes:
        experiment = client.get_experiment_by_name(f"e{size}").experiment_id
        client.search_runs([experiment], max_results=1)

        def newest(experiment: str = experiment) -> None:
            assert len(client.search_runs([experiment], max_results=100)) == 100

        def best(experiment: str = experiment) -> None:
            found = client.search_runs([experiment], "metrics.m0 > 0.9 AND params.p1 = '3'", order_by=["metrics.m1 DESC"], max_results=100)
            assert found

        def whole(experiment: str = experiment, size: int = size) -> None:
            found, token = 0, None
            while found < size:
                page = client.search_runs([experiment], max_results=1000, page_token=token)
                found, token = found + len(page), page.token
                assert token or found == size

        timed(f"newest_{size}", 1, newest)
        timed(f"best_{size}", 1, best)
        if size <= 10_000:
            timed(f"all_{size}", 1, whole)


def history(points: int) -> None:
    """A page of 25,000 points of the long run, and a sample of 320 for a chart."""
    run = "f" * 32
    credentials = client._tracking_client.store.get_host_creds()

    def page() -> None:
        assert len(client._tracking_client.store.get_metric_history(run, "loss", max_results=25_000)) == min(points, 25_000)

    def sample() -> None:
        place = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
        asked = {"run_ids": run, "metric_key": "loss", "max_results": 320}
        said = http_request(credentials, place, "GET", params=asked).json()
        assert len(said["metrics"]) <= 321

    timed("history_page", 1, page)
    timed("history_sample", 1, sample)


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    numbers = [int(word) for word in words]
    {
        "log": lambda: log(numbers[0]),
        "many": lambda: many(numbers[0]),
        "read": lambda: read(numbers),
        "history": lambda: history(numbers[0]),
    }[what]()
