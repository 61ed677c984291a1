"""What re-runs after a change, and what `why` says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ALL = {"flown", "departures", "carrier_delay", "late", "good_enough"}


@pytest.fixture
def made(person: Callable[[str], Any]) -> Any:
    """A person whose project has run once."""
    someone = person("week")
    assert someone.ran() == dict.fromkeys(ALL, "done")
    return someone


def test_a_second_run_skips_everything_and_says_why(made: Any) -> None:
    """Nothing changed: every step is skipped, the check that promoted too, and each says what it stands on."""
    said = made.events("run")
    assert {e["step"] for e in said if e["kind"] == "step.skipped"} == ALL
    assert all("unchanged since" in e["text"] for e in said if e["kind"] == "step.skipped")


def test_a_comment_or_docstring_reruns_nothing(made: Any) -> None:
    """Comments, docstrings and formatting are no code."""
    made.edits("week.py", '"""What flew, with', '"""Flights, with')
    made.edits("week.py", "LATE_MINUTES = 15", "LATE_MINUTES   =   15  # a quarter of an hour")
    assert set(made.ran().values()) == {"skipped"}


def test_a_changed_helper_reruns_its_step_and_nothing_after_an_equal_result(made: Any) -> None:
    """`timed` is reached by `departures` alone; it gives the same rows, so the wave stops there."""
    made.edits(
        "week.py", '.sort("time", "carrier", "flight")\n\n\n@week.features', '.sort(["time", "carrier", "flight"])\n\n\n@week.features'
    )
    ran = made.ran()
    assert {name for name, did in ran.items() if did == "done"} == {"departures"}
    why = made.types("why", "departures").stdout
    assert "timed" in why
    assert "week.py" in why


def test_a_changed_constant_reruns_what_reaches_it_and_what_its_result_changes(made: Any) -> None:
    """Another threshold changes the labels, hence everything after them, and nothing before."""
    made.edits("week.py", "LATE_MINUTES = 15", "LATE_MINUTES = 30")
    ran = made.ran()
    assert ran["flown"] == "skipped"
    assert ran["departures"] == ran["late"] == ran["good_enough"] == "done"
    assert "LATE_MINUTES" in made.types("why", "departures").stdout
    assert "departures@1 -> departures@2" in made.types("why", "late").stdout


def test_deleted_bytes_rerun_what_made_them(made: Any) -> None:
    """A table whose file is gone is made again, equal, and nothing after it runs; `why` names the bytes."""
    table = made.folder / ".bedplate/store/tables/departures"
    for file in table.glob("*.parquet"):
        file.unlink()
    ran = made.ran()
    assert {name for name, did in ran.items() if did == "done"} == {"departures"}
    assert "bytes of departures@1 are gone" in made.types("why", "departures").stdout
    assert set(made.ran().values()) == {"skipped"}
    assert len(made.reads("sql", "select count(*) as n from departures")) == 1


def test_a_setting_makes_a_side_version_and_leaves_the_head(made: Any) -> None:
    """`--set` is tried beside the head: the model's head and its alias stay."""
    assert made.ran("late", "--set", "late.steps=10")["late"] == "done"
    status = made.reads("status")
    assert status["artifacts"]["late"]["number"] == 1
    assert status["models"]["late"] == {"production": 1}
    assert [v["number"] for v in made.reads("show", "late")["versions"]] == [2, 1]


def test_rerun_of_a_deterministic_step_is_bit_equal(made: Any) -> None:
    """The seed comes from the key, so training again gives the same bytes."""
    compared = made.events("rerun", "late")
    assert made.types("rerun", "late").returncode == 0
    assert compared


def test_a_rolled_back_version_stays_out_until_a_person_promotes_it(made: Any) -> None:
    """Promote, roll back, run: it stays rolled back; a person may bring it back."""
    made.edits("week.py", "steps: int = 50", "steps: int = 60")
    made.ran()
    assert made.reads("status")["models"]["late"] == {"production": 2}
    made.types("rollback", "late", "--reason", "it was wrong")
    assert made.reads("status")["models"]["late"] == {"production": 1}
    made.ran()
    made.ran("--fresh", "good_enough")
    assert made.reads("status")["models"]["late"] == {"production": 1}
    made.types("promote", "late@2")
    assert made.reads("status")["models"]["late"] == {"production": 2}


def test_going_back_to_earlier_code_promotes_its_model_again(made: Any) -> None:
    """What serves is the model of the code that is there; a try beside the head is judged, and not promoted."""
    made.edits("week.py", "steps: int = 50", "steps: int = 60")
    made.ran()
    assert made.reads("status")["models"]["late"] == {"production": 2}
    made.edits("week.py", "steps: int = 60", "steps: int = 50")
    made.ran()
    assert made.reads("status")["models"]["late"] == {"production": 1}
    made.ran("--set", "late.steps=70")
    assert made.reads("status")["models"]["late"] == {"production": 1}
    verdicts = made.reads("sql", "select model_version, passed from verdicts where model_version = 3")
    assert verdicts == [{"model_version": 3, "passed": True}]
