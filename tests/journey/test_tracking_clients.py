"""MLflow's own clients, of the 2.x and the 3.x line, against `bedplate up`, pointed at it by their environment alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mlflow_clients import Client, told
from trackers import Tracker

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock

EVERYTHING = {
    "experiment": ["ניסוי", {"more": "yes", "team": "sky"}, "active", True],
    "none": None,
    "twice": "RESOURCE_ALREADY_EXISTS",
    "experiments": ["ניסוי"],
    "param twice": "INVALID_PARAMETER_VALUE",
    "no tag": "RESOURCE_DOES_NOT_EXIST",
    "run": ["日本 ☃", "FINISHED", "active", True],
    "data": [{"depth": "3", "kind": "tree"}, {"a/b": "1.0", "c d": "2.0", "loss": "0.25"}, "y"],
    "inputs": [["rows", "abc", "train"]],
    "history": [["nan", 0], ["inf", 1], ["-inf", 2], ["1e+308", 3], ["-0.0", 4], ["0.25", 5]],
    "children": [True],
    "batch": 1000,
    "pages": ["6", "5", "4", "2", "1"],
    "filters": [1, 1, 1, 1, 2, 9],
    "injected": "INVALID_PARAMETER_VALUE",
    "deleted": ["deleted", "INVALID_PARAMETER_VALUE"],
    "only deleted": 1,
    "updated": ["FAILED", "renamed"],
    "experiment deleted": ["deleted", "INVALID_PARAMETER_VALUE"],
    "restored": ["renamed", 9],
    "missing": "RESOURCE_DOES_NOT_EXIST",
    "too long": "INVALID_PARAMETER_VALUE",
}


def test_a_client_reads_back_all_that_it_says(client: Client, tracker: Callable[..., Tracker]) -> None:
    """Experiments, runs, params, tags, metrics with every value, datasets, searches, pages, and each refusal by its code."""
    up = tracker()
    assert client.says("everything", up.url, up.token) == EVERYTHING


def test_no_point_is_lost_or_doubled_while_the_server_is_killed(client: Client, tracker: Callable[..., Tracker]) -> None:
    """Three writers go on through five kills: their client tries again, and each point is there once."""
    up = tracker()
    begun = [client.start("logging_much", up.url, up.token, f"m{batch}", "600", str(batch)) for batch in (1, 1, 50)]
    going = threading.Thread(target=lambda: [one.wait() for one in begun])
    going.start()
    for _ in range(5):
        time.sleep(0.7)
        up.kill()
        up.start()
    runs = [told(one) for one in begun]
    going.join()
    up.kill()
    catalog = Catalog.open(open_database(up.folder / ".bedplate" / "catalog.db"), SystemClock())
    for run, name in zip(runs, ("m1", "m1", "m50"), strict=True):
        history, token = catalog.tracking.curves.history(run, name, 1000)
        assert ([point.value for point in history], token) == ([float(number) for number in range(600)], "")
    catalog.close()
