"""Features as a server reads them: a project is run and served, its table grows meanwhile, its Redis dies, parity is worked out."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis_process import RedisServer
from serve_site import serving_project

import bedplate
from bedplate.pipeline.workspace import Workspace

PROJECT = """
from datetime import datetime

import polars as pl

from bedplate import Features, Files, Project

shop = Project("shop")


@shop.ingest
def purchases(source: Files = Files("purchases.csv")) -> pl.DataFrame:
    read = pl.read_csv(source.paths[0], schema={"who": pl.String, "time": pl.String, "known": pl.String, "amount": pl.Float64})
    return read.with_columns(pl.col("time", "known").str.to_datetime(time_zone="UTC"))


@shop.features(entity="who", time="time", created="known", online=True)
def spent(purchases: pl.LazyFrame) -> pl.LazyFrame:
    return purchases


@shop.features(
    entity="who", time="time", created="known", online=True, window="1 hour", gives={"total": "sum(amount)", "bought": "count()"}
)
def recent(purchases: pl.LazyFrame) -> pl.LazyFrame:
    return purchases


@shop.service
def worth(spent: Features, recent: Features, who: str) -> dict[str, float | None]:
    return {"last": spent[who]["amount"], **recent[who]}


@shop.service
def both(spent: Features, one: str, two: str) -> list[float | None]:
    return [row["amount"] for row in spent[[one, two]]]


@shop.service
def then(spent: Features, recent: Features, who: str, time: datetime) -> float | None:
    row = spent.at({"who": who, "time": time}, recent)
    return row["amount"]
"""
NOW = datetime.now(UTC)


def wrote(folder: Path, *rows: tuple[str, float, float, float]) -> None:
    """Purchases: who, minutes ago it was, minutes ago it became known, amount."""
    ago = [(who, NOW - timedelta(minutes=was), NOW - timedelta(minutes=known), amount) for who, was, known, amount in rows]
    lines = [f"{who},{at:%Y-%m-%dT%H:%M:%S.%f},{known:%Y-%m-%dT%H:%M:%S.%f},{amount}" for who, at, known, amount in ago]
    (folder / "purchases.csv").write_text("who,time,known,amount\n" + "\n".join(lines) + "\n")


FIRST = (("ann", 90.0, 90.0, 1.0), ("ann", 30.0, 29.0, 2.0), ("bob", 20.0, 20.0, 7.0))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Workspace]:
    monkeypatch.setenv("BEDPLATE_COMPUTE", "inline")
    monkeypatch.setattr(f"{__name__}.NOW", datetime.now(UTC))  # not the suite's: it may take longer than a window
    (tmp_path / "shop.py").write_text(PROJECT)
    wrote(tmp_path, *FIRST)
    workspace = bedplate.open(tmp_path)
    assert workspace.run().failures == {}
    return lambda: bedplate.open(tmp_path)


def asked(url: str, path: str, body: Any = None) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)) as connection:
        headers = {"Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def said(url: str, path: str, body: Any) -> Any:
    status, answer = asked(url, path, body)
    assert status == 200, answer
    return answer["result"]


def soon(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "not within 20 s"
        time.sleep(0.05)


def test_a_server_reads_the_version_of_the_record_and_takes_up_the_next(project: Callable[[], Workspace]) -> None:
    """From an embedded store that the next server finds as it was; late and repeated events by the rule; parity says so afterwards."""
    workspace = project()
    folder = workspace.config.folder
    ann = {"last": 2.0, "total": 2.0, "bought": 1}
    with serving_project(workspace) as url:
        assert said(url, "/worth", {"who": "ann"}) == ann
        assert said(url, "/worth", {"who": "nobody"}) == {"last": None, "total": 0.0, "bought": 0}
        assert said(url, "/both", {"one": "bob", "two": "nobody"}) == [7.0, None]
        before = (NOW - timedelta(minutes=60)).isoformat()
        assert said(url, "/then", {"who": "ann", "time": before}) == 1.0
        new = -(datetime.now(UTC) - NOW) / timedelta(minutes=1)
        late = ("ann", 40.0, new, 5.0)  # it is older than what was served, and nobody knew of it
        wrote(folder, *FIRST, late, ("bob", new, new, 9.0))
        assert project().run().failures == {}
        soon(lambda: asked(url, "/health/ready")[1]["services"]["worth"]["spent"] == "spent@2")
        assert said(url, "/worth", {"who": "bob"})["last"] == 9.0
        assert said(url, "/worth", {"who": "ann"}) == {"last": 2.0, "total": 7.0, "bought": 2}
    assert (folder / ".bedplate" / "online").is_dir()
    report = project().watch("worth")
    assert [(one.view, one.share, one.untold) for one in report.parity] == [("spent", 1.0, 0), ("recent", 1.0, 0)]
    assert report.parity[0].compared >= 4
    assert [one.share for one in project().watch("then").parity] == [1.0, 1.0]


@pytest.mark.bad_input("history rewritten behind what was served")
def test_history_that_is_rewritten_behind_the_record_is_told(project: Callable[[], Workspace]) -> None:
    """Served 2.0; the table says since that it was 3.0 all the time."""
    workspace = project()
    with serving_project(workspace) as url:
        assert said(url, "/worth", {"who": "ann"})["last"] == 2.0
    wrote(workspace.config.folder, FIRST[0], ("ann", 30.0, 29.0, 3.0), FIRST[2])
    project().run()
    report = project().watch("worth")
    assert (report.parity[0].rewritten, report.parity[0].equal) == (1, 0)
    assert any("rewritten since" in line and "got amount 2 from spent@1, and by spent@2 it was 3" in line for line in report.findings)


@pytest.mark.bad_input("a Redis that comes back empty")
def test_a_redis_that_dies_is_told_and_one_that_comes_back_empty_is_filled(
    project: Callable[[], Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F53: meanwhile callers get 503 with the reason, which health and the record have too; then the right rows, never nulls for them."""
    redis = RedisServer()
    redis.start()
    monkeypatch.setenv("BEDPLATE_ONLINE", redis.url)
    try:
        with serving_project(project()) as url:
            assert said(url, "/worth", {"who": "ann"})["last"] == 2.0
            redis.kill()
            status, answer = asked(url, "/worth", {"who": "ann"})
            assert (status, f"online features at {redis.url} cannot be read" in answer["error"]["what"]) == (503, True)
            soon(lambda: "online spent" in asked(url, "/health/ready")[1]["problems"])
            redis.start()
            soon(lambda: asked(url, "/worth", {"who": "ann"})[0] == 200)
            assert said(url, "/worth", {"who": "ann"})["last"] == 2.0
            soon(lambda: not asked(url, "/health/ready")[1]["problems"])
        log = project().store.log("predictions/worth").scan().collect()
        assert set(log["status"]) == {200, 503}
        assert log.filter(log["status"] == 503).height >= 1
        assert log["result"].null_count() == log.filter(log["status"] == 503).height
    finally:
        redis.kill()
