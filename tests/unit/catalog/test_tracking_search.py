"""Searches of runs in SQLite find what a plain search of the same runs finds, whatever is asked; and which index they go by."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.database import Row, Value
from bedplate.catalog.tracking import asked, grammar, search
from bedplate.catalog.tracking.search import Question
from bedplate.testing.clock import ManualClock
from bedplate.testing.tracking_contract import WORDS
from bedplate.testing.tracking_model import KnownRun, found
from bedplate.testing.tracking_runs import Drawn, draw, put

Known = tuple[Catalog, list[KnownRun]]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """A record with drawn runs."""
    catalog = Catalog.open(open_database(tmp_path_factory.mktemp("search") / "catalog.db"), ManualClock())
    yield catalog, put(catalog, draw(Drawn(random.Random(11), WORDS), 120))
    catalog.close()


@settings(deadline=None, max_examples=300)
@given(source=st.randoms(use_true_random=False))
@pytest.mark.parametrize(("few", "many"), [(0, 0), (0, asked.MANY), (asked.FEW, asked.MANY)])
def test_any_search_finds_what_a_plain_one_finds(known: Known, few: int, many: int, source: random.Random) -> None:
    """Filters, orders, stages and pages; started from an index, asked of it at once, and walked through."""
    catalog, runs = known
    drawn = Drawn(source, WORDS)
    clauses, orders, stages = drawn.clauses(), drawn.orders(), drawn.stages()
    experiments = tuple(sorted({run.experiment for run in runs}))
    limit = source.choice((1, 10, 500))
    ids: list[str] = []
    token = ""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "FEW", few)
        patched.setattr(search, "MANY", many)
        while True:
            question = Question(experiments=experiments, clauses=clauses, orders=orders, stages=stages, limit=limit, token=token)
            some, token = catalog.tracking.search.page(question)
            ids += some
            if not token:
                break
    assert ids == found([run for run in runs if run.stage in stages], clauses, orders)


def test_many_experiments_are_searched_as_one(known: Known) -> None:
    """More than branches are made for, most of which are not there."""
    catalog, runs = known
    ids, token = catalog.tracking.search.page(Question(experiments=tuple(range(500)), stages=("active", "deleted")))
    assert (ids, token) == (found(runs, (), ()), "")


@pytest.mark.parametrize(
    ("text", "orders", "index"),
    [
        ("", [], "tracked_by_start"),
        ("metrics.x > 0.5", [], "curves_by_value"),
        ("params.x = 'a'", [], "run_params_by_value"),
        ("run_name = 'a'", [], "run_tags_by_value"),
        ("dataset.name = 'a'", [], "run_datasets"),
        ("", ["metrics.x DESC"], "curves_by_value"),
    ],
)
def test_a_search_goes_by_an_index(known: Known, text: str, orders: list[str], index: str) -> None:
    """The plan of what is asked of the engine names it: no search reads all runs because a table has no index for it."""
    catalog, _ = known
    plans: list[str] = []
    composed = catalog.database.composed

    def watched(sql: str, values: dict[str, Value]) -> list[Row]:
        plans.extend(str(row[3]) for row in composed(f"EXPLAIN QUERY PLAN {sql}", values))
        return composed(sql, values)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(catalog.database, "composed", watched)
        question = Question(experiments=(0,), clauses=grammar.clauses(text, grammar.RUNS), orders=grammar.orders(orders, grammar.RUNS))
        catalog.tracking.search.page(question)
    assert any(index in plan for plan in plans), plans
    assert not any(plan.startswith("SCAN t ") for plan in plans), plans


def test_nobody_s_text_is_ever_in_the_sql(known: Known) -> None:
    """Keys, values and patterns are bound; the experiments are numbers of the record."""
    catalog, _ = known
    seen: list[str] = []
    composed = catalog.database.composed
    mark = "zzmarkzz"
    asks = ("params.`{}` = '{}'", "tags.`{}` LIKE '{}'", "metrics.`{}` > 1", "run_name IN ('{}')", "dataset.name = '{}'")
    text = " AND ".join(asks).replace("{}", mark)

    def watched(sql: str, values: dict[str, Value]) -> list[Row]:
        seen.append(sql)
        return composed(sql, values)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(catalog.database, "composed", watched)
        question = Question(
            experiments=(0,), clauses=grammar.clauses(text, grammar.RUNS), orders=grammar.orders([f"params.`{mark}`"], grammar.RUNS)
        )
        catalog.tracking.search.whole(question)
    assert seen
    assert not [sql for sql in seen if mark in sql]
