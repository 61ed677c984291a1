"""How a run is shown as it goes: lines in a pipe, bars on a terminal, objects for programs."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from bedplate.interfaces.cli.following import follower
from bedplate.pipeline.starting import Said

TOOK = {"wall_s": 1.5, "peak_bytes": 120_000_000}


def shown(*said: Said, names: tuple[str, ...] = ("late", "departures"), terminal: bool = False) -> list[str]:
    """The lines that are printed."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, highlight=False, color_system=None)
    with follower(False, names, console) as follow:
        for one in said:
            follow(one)
    return file.getvalue().splitlines()


def done(step: str, *made: str, part: str = "") -> Said:
    return Said(kind="step.done", step=step, part=part, text=", ".join(made), data={**TOOK, "made": list(made)})


def test_lines_are_aligned_by_the_longest_name() -> None:
    lines = shown(
        Said(kind="run.started", data={"run": "r-1", "steps": 2}),
        Said(kind="step.skipped", step="departures", text="unchanged since departures@1"),
        done("late", "late@2"),
    )
    assert lines[0] == "run r-1  2 steps"
    assert lines[1] == " = departures  unchanged since departures@1"
    assert lines[2].split() == ["+", "late", "late@2", "1.5", "s", "120.0", "MB"]
    assert lines[2].index("late@2") == lines[1].index("unchanged")


def test_a_step_that_makes_several_lists_them_below_each_other() -> None:
    lines = shown(done("departures", "flown@1 (3 rows)", "weather@1 (2 rows)"))
    assert lines[0].startswith(" + departures  flown@1 (3 rows) ")
    assert lines[1].strip() == "weather@1 (2 rows)"
    assert lines[1].index("weather") == lines[0].index("flown")


def test_what_a_check_found_stands_below_it() -> None:
    lines = shown(done("late", "late@1"), Said(kind="check.said", step="late", text="FAIL auc[EWR] = 0.6 (>= 0.7)"))
    assert lines[1].strip() == "FAIL auc[EWR] = 0.6 (>= 0.7)"
    assert lines[1].index("FAIL") == lines[0].index("late@1")


def test_skipped_parts_are_counted_not_listed() -> None:
    parts = [Said(kind="step.skipped", step="late", part=str(day), text="unchanged") for day in range(365)]
    lines = shown(*parts, Said(kind="step.skipped", step="late", text="unchanged since late@3"))
    assert lines == [" = late        unchanged since late@3, 365 parts unchanged"]


def test_brackets_of_a_part_are_no_markup() -> None:
    assert " late[mon] " in "\n".join(shown(done("late", "late[mon]@1", part="mon"), terminal=True))


def test_a_message_of_several_lines_keeps_its_column() -> None:
    lines = shown(Said(kind="step.failed", step="late", text="the secret is not set\n  why:  it is read\n  next: export TOKEN=..."))
    assert [line.strip() for line in lines] == ["x late        the secret is not set", "why:  it is read", "next: export TOKEN=..."]
    assert lines[2].index("next:") == lines[0].index("the secret")


def test_a_failure_shows_the_frames_of_the_project() -> None:
    said = Said(
        kind="step.failed", step="late", text="KeyError: 'x'", data={"traceback": '  File "flow.py", line 3, in late\n    row["x"]\n'}
    )
    assert shown(said)[1:] == ['     File "flow.py", line 3, in late', '       row["x"]']


@pytest.mark.parametrize("kind", ["step.started", "step.progress", "step.metric", "run.ended"])
def test_what_passes_is_no_line_in_a_pipe(kind: str) -> None:
    assert shown(Said(kind=kind, step="late", text="loss", data={"value": [1, 2], "attempt": 1})) == []


def test_a_terminal_has_a_bar_while_a_step_runs_and_a_line_when_it_ended() -> None:
    """The bar says what the step reports; a step that says nothing goes by what it took before."""
    started = Said(kind="step.started", step="late", data={"attempt": 1, "expect_s": 12.0})
    progress = Said(kind="step.progress", step="late", text="trees", data={"value": [50, 200]})
    text = "\n".join(shown(started, progress, terminal=True))
    assert "50 of 200 trees" in text
    assert "of about 12.0 s" in "\n".join(shown(started, terminal=True))
    ended = "\n".join(shown(started, progress, done("late", "late@1"), terminal=True))
    assert "+ late" in ended


def test_a_program_gets_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with follower(True) as follow:
        follow(Said(kind="step.progress", step="late", text="trees", data={"value": [50, 200]}))
        follow(done("late", "late@1"))
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["step.progress", "step.done"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_that_stops_says_how_long_it_may_take(terminal: bool) -> None:
    said = "stopping: late has 10 s to checkpoint; Ctrl-C again ends it now"
    assert any(said in line for line in shown(Said(kind="run.stopping", text=said), terminal=terminal))
