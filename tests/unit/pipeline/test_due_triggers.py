"""What makes work due beside the clock: data, drift, labels, missing parts; and declarations that make nothing due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from looking import DAY, NIGHTLY, did, kept, made, ruling, turn

from bedplate.core.errors import ProjectError
from bedplate.core.records import Event
from bedplate.pipeline.due.facts import DRIFT


@pytest.fixture
def folder(house: Any) -> Path:
    """The folder that the projects here ingest from, with one file."""
    place: Path = house.folder / "in"
    place.mkdir()
    (place / "a.txt").write_text("one")
    return place


POLLED = NIGHTLY.replace('(every="1 day")', "").replace('(every="0 2 * * * Europe/Berlin")', "")


def test_new_data_is_due_when_it_is_there_and_once_for_each_state(house: Any, folder: Path) -> None:
    """An ingest without `every=` is looked at each time; data that fails is not tried again until it is other data."""
    assert made(turn(house, POLLED)) == ["raw", "clean", "weekly"]
    assert turn(house).summaries == ()
    (folder / "b.txt").write_text("two")
    found = turn(house)
    assert did(found) == [("raw", "data", "done")]
    assert "1 new file (" in found.ended[0].reason
    (folder / "b.txt").unlink()
    assert did(turn(house)) == [("raw", "data", "done")]
    (folder / "b.txt").write_text("two")
    assert did(turn(house)) == [("raw", "data", "done")]


def test_data_that_fails_waits_for_other_data(house: Any, folder: Path) -> None:
    turn(house, POLLED)
    (folder / "b.txt").write_bytes(b"\xff\xfe\xff")
    assert did(turn(house)) == [("raw", "data", "failed")]
    again = turn(house)
    assert again.summaries == ()
    assert "the last failed" in ruling(again, "raw").reason
    (folder / "b.txt").write_text("two")
    assert did(turn(house)) == [("raw", "data", "done")]


@pytest.mark.bad_input
def test_a_source_that_cannot_be_listed_waits_and_says_so(house: Any, folder: Path) -> None:
    """A bucket that vanishes is no error of the loop: it is looked at again."""
    turn(house, POLLED)
    (folder / "a.txt").unlink()
    found = turn(house)
    assert found.summaries == ()
    assert ruling(found, "raw").reason.startswith("its sources cannot be listed: ")


MODEL = """
import polars as pl

def predict(params, columns):
    return [params["mean"] for _ in columns["x"]]

@p.ingest
def raw(source: Files = Files("in/*.txt")) -> list[int]:
    return sorted(len(path.read_text()) for path in source.paths)

@p.train(every="1 day", on_drift="retrain")
def mean(raw: list[int]) -> Model:
    return Model.of(predict, {"mean": sum(raw) / len(raw)}, example=pl.DataFrame({"x": [1.0]}))

@p.check(promotes="production", label_delay="2 days")
def good(mean: Model, raw: list[int]) -> Check:
    return Check.at_least("rows", len(raw), 1)

@p.service
def guess(mean: Model, x: float) -> float:
    return x
"""


def test_drift_trains_again_once_for_each_finding(house: Any, folder: Path) -> None:
    """With new data at hand; without, the same data would give the same model, and it says so."""
    turn(house, MODEL)
    (folder / "b.txt").write_text("two three")
    house.clock.forward(3600.0)
    event = Event(kind=DRIFT, subject="guess", at=house.clock.now(), data={"columns": {"x": {}}})
    house.open().catalog.events.add(event)
    found = turn(house)
    assert ("mean", "drift", "done") in did(found)
    assert "mean" in made(found)
    assert "drift was found in what guess was asked (x)" in next(one.reason for one in found.ended if one.kind == "drift")
    house.clock.forward(60.0)
    assert turn(house).summaries == ()


def test_a_check_waits_until_the_labels_of_a_version_are_old_enough_and_judges_that_version(house: Any, folder: Path) -> None:
    """Trained every day, judged after two: what is promoted is the version of then, not the newest."""
    for number in range(4):
        (folder / f"{number}.txt").write_text("x" * (number + 2))
        found = turn(house, MODEL)
        ended = {(one.step, one.kind): one for one in found.ended}
        assert ended["mean", "schedule"].status == "done", ended["mean", "schedule"].reason
        if number < 2:
            assert ("good", "labels") not in ended
        else:
            assert ended["good", "labels"].status == "done", ended["good", "labels"].reason
            assert ended["good", "labels"].mark == f"mean@{number - 1}"
            assert house.open().catalog.models.alias("mean", "production") == number - 1
        house.clock.forward(DAY)
    house.clock.forward(2 * DAY)
    turn(house)
    assert house.open().catalog.models.alias("mean", "production") == 4
    assert [one.mark for one in kept(house, "missed") if one.kind == "labels"] == ["mean@3"]


def test_missing_parts_of_a_calendar_are_made_when_their_period_is_over(house: Any) -> None:
    text = """
    @p.ingest(each=daily("2026-01-29"))
    def orders(day: str) -> str:
        return day
    """
    first = turn(house, text)
    assert first.ended[0].reason.startswith("2 of 2 parts are missing, from 2026-01-29 on")
    assert did(first) == [("orders", "keys", "done")]
    waits = ruling(turn(house), "orders")
    assert (waits.action, waits.next.isoformat()) == ("wait", "2026-02-01T00:00:00+00:00")
    house.clock.forward(DAY)
    assert turn(house).ended[0].reason.startswith("1 of 3 parts are missing, from 2026-01-31 on")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('@p.step(every="0 25 * * *")\ndef a() -> int:\n    return 1', "a: every='0 25 * * *' is not a schedule"),
        (
            '@p.check(label_delay="1 day")\ndef a() -> Check:\n    return Check("a", passed=True)',
            "a has a label_delay= and receives no model",
        ),
    ],
)
def test_a_clock_that_cannot_be_is_refused_when_the_project_is_opened(house: Any, text: str, said: str) -> None:
    """With the file and the line, as every mistake of a project."""
    with pytest.raises(ProjectError) as refused:
        house.open(text)
    assert said in refused.value.what
    assert "flow.py:" in refused.value.what


def test_drift_that_nothing_can_find_is_warned_about(house: Any) -> None:
    text = '@p.train(on_drift="retrain")\ndef m() -> Model:\n    return Model.of(m, {}, example={})'
    warned = house.open(text).graph.warnings
    assert "no service uses its model" in warned[0].message


def test_a_watch_that_waits_for_labels_but_for_no_time_is_warned_about(house: Any) -> None:
    text = MODEL + '@p.watch(label_delay="1 day")\ndef w(guess: Any) -> Check:\n    return Check.at_least("n", 1, 0)\n'
    assert any(
        "label_delay= makes nothing due" in warned.message for warned in house.open("from typing import Any\n" + text).graph.warnings
    )
