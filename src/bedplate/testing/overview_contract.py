"""What every Database owes pages over many runs: keys, columns, children, samples of many curves, saved views. Subclass `OverviewContract`.

Needs pytest.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.database import Database
from bedplate.catalog.tracking.overview import Key
from bedplate.catalog.tracking.runs import Batch, NewRun
from bedplate.catalog.tracking.search import Question
from bedplate.catalog.tracking.tracked import PARENT, Named, Point
from bedplate.catalog.views import MOST
from bedplate.core.context import Noted
from bedplate.core.errors import NotFound, UserError

from .clock import ManualClock
from .records import History, draft


class OverviewContract(ABC):
    """Tests on one engine; each gets a fresh record."""

    @abstractmethod
    def make(self, folder: Path) -> Database:
        """An empty database of a folder's name."""

    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Iterator[Catalog]:
        """An empty record."""
        catalog = Catalog.open(self.make(tmp_path), ManualClock())
        yield catalog
        catalog.close()

    def test_keys_are_those_that_runs_of_the_experiments_said(self, catalog: Catalog) -> None:
        """Proves that suggestions know every way of saying a key, tell experiments apart, and take a wildcard as a letter."""
        other = catalog.tracking.experiments.create("other", [], 0) or 0
        _run(catalog, "a", _said((Point("val/Acc", 1.0, 0),), (Named("depth", "3"), Named("de%h", "3")), (Named("team", "x"),)))
        _run(catalog, "b", _said((Point("hidden", 1.0, 0),)), experiment=other)
        overview = catalog.tracking.overview
        assert overview.keys([0], "metric", "acc") == ["val/Acc"]
        assert overview.keys([0], "param", "%") == ["de%h"]
        assert overview.keys([0], "tag") == ["team", "mlflow.runName"]
        assert overview.keys([0, other], "metric") == ["hidden", "val/Acc"]
        assert overview.keys([], "metric") == []

    def test_what_steps_say_is_suggested_too(self, catalog: Catalog) -> None:
        """Proves that the project's own runs add to the keys of its experiment."""
        history = History(catalog, catalog.database.clock)
        catalog.commit([history.done("late", draft("late", 1), noted=(Noted(what="metric", name="auc", value=0.5),))])
        project = catalog.tracking.experiments.find("flights").id
        assert catalog.tracking.overview.keys([project], "metric") == ["auc"]
        assert catalog.tracking.overview.keys([project], "param") == ["n"]

    def test_a_page_reads_the_columns_it_shows(self, catalog: Catalog) -> None:
        """Proves that values come by run and key, not-a-number by its name, and that the most frequent keys come first."""
        _run(catalog, "a", _said((Point("m", 0.5, 0), Point("n", math.nan, 0)), (Named("p", "x"),)))
        _run(catalog, "b", _said((Point("m", 2.0, 0),), (Named("p", "y"), Named("q", "1"))))
        overview = catalog.tracking.overview
        columns = [Key("metric", "m"), Key("metric", "n"), Key("param", "p"), Key("tag", "nobody's")]
        assert overview.cells(["a", "b", "c"], columns) == {
            "a": {Key("metric", "m"): 0.5, Key("metric", "n"): "NaN", Key("param", "p"): "x"},
            "b": {Key("metric", "m"): 2.0, Key("param", "p"): "y"},
        }
        assert overview.common(["a", "b"], "metric", 1) == [Key("metric", "m")]
        assert [run.id for run in overview.runs(["b", "c", "a"])] == ["b", "a"]

    def test_the_top_and_the_children_of_a_run_are_found(self, catalog: Catalog) -> None:
        """Proves that a search tells runs at the top from children, page by page, and that children are counted."""
        for number in range(5):
            _run(catalog, f"p{number}", at=number)
            for child in range(3):
                _run(catalog, f"p{number}c{child}", at=number, parent=f"p{number}")
        catalog.tracking.runs.delete("p1c0", 9)
        first, token = catalog.tracking.search.page(Question(experiments=(0,), parent="", limit=3))
        rest, end = catalog.tracking.search.page(Question(experiments=(0,), parent="", limit=3, token=token))
        assert (first, rest, end) == (["p4", "p3", "p2"], ["p1", "p0"], "")
        assert catalog.tracking.search.page(Question(experiments=(0,), parent="p1"))[0] == ["p1c1", "p1c2"]
        assert catalog.tracking.search.page(Question(experiments=(7,), parent="p1"))[0] == []
        assert catalog.tracking.overview.children(["p0", "p1", "p1c1"]) == {"p0": 3, "p1": 2}
        count = catalog.tracking.overview.count
        assert [count([0, 7], ("active",), parent) for parent in (None, "", "p1")] == [19, 5, 2]
        assert count([0], ("active", "deleted"), None) == 20

    def test_curves_of_many_runs_are_sampled_as_one_is(self, catalog: Catalog) -> None:
        """Proves that few points all come, many are spread with both ends among them, crowded ones are thinned, and stretches refine."""
        _run(catalog, "few", _said(tuple(Point("m", step, step, step) for step in (0, 1, 1000))))
        _run(catalog, "crowded", _said(tuple(Point("m", at, at, 7) for at in range(400))))
        _run(catalog, "far", _said((Point("m", 1.0, 0, -(2**62)), Point("m", 2.0, 0, 2**62))))
        for start in range(0, 2000, 500):
            _run(catalog, "long", _said(tuple(Point("m", step, step, step) for step in range(start, start + 500))))
        found = catalog.tracking.samples.of(["few", "crowded", "far", "long", "nobody"], "m", 20)
        assert [one.step for one in found["few"]] == [0, 1, 1000]
        assert [one.step for one in found["far"]] == [-(2**62), 2**62]
        assert 10 <= len(found["crowded"]) <= 21
        assert found["crowded"][-1].timestamp == 399
        steps = [one.step for one in found["long"]]
        assert (steps[0], steps[-1]) == (0, 1999)
        assert len(steps) <= 20
        assert max(later - step for step, later in itertools.pairwise(steps)) < 200
        finer = catalog.tracking.samples.of(["long", "few"], "m", 20, {"long": (100, 115)})
        assert {run: [one.step for one in some] for run, some in finer.items()} == {"long": list(range(100, 116))}
        assert catalog.tracking.samples.of([], "m", 20) == {}

    def test_runs_are_compared_by_their_code_and_their_data(self, catalog: Catalog) -> None:
        """Proves that a run has its steps, what each was keyed by and handed, an attempt its own, a client's run none; and its commit."""
        history = History(catalog, catalog.database.clock)
        given = history.make("departures", 1)
        catalog.commit([history.done("late", draft("late", 1, "model"), inputs={"departures": given})])
        _run(catalog, "client", _said((Point("loss", 1.0, 0, 0), Point("loss", 0.5, 1, 1), Point("once", 1.0, 0))))
        compared = catalog.tracking.compared
        steps = compared.steps([history.run.id, "client", "nobody"])
        assert [(step.name, step.parts is not None) for step in steps[history.run.id]] == [("departures", True), ("late", True)]
        attempt = steps[history.run.id][1].result
        assert compared.steps([attempt]) == {attempt: [steps[history.run.id][1]]}
        assert compared.inputs([attempt]) == {attempt: [("departures", 1)]}
        assert compared.results([history.run.id, "client"])[history.run.id][1] == ("late", attempt)
        assert catalog.tracking.overview.metrics(["client"]) == {"client": [("loss", 0.5), ("once", 1.0)]}
        origins = compared.origins([history.run.id, attempt, "client"])
        assert (origins[history.run.id].commit, origins[attempt].commit, origins[attempt].is_dirty) == ("abc", "abc", True)
        assert origins["client"].commit == ""
        assert compared.curved(["client", attempt]) == ["loss"]
        assert (compared.curved([]), compared.steps([]), compared.inputs([])) == ([], {}, {})

    def test_views_are_each_accounts_own(self, catalog: Catalog) -> None:
        """Proves that a view is kept under its name, replaced, taken away, and that there is an end to them."""
        now = catalog.database.clock.now()
        catalog.views.save("ann", "runs", "best", "filter=a", now)
        catalog.views.save("ann", "runs", "best", "filter=b", now)
        catalog.views.save("bob", "runs", "best", "filter=c", now)
        assert [(one.name, one.address) for one in catalog.views.of("ann", "runs")] == [("best", "filter=b")]
        assert catalog.views.of("ann", "compare") == []
        catalog.views.drop("ann", "runs", "best")
        with pytest.raises(NotFound):
            catalog.views.drop("ann", "runs", "best")
        with pytest.raises(UserError):
            catalog.views.save("ann", "runs", "  ", "x", now)
        for number in range(MOST):
            catalog.views.save("ann", "runs", f"view {number}", "x", now)
        with pytest.raises(UserError):
            catalog.views.save("ann", "runs", "one more", "x", now)


def _run(catalog: Catalog, id: str, said: Batch | None = None, *, experiment: int = 0, at: int = 0, parent: str = "") -> None:
    """A run, made where it is not there yet, that says something."""
    try:
        catalog.tracking.runs.get(id)
    except NotFound:
        tags = (Named(PARENT, parent),) if parent else ()
        catalog.tracking.runs.create(NewRun(id=id, experiment=experiment, started_ms=at, name=id, tags=tags))
    if said is not None:
        catalog.tracking.runs.log(id, said)


def _said(metrics: tuple[Point, ...] = (), params: tuple[Named, ...] = (), tags: tuple[Named, ...] = ()) -> Batch:
    return Batch(metrics=metrics, params=params, tags=tags)
