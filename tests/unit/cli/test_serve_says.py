"""What `serve` says while it serves: each event is recorded, and told to whoever reads."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from rich.console import Console

from bedplate.core.records import Event
from bedplate.interfaces.cli.serve import Teller, heard, opening, say
from bedplate.interfaces.http.server import Ready
from bedplate.stages.deploy.deployment import Waiting

AT = datetime(2026, 11, 22, tzinfo=UTC)
CHANGES = [
    {"model": "late", "version": 7, "before": 6, "why": "promoted by better"},
    {"model": "early", "version": 1, "before": None, "why": "the newest version"},
]
SWAPPED = Event(kind="service.swapped", subject="services", at=AT, data={"serving": {}, "changes": CHANGES})
FAILED = Event(kind="service.load_failed", subject="late@8", at=AT, data={"reason": "no [such] file"})
DIED = Event(kind="model.process_died", subject="late@7", at=AT, data={"how": "signal 9 (Killed)", "again_s": 2.0, "deaths": 3})


def test_it_says_at_the_start_which_versions_answer_and_what_waits_for_what() -> None:
    """Two services wait for one model, which is said once; a service that waits is not offered to be asked."""
    reason, step = "late has no production version: its check better has not passed", "bedplate promote late@2"
    waiting = {name: Waiting(name=name, reason=reason, next=step) for name in ("board", "will_be_late", "late")}
    waiting["slow"] = Waiting(name="slow", reason="slow@1 could not be loaded: no [such] file")
    ready = Ready(
        url="http://h:1",
        models=["late", "early", "slow"],
        services=["nap", "board", "will_be_late"],
        versions={"early": 3},
        waiting=waiting,
    )
    out = Console(file=io.StringIO(), width=200)
    for line in opening("flights", ready):
        out.print(line, soft_wrap=True)
    assert out.file.getvalue().splitlines()[:4] == [  # type: ignore[attr-defined]  # it is a StringIO
        "serving flights at http://h:1 with early@3",
        "  POST     http://h:1/nap",
        f"  waits    board, will_be_late: {reason}; next: {step}",
        "  waits    slow: slow@1 could not be loaded: no [such] file",
    ]


def test_a_promotion_that_was_taken_over_is_a_line_and_on_record(capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[Event] = []
    emit = heard(kept.append, partial(say, as_json=False))
    for event in (SWAPPED, FAILED, DIED, Event(kind="other", subject="x", at=AT)):
        emit(event)
    assert capsys.readouterr().out.splitlines() == [
        "late: now version 7 (was 6), promoted by better",
        "early: now version 1, the newest version",
        "late@8 could not be loaded, so what served before serves on: no [such] file",
        "late@7: a process that predicted for it died, another is started in 2 s: signal 9 (Killed)",
    ]
    assert [event.kind for event in kept] == ["service.swapped", "service.load_failed", "model.process_died", "other"]


def test_programs_get_the_event_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    heard(lambda _: None, partial(say, as_json=True))(SWAPPED)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["data"]["changes"] == CHANGES


def test_a_reader_that_is_gone_stops_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> Any:
            raise BrokenPipeError

    kept: list[Event] = []
    monkeypatch.setattr(sys, "stdout", Gone())
    for as_json in (True, False):
        heard(kept.append, partial(say, as_json=as_json))(SWAPPED)
    assert len(kept) == 2


def test_the_first_line_is_that_the_server_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    """What happened while it was made ready is said after that."""
    teller = Teller(as_json=True)
    teller.tell(FAILED)
    assert capsys.readouterr().out == ""
    teller.begin()
    teller.tell(SWAPPED)
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == ["service.load_failed", "service.swapped"]
