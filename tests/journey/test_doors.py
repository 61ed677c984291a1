"""Data at the door: a database, the web, files of several forms; only what is new is read, and what is not as expected stays outside."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest
from conftest import Person

import bedplate

PROJECT = """
import pandera.polars as pa
import polars as pl

from bedplate import Context, Files, Http, Project, Sql

shop = Project("shop")
ORDERS = Sql("SELECT number, price, at FROM orders", url="sqlite:///shop.db", watermark="at")


class Order(pa.DataFrameModel):
    number: int = pa.Field(unique=True)
    price: float = pa.Field(gt=0)


@shop.ingest
def orders(context: Context, source: Sql = ORDERS) -> pl.LazyFrame:
    rows = source.new()
    context.metric("read", rows.select(pl.len()).collect().item())
    return rows


@shop.ingest(expects=Order)
def priced(source: Files = Files("in/*.csv")) -> pl.LazyFrame:
    return source.frame()


@shop.ingest
def rates(source: Http = Http("${URL}/rates.csv")) -> pl.LazyFrame:
    return source.frame()
"""


@pytest.fixture
def keeper(tmp_path: Path, person: Callable[..., Person]) -> Person:
    """Somebody with a shop: 1,000 orders in a database, priced ones in a file."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("number,price\n1,2.5\n2,3.5\n")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.execute("CREATE TABLE orders (number INTEGER, price REAL, at TEXT)")
    (tmp_path / "project.py").write_text(PROJECT)
    add(tmp_path, range(1_000))
    return Person(tmp_path)


def add(folder: Path, numbers: Any, at: str = "") -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)", [(n, 1.0 + n, at or f"2026-01-01T00:{n // 60:02}:{n % 60:02}") for n in numbers]
        )


def run(keeper: Person, name: str = "orders", env: dict[str, str] | None = None) -> tuple[str, float | None]:
    """What happened to a step, and how many rows it read."""
    done = keeper.types("run", name, "--json", code=None, env=env)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    what = next(e["kind"] for e in said if e.get("step") == name and e["kind"] in ("step.done", "step.skipped", "step.failed"))
    read = [e["data"]["value"] for e in said if e.get("kind") == "step.metric" and e["text"] == "read"]
    return what.removeprefix("step."), read[-1] if read else None


def rows(keeper: Person, name: str = "orders") -> pl.DataFrame:
    frame: pl.DataFrame = bedplate.open(keeper.folder)[name].load()
    return frame


def test_only_rows_beyond_the_watermark_are_read_and_appended(keeper: Person) -> None:
    """1 % more rows are 1 % read; the plan says how many before anything runs."""
    assert run(keeper) == ("done", 1_000.0)
    assert run(keeper) == ("skipped", None)
    add(keeper.folder, range(1_000, 1_010))
    assert "10 new rows" in keeper.types("plan", "orders").stdout
    assert run(keeper) == ("done", 10.0)
    assert rows(keeper)["number"].to_list() == list(range(1_010))


def test_a_late_row_makes_all_of_them_be_read_anew(keeper: Person) -> None:
    """A row with an old watermark would never be beyond it: the count of rows up to there tells."""
    run(keeper)
    add(keeper.folder, [5_000], at="2026-01-01T00:00:05")
    assert run(keeper) == ("done", 1_001.0)
    assert rows(keeper).height == 1_001


def test_a_row_with_the_last_watermark_is_not_lost(keeper: Person) -> None:
    run(keeper)
    add(keeper.folder, [5_000], at="2026-01-01T00:16:39")
    run(keeper)
    assert rows(keeper).filter(pl.col("number") == 5_000).height == 1


def test_a_deleted_row_is_gone_from_the_artifact_too(keeper: Person) -> None:
    run(keeper)
    with closing(sqlite3.connect(keeper.folder / "shop.db")) as database, database:
        database.execute("DELETE FROM orders WHERE number = 7")
    run(keeper)
    assert rows(keeper).height == 999


def test_a_row_without_a_watermark_is_refused(keeper: Person) -> None:
    add(keeper.folder, [1], at="x")
    with closing(sqlite3.connect(keeper.folder / "shop.db")) as database, database:
        database.execute("UPDATE orders SET at = NULL WHERE number = 1")
    assert "2 rows have no at" in keeper.types("run", "orders", code=None).stdout


def test_a_query_that_cannot_be_run_is_the_users_mistake(keeper: Person) -> None:
    keeper.edits("project.py", "FROM orders", "FROM order_lines")
    done = keeper.types("run", "orders", code=None)
    assert "the query cannot be run" in done.stdout + done.stderr
    assert "no such table: order_lines" in done.stdout + done.stderr


def test_rows_that_are_not_as_expected_stay_outside_and_are_kept_to_be_looked_at(keeper: Person) -> None:
    assert run(keeper, "priced") == ("done", None)
    (keeper.folder / "in" / "b.csv").write_text("number,price\n2,1.0\n3,-1.0\n4,9.0\n")
    said = keeper.types("run", "priced", code=1).stdout
    assert "3 of 5 rows of priced are not what is expected" in said
    assert "price: greater_than(0) (1 time)" in said
    (kept,) = (keeper.folder / ".bedplate" / "store" / "rejected" / "priced").glob("*.parquet")
    assert pl.read_parquet(kept)["number"].to_list() == [2, 2, 3]
    assert rows(keeper, "priced").height == 2


def test_another_expectation_is_another_key(keeper: Person) -> None:
    """What passed under the old one is checked again."""
    run(keeper, "priced")
    keeper.edits("project.py", "gt=0", "gt=3")
    assert run(keeper, "priced")[0] == "failed"


class Web(SimpleHTTPRequestHandler):
    """The files of a folder, with the time of their last change."""

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "rates.csv").write_text("code,rate\nEUR,1.1\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Web, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_of_the_web_is_fetched_where_the_site_allows_it_and_again_when_it_changed(keeper: Person, web: tuple[Path, str]) -> None:
    folder, url = web
    env = {**os.environ, "URL": url}
    assert "not fetched from" in keeper.types("run", "rates", code=None, env=env).stdout
    env["BEDPLATE_ALLOW_NETWORKS"] = "127.0.0.0/8"
    assert run(keeper, "rates", env)[0] == "done"
    assert run(keeper, "rates", env)[0] == "skipped"
    (folder / "rates.csv").write_text("code,rate\nEUR,1.1\nGBP,1.3\n")
    assert run(keeper, "rates", env)[0] == "done"
    assert rows(keeper, "rates")["code"].to_list() == ["EUR", "GBP"]
