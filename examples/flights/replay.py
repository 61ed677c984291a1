"""Ask the service about every flight of November and December, in the order in which they were due: `python replay.py URL TRUTH.csv`.

One request per flight over HTTP, on several connections that stay open, as an airline's own system would ask. Whether a flight
landed late is written to TRUTH.csv beside the prediction's id: `bedplate labels TRUTH.csv` brings it to the record.
"""

from __future__ import annotations

import csv
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import polars as pl
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import bedplate

HERE = Path(__file__).parent
NOVEMBER = pl.datetime(2013, 11, 1, 4, time_zone="UTC")
ASKED = ["time", "carrier", "origin", "distance", "sched_dep_time", "tailnum"]
CONNECTIONS = 4


class Answered(NamedTuple):
    """One flight's answer: its prediction, seconds on the wire, when it was due and whether it was late (None: it never landed)."""

    prediction_id: str
    seconds: float
    time: str
    late: bool | None


class Traffic(NamedTuple):
    """What was sent: flights, wall-clock seconds, and the median and 99th percentile of an answer's seconds."""

    flights: int
    seconds: float
    p50: float
    p99: float


def held_out() -> list[dict[str, Any]]:
    """The flights that no training saw, by the time when they were due."""
    departures: pl.DataFrame = bedplate.open(HERE)["departures"].load(view="polars")
    rows = departures.filter(pl.col("time") >= NOVEMBER).sort("time", maintain_order=True)
    return rows.select(pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), *ASKED[1:], "late").to_dicts()


def replay(url: str, truth: Path, flights: list[dict[str, Any]]) -> Traffic:
    """Ask about every flight and write the truth of those that landed. Raises RuntimeError where the service refuses one."""
    waiting, lock = iter(flights), threading.Lock()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    begun = time.perf_counter()
    with Progress(*columns) as progress, ThreadPoolExecutor(CONNECTIONS) as connections:
        task = progress.add_task("flights asked about", total=len(flights))
        senders = [connections.submit(lambda: list(ask(url, waiting, lock, lambda: progress.advance(task)))) for _ in range(CONNECTIONS)]
        answers = [answer for sender in senders for answer in sender.result()]
    seconds = time.perf_counter() - begun
    with truth.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["prediction_id", "label", "due"])
        rows.writerows([one.prediction_id, str(one.late).lower(), one.time] for one in answers if one.late is not None)
    took = sorted(one.seconds for one in answers)
    return Traffic(len(took), seconds, took[len(took) // 2], took[len(took) * 99 // 100])


def ask(url: str, waiting: Iterator[dict[str, Any]], lock: threading.Lock, done: Any) -> Iterator[Answered]:
    """Take flights from `waiting` and ask about one after the other on one connection."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    while True:
        with lock:
            flight = next(waiting, None)
        if flight is None:
            return connection.close()
        body = json.dumps({name: flight[name] for name in ASKED})
        begun = time.perf_counter()
        connection.request("POST", "/will_be_late", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"the service answered {answer.status}: {text.decode(errors='replace')}")
        yield Answered(json.loads(text)["prediction_id"], time.perf_counter() - begun, flight["time"], flight["late"])
        done()


if __name__ == "__main__":
    sent = replay(sys.argv[1], Path(sys.argv[2]), held_out())
    print(f"{sent.flights:,} flights in {sent.seconds:.1f} s; p50 {sent.p50 * 1e3:.1f} ms, p99 {sent.p99 * 1e3:.1f} ms")
