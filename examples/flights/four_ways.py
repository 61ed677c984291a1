"""One function, asked in four ways: online, in batch, as a stream and at the edge. `python four_ways.py` says that the answers are alike.

It asks about every flight of Christmas Day. The edge has no record to look features up in: it is sent the rows that the service looked
up, as the prediction log has them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

import bedplate

HERE = Path(__file__).parent
BEDPLATE = [sys.executable, "-m", "bedplate"]
TABLE = "christmas"

Rows = list[dict[str, Any]]


@contextmanager
def server(folder: Path) -> Iterator[dict[str, Any]]:
    """`bedplate serve` in the background; gives the line that it says once it is ready, and stops it at the end."""
    with subprocess.Popen([*BEDPLATE, "serve", "--port", "0", "--json"], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            sys.exit(process.wait())
        try:
            yield json.loads(line)
        finally:
            process.terminate()


def asked(folder: Path) -> Rows:
    """The requests: a row each of the table."""
    rows: pl.DataFrame = bedplate.open(folder)[TABLE].load(view="polars")
    return rows.with_columns(pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), pl.col("carrier", "origin").cast(pl.String)).to_dicts()


def online(url: str, rows: Rows) -> tuple[list[float], list[str]]:
    """What a server answers, and the ids of its predictions."""
    request = urllib.request.Request(f"{url}/will_be_late", json.dumps(rows).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        answers = json.load(reply)
    return [one["result"] for one in answers], [one["prediction_id"] for one in answers]


def batch(folder: Path) -> list[float]:
    """The answers to the table, as a table."""
    subprocess.run([*BEDPLATE, "run", "will_be_late", "--over", TABLE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    scored: pl.DataFrame = bedplate.open(folder)[f"will_be_late_over_{TABLE}"].load(view="polars")
    return scored["prediction"].to_list()


def stream(folder: Path, rows: Rows) -> list[float]:
    """The answers to lines of JSON, line by line."""
    words = [*BEDPLATE, "run", "will_be_late", "--over", "-"]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run(words, cwd=folder, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line)["result"] for line in done.stdout.splitlines()]


def edge(folder: Path, rows: Rows, looked: Rows) -> list[float]:
    """What the bundle answers, without bedplate, given the features that were looked up."""
    given = json.dumps([{**row, "features": features} for row, features in zip(rows, looked, strict=True)])
    with tempfile.TemporaryDirectory() as place:
        words = [*BEDPLATE, "export", "edge", "will_be_late", "--unsigned", "--to", f"{place}/edge"]
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        runner = [sys.executable, "-I", f"{place}/edge/run.py"]
        answers: list[float] = json.loads(subprocess.run(runner, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return answers


def looked_up(folder: Path, ids: list[str]) -> Rows:
    """The feature rows behind those predictions, as the log has them."""
    log = bedplate.open(folder).store.log("predictions/will_be_late").scan().select("prediction_id", "features").collect()
    by_id = dict(log.iter_rows())
    return [by_id[one] for one in ids]


def alike(folder: Path) -> int:
    """Ask in all four ways; how many flights there were. Raises RuntimeError where one answer differs in one bit."""
    rows = asked(folder)
    with server(folder) as ready:
        said, ids = online(ready["url"], rows)
    ways = {"batch": batch(folder), "stream": stream(folder, rows), "edge": edge(folder, rows, looked_up(folder, ids))}
    for way, answers in ways.items():
        if answers != said:
            raise RuntimeError(
                f"{way} answers otherwise than online, of {rows[next(at for at, one in enumerate(said) if one != answers[at])]}"
            )
    return len(rows)


if __name__ == "__main__":
    print(f"{alike(HERE)} flights: online, batch, stream and edge answer alike, bit for bit ({os.path.relpath(HERE)})")
