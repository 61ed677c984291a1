"""What is committed with a step's result, and what the record has of it afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.records import Task

GATE = """
@p.train
def late(score: int = 1) -> Model:
    return Model.of(predict, {"score": score}, example=[{"x": 1.0}])

def predict(params: dict, columns: dict) -> object:
    return columns["x"] * 0 + params["score"]

@p.check(promotes="production")
def good(late: Model) -> Check:
    return Check.at_most("score", late.predict({"x": 1.0}), 5.0)
"""


def test_a_verdict_and_its_promotion_are_committed_with_the_check(house: Any) -> None:
    house.run(GATE)
    models = house.open().catalog.models
    [verdict] = models.verdicts("late")
    assert (verdict.check, verdict.check_version, verdict.model_version, verdict.passed) == ("good", 1, 1, True)
    [move] = models.history("late")
    assert (move.alias, move.version, move.by, move.check) == ("production", 1, "verdict", "good")


def test_a_check_that_does_not_pass_promotes_nothing_and_leaves_an_event(house: Any) -> None:
    house.run(GATE.replace("score: int = 1", "score: int = 9"))
    catalog = house.open().catalog
    assert catalog.models.aliases("late") == {}
    assert [verdict.passed for verdict in catalog.models.verdicts("late")] == [False]
    assert [event.subject for _, event in catalog.events.since(0) if event.kind == "check.failed"] == ["good"]


def test_a_side_run_judges_and_does_not_promote(house: Any) -> None:
    """What a check said of a side version is worth keeping; what serves stays."""
    house.run(GATE, settings={"late.score": 2})
    models = house.open().catalog.models
    assert models.aliases("late") == {}
    assert [verdict.passed for verdict in models.verdicts("late")] == [True]


def test_inputs_sources_and_forecasts_are_kept_with_the_attempt(house: Any) -> None:
    (house.folder / "a.txt").write_text("1")
    text = """
    @p.ingest
    def names(source: Files = Files("*.txt")) -> list[str]:
        return [path.name for path in source.paths]

    @p.step
    def count(names: list[str]) -> int:
        return len(names)
    """
    house.run(text)
    lineage = house.open().catalog.lineage("count")
    assert [(edge.upstream, edge.downstream, edge.parameter) for edge in lineage.upstream] == [("names@1", "count@1", "names")]
    assert [entry.name for source in lineage.sources for entry in source.entries] == ["a.txt"]
    house.run(text, fresh=True)
    assert {forecast.quantity for forecast, _ in house.open().catalog.runs.forecasts("count")} >= {"wall_s", "peak_bytes"}


def test_what_was_staged_and_leased_is_given_back(house: Any) -> None:
    house.run(GATE)
    assert house.open().catalog.leases.held() == []
    assert list((house.folder / ".bedplate/store/staged").iterdir()) == []


def test_parts_have_leases_of_their_own(house: Any) -> None:
    """Two runs may make two parts of one artifact at once."""
    text = """
    @p.ingest
    def days() -> list[str]:
        return ["mon", "tue"]

    @p.prepare(each="days")
    def raw(days: str) -> str:
        return days
    """
    held: list[str] = []
    house.before = lambda task: held.extend(lease.name for lease in house.open().catalog.leases.held()) if task.step == "raw" else None
    house.run(text)
    assert set(held) == {"raw[mon]", "raw[tue]", "raw"}


def test_a_task_carries_what_the_worker_needs_and_nothing_of_the_machine(house: Any) -> None:
    """Its key, seed, settings and inputs; the log lies under the run, a file for each attempt."""
    house.run(GATE, settings={"late.score": 3})
    tasks: dict[str, Task] = {task.step: task for task in house.tasks}
    assert tasks["late"].settings == {"score": 3}
    assert tasks["late"].seed == int(tasks["late"].cache_key.removeprefix("sha256:")[:8], 16) & 0x7FFFFFFF
    assert tasks["good"].inputs["late"].version.ref == "late@1"
    assert tasks["late"].target == "local"
    run = tasks["late"].run
    assert [job.log.relative_to(house.folder) for job in house.jobs] == [
        house.folder.joinpath(".bedplate/logs", run, f"{name}.1.log").relative_to(house.folder) for name in ("late", "good")
    ]


def test_attempts_of_one_step_are_numbered_and_logged_apart(house: Any) -> None:
    text = "@p.step(retries=1)\ndef a() -> int:\n    raise ValueError('no')\n"
    summary = house.run(text)
    attempts = house.open().catalog.runs.attempts(summary.run.id, "a")
    assert [attempt.number for attempt in attempts] == [1, 2]
    assert len({attempt.log for attempt in attempts}) == 2


@pytest.mark.parametrize(("commit", "dirty"), [("0" * 40, False), ("1" * 40, True)])
def test_every_run_records_the_commit_and_whether_files_differ(
    house: Any, monkeypatch: pytest.MonkeyPatch, commit: str, dirty: bool
) -> None:
    monkeypatch.setattr("bedplate.pipeline.provenance.git_state", lambda _folder: (commit, dirty))
    run_id = house.run(GATE).run.id
    run = house.open().catalog.runs.get(run_id)
    assert (run.git_commit, run.git_dirty, run.target) == (commit, dirty, "local")
