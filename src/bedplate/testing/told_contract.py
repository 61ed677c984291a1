"""What both engines owe of traces, webhooks, datasets for evaluation, things brought from elsewhere and how everything stands."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.database import Database
from bedplate.catalog.standing import standing
from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.brought import Brought, Kept
from bedplate.catalog.tracking.evaluation import Evaluation, EvaluationQuestion
from bedplate.catalog.tracking.runs import CLIENT_FAILED
from bedplate.catalog.tracking.theirs import Point, TheirExperiment, TheirLogged, TheirRun
from bedplate.catalog.tracking.trace_search import TraceQuestion, TraceSearch
from bedplate.catalog.tracking.traces import Span, Trace, Traces
from bedplate.catalog.tracking.webhooks import Webhook, Webhooks
from bedplate.core.errors import NotFound, Refused
from bedplate.core.records import Event

from .clock import ManualClock


class ToldContract(ABC):
    """A backend is done when these pass on it; `make` gives an empty database of a folder's name."""

    @abstractmethod
    def make(self, folder: Path) -> Database:
        """An empty database."""

    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Iterator[Catalog]:
        """A record."""
        catalog = Catalog.open(self.make(tmp_path), ManualClock())
        yield catalog
        catalog.close()

    def test_spans_and_what_is_said_of_a_trace_come_in_any_order(self, catalog: Catalog) -> None:
        """Proves that what a client says last stands, and that spans that come later add to it."""
        traces = Traces(catalog.database)
        root = Span(trace="tr-1", id="a", name="root", started_ns=5 * 10**12, ended_ns=6 * 10**12, status="ERROR")
        assert traces.add_spans(0, [root], {"place": "at/{trace}"}) == ["tr-1"]
        begun = traces.get("tr-1")
        assert (begun.state, begun.started_ms, begun.lasted_ms, begun.tags["place"]) == ("ERROR", 5_000_000, 1_000_000, "at/tr-1")
        traces.put(Trace(id="tr-1", experiment=0, started_ms=7, lasted_ms=3, state="OK", is_final=True, metadata={"m": "1"}))
        traces.add_spans(0, [msgspec.structs.replace(root, id="b", name="late", parent="a")], {})
        ended = traces.get("tr-1")
        assert (ended.state, ended.started_ms, ended.lasted_ms, ended.metadata) == ("OK", 7, 3, {"m": "1"})
        assert len(traces.spans("tr-1")) == 2
        with pytest.raises(Refused):
            traces.add_spans(1, [root], {})

    def test_traces_are_found_by_what_is_asked_page_by_page(self, catalog: Catalog) -> None:
        """Proves that each kind of comparison finds what it should, and that pages neither lose nor repeat."""
        traces, search = Traces(catalog.database), TraceSearch(catalog.database)
        for number in range(5):
            traces.add_spans(0, [Span(trace=f"t{number}", id="a", name=f"n{number}", type="LLM", body='{"x":"Hello"}')], {})
            traces.put(Trace(id=f"t{number}", experiment=0, started_ms=number, lasted_ms=number, state="OK", is_final=True))
            traces.note(f"t{number}", "tag", "odd", str(number % 2))
        expected = {
            "tags.odd = '1'": ["t3", "t1"], "timestamp_ms > 2 AND status = 'OK'": ["t4", "t3"], "name IN ('n0', 'n4')": ["t4", "t0"],
            "span.content ILIKE '%hello%' AND span.type = 'LLM'": ["t4", "t3", "t2", "t1", "t0"], "metadata.m IS NOT NULL": [],
            "execution_time_ms < 1": ["t0"], "tags.odd != '1' AND request_id LIKE 't%'": ["t4", "t2", "t0"],
        }  # fmt: skip
        for text, ids in expected.items():
            found: list[str] = []
            question = TraceQuestion(experiments=(0,), clauses=grammar.clauses(text, grammar.TRACES), limit=2)
            while True:
                page, token = search.page(question)
                found += page
                if not token:
                    break
                question = msgspec.structs.replace(question, token=token)
            assert found == ids, text
        ordered = TraceQuestion(experiments=(0,), orders=grammar.orders(["name ASC"], grammar.TRACES))
        assert search.page(ordered)[0] == [f"t{number}" for number in range(5)]
        assert traces.delete(0, until_ms=1) == 2
        assert traces.delete(0, ids=["t4", "nobody"]) == 1
        with pytest.raises(NotFound):
            traces.get("t4")

    def test_a_delivery_is_one_takers_and_waits_for_its_time(self, catalog: Catalog) -> None:
        """Proves that two servers never tell the same at once, and that what one leaves is told by the next."""
        webhooks = Webhooks(catalog.database)
        webhooks.put(Webhook(id="w", name="w", url="https://a.example/", events=("drift", "MODEL_VERSION.CREATED"), created_ms=1))
        assert webhooks.queue("drift", lambda: "{}", 10) == 1
        assert webhooks.queue("other", lambda: "{}", 10) == 0
        assert webhooks.take(9, 60) == []
        (taken,) = webhooks.take(10, 60)
        assert webhooks.take(59, 100) == []
        (again,) = webhooks.take(60, 100)
        assert (again.number, again.tries) == (taken.number, 1)
        webhooks.settle(again.number, "waiting", 500, "503")
        assert [one.tries for one in webhooks.take(500, 600)] == [2]
        webhooks.settle(again.number, "done", 500, "200")
        assert webhooks.take(10_000, 20_000) == []
        assert webhooks.deliveries("w")[0]["status"] == "done"
        assert webhooks.forget(501) == 1
        webhooks.delete("w", 3)
        with pytest.raises(NotFound):
            webhooks.get("w")

    def test_recorded_events_are_told_once_from_when_somebody_looks(self, catalog: Catalog) -> None:
        """Proves that the past is not told to a new listener, and that each event after it is queued once."""
        webhooks, now = Webhooks(catalog.database), ManualClock().now()
        catalog.events.add(Event(kind="drift.found", subject="old", at=now))
        webhooks.put(Webhook(id="w", name="w", url="https://a.example/", events=("*",)))
        webhooks.follow("/here", 1)
        catalog.events.add(
            Event(kind="drift.found", subject="late", at=now, data={"psi": 0.5}),
            Event(kind=CLIENT_FAILED, subject="ab" * 16, at=now),  # it was told as the request that said so
        )
        assert (webhooks.follow("/here", 1), webhooks.follow("/here", 1)) == (2, 0)
        (one,) = webhooks.take(1, 2)
        told = msgspec.json.decode(one.body)
        assert (told["type"], told["subject"], told["data"], told["specversion"]) == ("bedplate.drift.found", "late", {"psi": 0.5}, "1.0")

    def test_what_is_brought_is_here_once_with_every_bit(self, catalog: Catalog) -> None:
        """Proves that a run brought twice is one run, that odd values survive, and that a run of ours is not overwritten."""
        brought = Brought(catalog.database)
        here = brought.experiment("/there", TheirExperiment(id="7", name="e", tags={"a": "b"}), "d")
        assert here == 7
        assert brought.experiment("/other", TheirExperiment(id="7", name="f"), "d") == 8
        run = TheirRun(id="ab" * 16, experiment="7", status="FAILED", started_ms=5, ended_ms=9, tags={"t": "1"}, params={"p": "2"})
        points = [Point("m", value, at, 0) for at, value in enumerate([0.5, math.nan, math.inf, -0.0])]
        files = [Kept("a/b", "0" * 64, 3)]
        for _ in range(2):
            brought.run("/there", run, here, points, files, "d")
        assert brought.differences(run, points, files) == []
        assert len(brought.differences(run, [*points, Point("m", 1.0, 99, 0)], [Kept("c", "1" * 64, 1)])) == 2
        assert not brought.is_ours("run", run.id)
        assert len(catalog.tracking.curves.history(run.id, "m", 10)[0]) == 4
        brought.logged("/there", TheirLogged(id="m-1", experiment="7", run=run.id), here, files, "d")
        brought.linked(msgspec.structs.replace(run, outputs=(("m-1", 3), ("m-gone", 1))))
        assert brought.marks("/there", "logged")["m-1"].here == "m-1"

    def test_how_everything_stands_is_read_in_one_look(self, catalog: Catalog) -> None:
        """Proves that the numbers for dashboards can be asked of an empty record and of one with events."""
        now = ManualClock().now()
        catalog.events.add(Event(kind="drift.found", subject="late", at=now))
        found = standing(catalog.database, now)
        assert (found.runs, found.running, found.drift_s) == ({}, {}, {"late": 0.0})

    def test_equal_inputs_are_one_record_and_pages_have_each_once(self, catalog: Catalog) -> None:
        """Proves that records merge by their inputs, in whatever order their keys come, and are read page by page as they came."""
        evaluations = catalog.tracking.evaluations
        evaluations.create(Evaluation(id="d-1", name="questions", created_ms=1, updated_ms=1, tags={"team": "sky"}, experiments=(0,)))
        assert evaluations.merge("d-1", [{"inputs": {"n": n, "nan": math.nan}, "outputs": n} for n in range(70)], 2) == (70, 0)
        again: list[dict[str, Any]] = [
            {"inputs": {"nan": math.nan, "n": 3}, "expectations": {"a": 1}},
            {"inputs": {"n": "new\0"}, "tags": {"mlflow.user": "eva"}},
        ]
        assert evaluations.merge("d-1", again, 3) == (1, 1)
        first, token = evaluations.records("d-1", 60)
        rest, end = evaluations.records("d-1", 60, token)
        assert (len(first), len(rest), end) == (60, 11, "")
        assert [one.said.get("outputs") for one in [*first, *rest]] == [*range(70), None]
        assert (first[3].said["expectations"], first[3].created_ms, first[3].updated_ms) == ({"a": 1}, 2, 3)
        assert (rest[-1].said["inputs"], rest[-1].said["created_by"]) == ({"n": "new\0"}, "eva")
        assert evaluations.drop_records("d-1", [first[3].id, "dr-none"], 4) == 1
        found = evaluations.get("d-1")
        assert (found.records, found.updated_ms, found.updated_by, found.experiments) == (70, 4, "eva", (0,))

    def test_datasets_are_found_by_name_tag_and_experiment_by_who_may_see_them(self, catalog: Catalog) -> None:
        """Proves that a search takes filters and orders, and shows nothing of experiments that are not seen."""
        evaluations = catalog.tracking.evaluations
        for number, experiments in enumerate([(0,), (), (0,)]):
            evaluations.create(
                Evaluation(id=f"d-{number}", name=f"name {number}", created_ms=number, tags={"n": str(number)}, experiments=experiments)
            )

        def found(**words: Any) -> list[str]:
            filters = grammar.clauses(words.pop("filter", ""), grammar.EVALUATIONS)
            orders = grammar.orders(words.pop("order_by", []), grammar.EVALUATIONS)
            return [one.id for one in evaluations.search(EvaluationQuestion(clauses=filters, orders=orders, **words))[0]]

        assert found() == ["d-2", "d-1", "d-0"]
        assert found(order_by=["name"], limit=2) == ["d-0", "d-1"]
        assert found(filter="tags.n = '1' AND name LIKE 'name%' AND created_time >= 1") == ["d-1"]
        assert found(experiments=(0,)) == ["d-2", "d-0"]
        assert (found(seen=frozenset({"0"})), found(seen=frozenset({"d-1", "d-0"})), found(seen=frozenset())) == (
            ["d-2", "d-0"],
            ["d-1"],
            [],
        )
        evaluations.tag("d-0", {"n": None, "m": "x"}, 5)
        evaluations.leave("d-2", [0], 5)
        evaluations.delete("d-1")
        assert (found(filter="tags.n IS NULL"), found(experiments=(0,)), evaluations.get("d-0").tags) == (["d-0"], ["d-0"], {"m": "x"})
        with pytest.raises(NotFound):
            evaluations.get("d-1")

    def test_a_dataset_outlives_its_experiment(self, catalog: Catalog) -> None:
        """Proves that an experiment that is taken out of the record leaves the dataset that was its, with its records."""
        experiments, evaluations = catalog.tracking.experiments, catalog.tracking.evaluations
        old = experiments.create("old", (), 1) or 0
        experiments.create("new", (), 2)
        evaluations.create(Evaluation(id="d-1", name="questions", experiments=(old, 0)))
        evaluations.merge("d-1", [{"inputs": {}}], 3)
        experiments.delete(old, 4)
        assert catalog.tracking.gone.forget(100).experiments == 1
        assert (evaluations.get("d-1").experiments, evaluations.get("d-1").records) == ((0,), 1)
