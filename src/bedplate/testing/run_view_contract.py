"""What every Database owes pages over one run, and the list of what happened. Subclass `RunViewContract`."""

from __future__ import annotations

from datetime import timedelta

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.events import Wanted
from bedplate.catalog.tracking.runs import NewRun
from bedplate.core.clock import iso
from bedplate.core.records import Event, Forecast

from .clock import ManualClock
from .record_contract import RecordContract
from .records import History, draft


class RunViewContract(RecordContract):
    """A backend is done when these pass on it; `make` gives an empty database of a folder's name."""

    def test_a_run_with_what_it_took_and_made(self, catalog: Catalog, clock: ManualClock) -> None:
        """Proves that a run's inputs are those that others made, an attempt's all that it was handed, and that what was used adds up."""
        first = History(catalog, clock, "r-1")
        early = first.make("early", 1)
        clock.forward(60)
        second = History(catalog, clock, "r-2")
        middle = catalog.commit([second.done("middle", draft("middle", 2), inputs={"early": early})])[0][0]
        clock.forward(5)
        late = catalog.commit([second.done("late", draft("late", 3, rows=7), inputs={"middle": middle})])[0][0]
        views = catalog.run_views
        assert [(one.artifact, one.number) for one in views.inputs("r-2")] == [("early", 1)]
        assert [(one.artifact, one.number) for one in views.inputs("r-2", late.attempt)] == [("middle", 1)]
        assert [(one.artifact, one.rows) for one in views.outputs("r-2")] == [("late", 7), ("middle", None)]
        assert [(one.name, one.result, one.usage is not None) for one in views.steps("r-2")] == [
            ("middle", middle.attempt, True), ("late", late.attempt, True),
        ]  # fmt: skip
        assert [(one.basis, one.attempts, one.wall_s, one.peak_bytes) for one in views.spent("r-2")] == [("unknown", 2, 4.0, 10)]
        found = views.step("r-2", "late")
        assert found is not None
        assert found.key_parts is not None
        assert found.key_parts.python == "3.11"
        assert views.step("r-2", "late", "part") is None

    def test_attempts_and_runs_know_their_neighbours(self, catalog: Catalog, clock: ManualClock) -> None:
        """Proves that the run before and after are of the same experiment, parent and origin, and none beyond the ends."""
        attempts = []
        for number in range(3):
            history = History(catalog, clock, f"r-{number}")
            attempts.append(catalog.runs.attempt(history.make("late", number).attempt))
            clock.forward(10)
        views, tracked = catalog.run_views, catalog.tracking.runs
        assert views.around_attempt(attempts[1]) == (attempts[0].id, attempts[2].id)
        assert views.around_attempt(attempts[0]) == ("", attempts[1].id)
        assert views.around(tracked.get("r-1")) == ("r-0", "r-2")
        for number in range(3):
            tracked.create(NewRun(id=f"c-{number}", experiment=0, started_ms=1000, random=number))
        assert views.around(tracked.get("c-1")) == ("c-2", "c-0")
        tracked.delete("c-0", 5)
        assert views.around(tracked.get("c-1")) == ("c-2", "")

    def test_what_was_predicted_stands_beside_what_was_used(self, catalog: Catalog, clock: ManualClock) -> None:
        """Proves that a prediction without a basis is none."""
        history = History(catalog, clock)
        told = Forecast(quantity="wall_s", middle=1.0, low=0.5, high=3.0, basis="history", samples=4)
        unknown = Forecast(quantity="cpu_s", middle=0.0, low=0.0, high=0.0, basis="unknown")
        history.make("late", 1)
        catalog.runs.put_forecasts("r-1", {("late", ""): [told, unknown]})
        found = catalog.run_views.predicted("r-1")
        assert [(one.step, one.forecast, one.usage.wall_s) for one in found] == [("late", told, 2.0)]
        assert catalog.run_views.predicted("r-1", "late", "other") == []

    def test_failed_attempts_come_first(self, catalog: Catalog, clock: ManualClock) -> None:
        """Proves that what went wrong is seen among hundreds that went well."""
        history = History(catalog, clock)
        bad = history.attempt("bad")
        catalog.runs.begin_attempts([bad])
        clock.forward(1)
        good = history.make("late", 1)
        catalog.fail(history.done("bad").attempt, history.step("bad", status="failed"))
        assert good.attempt in [one.id for one in catalog.run_views.attempts("r-1")]
        assert [one.id for one in catalog.run_views.attempts("r-1", 1)] == [bad.id]

    def test_events_are_found_page_by_page(self, catalog: Catalog, clock: ManualClock) -> None:
        """Proves that pages neither lose nor repeat, of all kinds and of one, also of events of one moment."""
        known = {one.kind for _, one in catalog.events.since()}
        events = [
            Event(kind="ab"[number % 2], subject=f"s{number % 3}", at=clock.now() + timedelta(seconds=number // 4)) for number in range(24)
        ]
        catalog.events.add(*events)
        for wanted in (Wanted(kind="a"), Wanted(kind="b", subject="s1"), Wanted(subject="s2"), Wanted(kind="a", since=iso(events[8].at))):
            fits = [
                one for one in reversed(events)
                if wanted.kind in ("", one.kind) and wanted.subject in ("", one.subject) and iso(one.at) >= wanted.since
            ]  # fmt: skip
            found: list[Event] = []
            before = None
            while page := catalog.events.page(wanted, before, 3):
                found += [one for _, one in page]
                before = (iso(page[-1][1].at), page[-1][0])
            assert found == fits
        until = Wanted(kind="a", until=iso(events[3].at))
        assert [one.at for _, one in catalog.events.page(until)] == [events[2].at, events[0].at]
        assert set(catalog.events.kinds()) == known | {"a", "b"}
