"""What every backend of the catalog must do with counts of how a project stands; a part of `CatalogContract`."""

from __future__ import annotations

from datetime import timedelta

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.due import Occurrence, Status
from bedplate.core.clock import iso
from bedplate.core.records import Attempt, Run, Step, StepStatus

from .clock import ManualClock


class TalliesContract:
    """Counts of steps, their newest rows, pages of parts, decisions of due work."""

    def test_a_run_of_many_parts_is_told_in_counts_and_pages(self, catalog: Catalog, clock: ManualClock) -> None:
        """Each status of a step once with its number; parts in the order of their names, those behind one, those of one status."""
        now = clock.now()
        catalog.runs.begin(Run(id="r", project="p", target="local", command="", started_at=now))
        statuses: tuple[StepStatus, ...] = ("done", "done", "done", "failed", "done")
        parts = [Step(run="r", name="raw", part=f"p{at}", status=status, started_at=now) for at, status in enumerate(statuses)]
        catalog.runs.put_steps([*parts, Step(run="r", name="late", status="running", started_at=now)])
        told = {(one.name, one.status): one.count for one in catalog.tallies.of_run("r")}
        assert told == {("raw", "done"): 4, ("raw", "failed"): 1, ("late", "running"): 1}
        assert [one.part for one in catalog.tallies.parts("r", "raw", after="p1", limit=2)] == ["p2", "p3"]
        assert [one.part for one in catalog.tallies.parts("r", "raw", status="failed")] == ["p3"]
        assert catalog.tallies.part_statuses("r", "late") == {"": "running"}

    def test_the_newest_row_of_a_step_is_that_of_the_newest_run_that_got_to_it(self, catalog: Catalog, clock: ManualClock) -> None:
        """Of one status where that is asked for; with the newest attempt of that row; and something moved."""
        now = clock.now()
        before = catalog.tallies.moved()
        runs: tuple[tuple[str, StepStatus], ...] = (("r1", "failed"), ("r2", "done"))
        for at, (run, status) in enumerate(runs):
            began = now + timedelta(seconds=at)
            catalog.runs.begin(Run(id=run, project="p", target="local", command="", started_at=began))
            catalog.runs.put_steps([Step(run=run, name="late", status=status, why=run, started_at=began)])
            catalog.runs.begin_attempts([Attempt(id=f"{run}.{n}", run=run, step="late", number=n, started_at=began) for n in (1, 2)])
        newest = catalog.tallies.newest_step("late")
        assert newest is not None
        assert newest.run == "r2"
        found = catalog.tallies.attempt(newest)
        assert found is not None
        assert found.id == "r2.2"
        failed = catalog.tallies.newest_step("late", "failed")
        assert failed is not None
        assert failed.why == "r1"
        assert [one.run for one in catalog.tallies.newest_steps()] == ["r2"]
        assert catalog.tallies.newest_step("nothing") is None
        assert catalog.tallies.moved() != before

    def test_decisions_come_a_page_at_a_time_and_later_pages_do_not_move(self, catalog: Catalog, clock: ManualClock) -> None:
        """The newest first; what is decided between two pages is on neither."""
        now = clock.now()

        def decide(at: int, status: Status = "missed") -> None:
            when = now + timedelta(seconds=at)
            assert catalog.due.add(
                Occurrence(step="late", kind="schedule", mark=str(at), due_at=when, status=status, decided_at=when, ended_at=when)
            )

        for at in range(4):
            decide(at)
        first = catalog.tallies.decisions(limit=2)
        decide(9, "done")
        second = catalog.tallies.decisions(until=iso(first[0].decided_at), skipped=2, limit=2)
        assert [one.mark for one in (*first, *second)] == ["3", "2", "1", "0"]
        assert [one.mark for one in catalog.tallies.decisions("done")] == ["9"]
        assert catalog.tallies.decided(now + timedelta(seconds=2)) == {"missed": 2, "done": 1}
