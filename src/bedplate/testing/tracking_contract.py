"""What every Database owes tracking: experiments, runs, curves and their search are the same on each engine. Subclass `TrackingContract`.

    class TestMyTracking(TrackingContract):
        def make(self, folder: Path) -> Database:
            return MyDatabase(...)

Searches of drawn runs are compared with `tracking_model`. Needs pytest.
"""

from __future__ import annotations

import math
import random

import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.experiments import ExperimentQuestion
from bedplate.catalog.tracking.gone import Forgotten
from bedplate.catalog.tracking.runs import Batch, NewRun, TrackedRuns
from bedplate.catalog.tracking.search import Question
from bedplate.catalog.tracking.tracked import CONTEXT, PARENT, RUN_NAME, Dataset, DatasetInput, Metric, Named, Point
from bedplate.core.context import Noted
from bedplate.core.errors import NotFound, Refused, UserError

from .clock import ManualClock
from .record_contract import RecordContract
from .records import History, draft
from .tracking_model import found
from .tracking_runs import Drawn, draw, put

WORDS = ("a", "A", "ab", "aB%", "_x", "日本", "", "x" * 150, "x" * 150 + "y", "it's", "back\\slash", "line\nbreak", "שלום", "a_b", "%")


class TrackingContract(RecordContract):
    """Tests of tracking on one engine; each gets a fresh record."""

    # Experiments

    def test_experiments_are_made_once_by_name(self, catalog: Catalog) -> None:
        """Ids rise from 0, the default one; a name is taken by a deleted experiment too."""
        experiments = catalog.tracking.experiments
        assert experiments.get(0).name == "Default"
        first = experiments.create("first", [Named("team", "sky")], 5)
        second = experiments.create("second", [], 6)
        assert first is not None
        assert second is not None
        assert second > first > 0
        assert experiments.create("first", [], 7) is None
        experiments.delete(first, 8)
        assert experiments.create("first", [], 9) is None
        assert (experiments.find("first").stage, experiments.find("first").tags) == ("deleted", (Named("team", "sky"),))

    def test_deleting_an_experiment_deletes_its_runs_and_only_those_come_back(self, catalog: Catalog) -> None:
        """A run that was deleted before stays deleted."""
        tracking = catalog.tracking
        experiment = tracking.experiments.create("e", [], 1)
        assert experiment is not None
        runs = [tracking.runs.create(NewRun(id=f"r{number}", experiment=experiment, started_ms=1)).run.id for number in range(2)]
        tracking.runs.delete(runs[0], 5)
        tracking.experiments.delete(experiment, 9)
        assert {tracking.runs.get(run).stage for run in runs} == {"deleted"}
        with pytest.raises(UserError, match="active"):
            tracking.runs.create(NewRun(id="late", experiment=experiment, started_ms=1))
        tracking.experiments.restore(experiment, 10)
        assert [tracking.runs.get(run).stage for run in runs] == ["deleted", "active"]

    def test_experiments_are_found_by_filter_order_and_page(self, catalog: Catalog) -> None:
        """Names and tags, ids as texts, pages that follow one another, and only what may be seen."""
        experiments = catalog.tracking.experiments
        made = [experiments.create(name, [Named("n", name)], at) for at, name in enumerate(("b", "a", "C", "d"))]
        experiments.set_tag(made[0] or 0, Named("n", "other"))

        def names(text: str = "", order: str = "name", seen: frozenset[int] | None = None) -> list[str]:
            pages, token = [], ""
            while True:
                question = ExperimentQuestion(
                    clauses=grammar.clauses(text, grammar.EXPERIMENTS), orders=grammar.orders([order], grammar.EXPERIMENTS),
                    seen=seen, limit=2, token=token,
                )  # fmt: skip
                some, token = experiments.search(question)
                pages += [one.name for one in some]
                if not token:
                    return pages

        assert names() == ["C", "Default", "a", "b", "d"]
        assert names(order="creation_time DESC") == ["d", "C", "a", "b", "Default"]
        assert names("name ILIKE 'c%'") == ["C"]
        assert names("tags.n != 'other'") == ["C", "a", "d"]
        assert names(f"experiment_id IN ('{made[3]}', 'nobody')") == ["d"]
        assert names("creation_time >= 2 AND tags.n IS NOT NULL") == ["C", "d"]
        assert names(seen=frozenset({made[1] or 0})) == ["a"]
        assert names(seen=frozenset()) == []

    # Runs

    def test_a_run_is_a_run_of_the_record(self, catalog: Catalog) -> None:
        """It is listed, and neither recovery nor what looks for crashed runs takes it for one of the project."""
        run = catalog.tracking.runs.create(NewRun(id="f" * 32, experiment=0, started_ms=5, tags=(Named(PARENT, "p"),), random=7)).run
        assert (run.parent, run.status) == ("p", "RUNNING")
        assert run.name.count("-") == 2
        kept = catalog.runs.get(run.id)
        assert (kept.origin, kept.status, kept.project) == ("client", "running", "Default")
        assert catalog.runs.last() == [kept]
        assert (catalog.runs.running(), catalog.runs.open_attempts(), catalog.runs.last_of_project()) == ([], [], [])
        catalog.tracking.runs.update(run.id, 9, status="FAILED", ended_ms=8)
        assert (catalog.runs.get(run.id).status, catalog.runs.attempt(run.id).status) == ("failed", "failed")
        again = catalog.tracking.runs.update(run.id, 10, status="RUNNING")
        assert (again.ended_ms, catalog.runs.attempt(run.id).ended_at) == (None, None)

    def test_names_are_one_with_their_tag(self, catalog: Catalog) -> None:
        """Whichever is said; two that differ are refused."""
        runs = catalog.tracking.runs
        run = runs.create(NewRun(id="r", experiment=0, started_ms=1, name="מודל")).run
        assert self._tags(catalog, "r")[RUN_NAME] == run.name == "מודל"
        assert runs.update("r", 2, name="two").name == "two"
        runs.set_tag("r", Named(RUN_NAME, "three"))
        assert (runs.get("r").name, self._tags(catalog, "r")[RUN_NAME]) == ("three", "three")
        with pytest.raises(UserError, match="different values"):
            runs.create(NewRun(id="s", experiment=0, started_ms=1, name="a", tags=(Named(RUN_NAME, "b"),)))

    def test_params_are_written_once(self, catalog: Catalog) -> None:
        """The same value again is no change, another is refused, and the batch with it is refused whole."""
        runs = self._run(catalog)
        runs.log_param("r", Named("p", "1"))
        runs.log_param("r", Named("p", "1"))
        with pytest.raises(UserError, match="key='p'"):
            runs.log_param("r", Named("p", "2"))
        batch = Batch(params=(Named("q", "1"), Named("p", "2")), tags=(Named("t", "u"),), metrics=(Point("m", 1.0, 1),))
        with pytest.raises(UserError, match="Changing param values"):
            runs.log("r", batch)
        (detail,) = catalog.tracking.details.of(["r"])
        assert (detail.params, detail.metrics, [tag.key for tag in detail.tags]) == ([Named("p", "1")], [], [RUN_NAME])

    def test_a_deleted_run_takes_nothing_and_an_ended_one_does(self, catalog: Catalog) -> None:
        """As clients have it: they log after the end, not after a deletion."""
        runs = self._run(catalog)
        runs.update("r", 2, status="FINISHED", ended_ms=2)
        runs.log_metric("r", Point("m", 1.0, 1))
        runs.delete("r", 3)
        for work in (
            lambda: runs.log_metric("r", Point("m", 2.0, 1)), lambda: runs.set_tag("r", Named("a", "b")), lambda: runs.log("r", Batch()),
        ):  # fmt: skip
            with pytest.raises(UserError, match="'active' state"):
                work()
        runs.restore("r")
        runs.delete_tag("r", RUN_NAME)
        with pytest.raises(NotFound, match="No tag"):
            runs.delete_tag("r", "a")
        with pytest.raises(NotFound, match="not found"):
            runs.log_metric("nobody", Point("m", 1.0, 1))

    @pytest.mark.parametrize(
        ("batch", "field"),
        [
            (Batch(metrics=tuple(Point("m", 1.0, number) for number in range(1001))), "metrics"),
            (Batch(params=tuple(Named(f"p{number}", "1") for number in range(101))), "params"),
            (Batch(tags=tuple(Named(f"t{number}", "1") for number in range(101))), "tags"),
            (Batch(metrics=tuple(Point("m", 1.0, number) for number in range(1000)), tags=(Named("t", "1"),)), "together"),
            (Batch(params=(Named("p", "1"), Named("p", "1"))), "params"),
            (Batch(params=(Named("p", "x" * 65_536),)), r"params\[0\].value"),
            (Batch(tags=(Named("t", "1"), Named("t" * 251, "1"))), r"tags\[1\].key"),
            (Batch(tags=(Named("big", "x" * 10_000_000),)), r"tags\[0\].value"),
            (Batch(metrics=(Point("", 1.0, 1),)), r"metrics\[0\].key"),
            (Batch(metrics=(Point("m", 1.0, -1),)), r"metrics\[0\].timestamp"),
            (Batch(metrics=(Point("m", 1.0, 1, 2**63),)), r"metrics\[0\].step"),
            (Batch(tags=(Named("a\nb", "1"),)), r"tags\[0\].key"),
        ],
    )
    def test_limits_are_answered_with_the_fields_name(self, catalog: Catalog, batch: Batch, field: str) -> None:
        """Nothing of a batch beyond them is recorded."""
        runs = self._run(catalog)
        with pytest.raises(UserError, match=field):
            runs.log("r", batch)
        (detail,) = catalog.tracking.details.of(["r"])
        assert (detail.metrics, detail.params, len(detail.tags)) == ([], [], 1)

    def test_twelve_thousand_metric_names_fit_in_a_run(self, catalog: Catalog) -> None:
        """In batches of 1,000, each found again."""
        runs = self._run(catalog)
        for start in range(0, 12_000, 1000):
            runs.log("r", Batch(metrics=tuple(Point(f"m{number}", float(number), 1) for number in range(start, start + 1000))))
        (detail,) = catalog.tracking.details.of(["r"])
        assert {metric.key: metric.value for metric in detail.metrics} == {f"m{number}": float(number) for number in range(12_000)}

    # Curves

    def test_every_value_survives_and_an_equal_point_is_one(self, catalog: Catalog) -> None:
        """NaN, infinities, the largest, the smallest, both zeros; logged three times, there once."""
        runs = self._run(catalog)
        values = [math.nan, math.inf, -math.inf, 1.7976931348623157e308, 5e-324, -0.0, 0.0, 0.1]
        for _ in range(3):
            runs.log("r", Batch(metrics=tuple(Point("m", value, 7, step) for step, value in enumerate(values))))
        runs.log_metric("r", Point("m", math.nan, 7, 0))
        history, token = catalog.tracking.curves.history("r", "m", 100)
        told = ["NaN", "Infinity", "-Infinity", *values[3:]]
        assert [repr(metric.value) for metric in history] == [repr(value) for value in told]
        assert token == ""
        for step, value in enumerate(values):
            runs.log_metric("r", Point(f"one{step}", value, 1))
        latest = {metric.key: repr(metric.value) for metric in catalog.tracking.details.of(["r"])[0].metrics}
        assert latest == {"m": "0.1"} | {f"one{step}": repr(value) for step, value in enumerate(told)}

    def test_the_latest_point_is_the_same_in_whichever_order_points_come(self, catalog: Catalog) -> None:
        """By step, then time, then value, with not-a-number above all; alone or in batches."""
        points = [Point("m", value, at, step) for step in (0, 2) for at in (1, 5) for value in (math.nan, -1.0, 3.0, -0.0, 0.0)]
        drawn = random.Random(3)
        for number in range(6):
            run = f"r{number}"
            self._run(catalog, run)
            drawn.shuffle(points)
            for start in range(0, len(points), number + 1):
                catalog.tracking.runs.log(run, Batch(metrics=tuple(points[start : start + number + 1])))
            assert catalog.tracking.details.of([run])[0].metrics == [Metric("m", "NaN", 5, 2)]

    def test_history_comes_in_pages(self, catalog: Catalog) -> None:
        """Each point once, by step, then time; a token of another curve, or one that was changed, is refused."""
        runs = self._run(catalog)
        points = [Point("m", float(number), number % 3, number // 7 - 5) for number in range(100)]
        runs.log("r", Batch(metrics=tuple(points)))
        told, token = [], ""
        while True:
            some, token = catalog.tracking.curves.history("r", "m", 9, token)
            told += some
            if not token:
                break
            last = token
        expected = sorted(points, key=lambda point: (point.step, point.timestamp, point.value))
        assert [(one.step, one.timestamp, one.value) for one in told] == [(one.step, one.timestamp, one.value) for one in expected]
        runs.log_metric("r", Point("n", 1.0, 1))
        for key, wrong in (("n", last), ("m", last[:-4] + "AAAA"), ("m", "-1"), ("m", "MTsgRFJPUA=="), ("m", "WzEsMiwzXQ==")):
            with pytest.raises(UserError, match="page_token"):
                catalog.tracking.curves.history("r", key, 9, wrong)
        assert catalog.tracking.curves.history("r", "nothing", 9) == ([], "")

    @pytest.mark.parametrize("alike", [1, 3, 3000])
    def test_a_sample_is_spread_over_the_curve(self, catalog: Catalog, alike: int) -> None:
        """No more points than asked for, the last one among them, no gap of more than thrice the mean; with many points at a step too."""
        runs = self._run(catalog)
        points = [Point("m", float(number), number, (number // alike) * 10**15) for number in range(3000)]
        for start in range(0, 3000, 1000):
            runs.log("r", Batch(metrics=tuple(points[start : start + 1000])))
        told = [int(one.value) for one in catalog.tracking.curves.sampled("r", "m", 50)]
        assert told == sorted(set(told))
        assert 25 <= len(told) <= 50
        assert told[-1] == 2999
        assert max(after - before for before, after in zip([0, *told], told, strict=False)) < 3 * 3000 / 50
        assert len(catalog.tracking.curves.sampled("r", "m", 5000)) == 3000
        assert [one.value for one in catalog.tracking.curves.sampled("r", "m", 1)] == [2999.0]
        assert {one.step for one in catalog.tracking.curves.sampled("r", "m", 10, 0, 0)} == {0}

    # Datasets

    def test_a_dataset_is_there_once_and_used_by_many(self, catalog: Catalog) -> None:
        """With the tags that its first use had."""
        for run in ("r", "s"):
            self._run(catalog, run)
            for tags in ((Named(CONTEXT, "train"), Named("x", "y")), ()):
                catalog.tracking.datasets.log(run, [DatasetInput(Dataset("d", "abc", "local", "{}"), tags)])
        details = catalog.tracking.details.of(["s", "r"])
        assert [[(one.dataset.name, one.tags[1].value) for one in detail.datasets] for detail in details] == [[("d", "y")], [("d", "y")]]
        assert [(one.name, one.context) for one in catalog.tracking.datasets.summaries([0])] == [("d", "train")]
        with pytest.raises(NotFound, match="Logged model"):
            catalog.tracking.datasets.log("r", [DatasetInput(Dataset("new", "n", "local", "{}"))], ["m-nobody"])
        assert len(catalog.tracking.datasets.summaries([0])) == 1

    # The project's own runs

    def test_the_projects_runs_are_among_the_tracked(self, catalog: Catalog, clock: ManualClock) -> None:
        """A run, and each attempt as its child, in the experiment of the project; with what steps said, and how they ended."""
        history = History(catalog, clock)
        said = (
            Noted(what="metric", name="auc", value=0.5), Noted(what="metric", name="auc", value="nan"),
            Noted(what="param", name="leaves", value=31), Noted(what="tag", name="team", value="sky"),
        )  # fmt: skip
        commit = history.done("late", draft("late", 1), noted=said)
        run, attempt = catalog.runs.get(commit.attempt.run), commit.attempt.id
        experiment = catalog.tracking.experiments.find(run.project)
        assert catalog.tracking.runs.get(attempt).status == "RUNNING"
        catalog.commit([commit])
        catalog.commit([commit])
        tracked = catalog.tracking.runs.get(attempt)
        assert (tracked.parent, tracked.origin, tracked.status, tracked.experiment) == (run.id, "project", "FINISHED", experiment.id)
        (detail,) = catalog.tracking.details.of([attempt])
        assert (detail.metrics, detail.params) == ([Metric("auc", "NaN", tracked.ended_ms or 0, 1)], [Named("leaves", "31")])
        assert self._tags(catalog, attempt) == {"team": "sky", RUN_NAME: "late", PARENT: run.id}
        catalog.runs.end(run.id, "failed", clock.now())
        assert catalog.tracking.runs.get(run.id).status == "FAILED"
        with pytest.raises(Refused, match="own"):
            catalog.tracking.runs.update(run.id, 1, status="FINISHED")
        catalog.tracking.runs.set_tag(run.id, Named("mlflow.note.content", "said by a person"))

    # Search

    @pytest.mark.parametrize("seed", range(4))
    def test_a_search_finds_what_a_plain_one_finds(self, catalog: Catalog, seed: int) -> None:
        """Drawn runs, filters, orders and pages; the filter is written as text and read back on the way."""
        drawn = Drawn(random.Random(seed), WORDS)
        known = put(catalog, draw(drawn, 60))
        for _ in range(60):
            clauses, orders, stages = drawn.clauses(), drawn.orders(), drawn.stages()
            experiments = tuple(drawn.random.sample(sorted({run.experiment for run in known}), drawn.random.randint(1, 3)))
            text = " AND ".join(grammar.written(clause) for clause in clauses)
            ids, token = [], ""
            while True:
                question = Question(
                    experiments=experiments, clauses=grammar.clauses(text, grammar.RUNS), orders=orders, stages=stages,
                    limit=drawn.random.choice((1, 7, 1000)), token=token,
                )  # fmt: skip
                some, token = catalog.tracking.search.page(question)
                ids += some
                if not token:
                    break
            searched = [run for run in known if run.experiment in experiments and run.stage in stages]
            assert ids == found(searched, clauses, orders), (text, orders)

    def test_a_pattern_of_many_wildcards_takes_no_time(self, catalog: Catalog, clock: ManualClock) -> None:
        """LIKE is linear: a text of 60,000 letters that almost matches is refused at once, not after years."""
        self._run(catalog).log_param("r", Named("a", "a" * 60_000))
        clauses = grammar.clauses(f"params.a LIKE '{'%a' * 1000}%b'", grammar.RUNS)
        assert catalog.tracking.search.page(Question(experiments=(0,), clauses=clauses)) == ([], "")

    def test_a_token_of_another_search_is_refused(self, catalog: Catalog) -> None:
        """So is one that was made up."""
        for number in range(3):
            self._run(catalog, f"r{number}")
        _, token = catalog.tracking.search.page(Question(experiments=(0,), limit=1))
        assert token
        other = grammar.orders(["metrics.m"], grammar.RUNS)
        for wrong in (Question(experiments=(0,), orders=other, token=token), Question(experiments=(0,), token="eyJvZmZzZXQiOiAxfQ==")):
            with pytest.raises(UserError, match="page_token"):
                catalog.tracking.search.page(wrong)

    def _run(self, catalog: Catalog, run: str = "r") -> TrackedRuns:
        catalog.tracking.runs.create(NewRun(id=run, experiment=0, started_ms=1))
        return catalog.tracking.runs

    def _tags(self, catalog: Catalog, run: str) -> dict[str, str]:
        return {tag.key: tag.value for tag in catalog.tracking.details.of([run])[0].tags}

    # What was deleted

    def test_what_was_deleted_longer_ago_leaves_the_record(self, catalog: Catalog) -> None:
        """With all that it said; what was brought back, what was deleted later and what a version rests on stay, and ids are not reused."""
        tracking = catalog.tracking
        old, new = (tracking.experiments.create(name, (), 1) or 0 for name in ("old", "new"))
        for run, experiment in (("a", old), ("b", old), ("c", 0), ("d", 0), ("e", new)):
            tracking.runs.create(NewRun(id=run, experiment=experiment, started_ms=2))
            said = Batch(metrics=(Point("loss", 0.5, 3, 1),), params=(Named("depth", "3"),), tags=(Named("x", "y"),))
            tracking.runs.log(run, said)
        tracking.experiments.delete(old, 100)
        tracking.runs.delete("c", 100)
        tracking.runs.delete("d", 100)
        tracking.experiments.delete(new, 900)
        tracking.runs.restore("d")
        expected = Forgotten(runs=3, experiments=1)
        assert tracking.gone.counted(500) == expected
        assert tracking.gone.forget(500) == expected
        assert tracking.gone.forget(500) == Forgotten()
        for run in "abc":
            with pytest.raises(NotFound):
                tracking.runs.get(run)
        tables = ("tracked", "run_params", "curves", "points", "runs", "attempts")
        left = catalog.database.snapshot(lambda: {table: len(list(catalog.database.dump(table))) for table in tables})
        assert left == dict.fromkeys(tables, 2)
        assert tracking.runs.get("e").stage == "deleted"
        assert (tracking.runs.get("d").stage, len(tracking.curves.history("d", "loss", 10)[0])) == ("active", 1)
        with pytest.raises(NotFound):
            tracking.experiments.get(old)
        assert tracking.gone.forget(1000) == Forgotten(runs=1)
        assert (tracking.experiments.create("newest", (), 1001) or 0) > new
        assert tracking.gone.forget(1000) == Forgotten(experiments=1)
