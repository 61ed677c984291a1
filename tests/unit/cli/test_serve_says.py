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
from bedplate.interfaces.cli.serve import _of_first, opening, replicas_of
from bedplate.interfaces.cli.telling import Teller, heard, say
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
        no_grpc="grpc is not installed; next: pip install 'bedplate[grpc]'",
        tried=["early@4 as canary: 5 %"],
    )
    said = io.StringIO()
    out = Console(file=said, width=200)
    for line in opening("flights", ready):
        out.print(line, soft_wrap=True)
    assert said.getvalue().splitlines()[:6] == [
        "serving flights at http://h:1 with early@3",
        "  POST     http://h:1/nap",
        f"  waits    board, will_be_late: {reason}; next: {step}",
        "  waits    slow: slow@1 could not be loaded: no [such] file",
        "  tried    early@4 as canary: 5 %",
        "  gRPC     none: grpc is not installed; next: pip install 'bedplate[grpc]'",
    ]


def test_a_router_says_at_the_start_where_its_replicas_are() -> None:
    standing = {"state": "ready", "running": 0, "failures": 0, "zone": "", "region": "", "versions": {}}
    replicas = {
        "replica-0": {**standing, "address": ""},
        "[::1]:8000": {**standing, "address": "[::1]:8000", "zone": "a", "region": "eu"},
        "h:1": {**standing, "address": "h:1", "state": "gone"},
    }
    said = io.StringIO()
    out = Console(file=said, width=200)
    for scale in ([1, 4], [2, 2], None):
        for line in replicas_of({"replicas": {name: one for name, one in replicas.items() if scale or one["address"]}, "scale": scale}):
            out.print(line, soft_wrap=True)
    others = ["  replica  [::1]:8000, zone a, region eu: ready", "  replica  h:1: gone"]
    assert said.getvalue().splitlines() == [
        "  replicas 1 to 4, by load, on this machine", *others, "  replicas 2, on this machine", *others, *others,
    ]  # fmt: skip
    assert replicas_of({"url": "http://h:1"}) == []


def test_a_version_that_is_tried_and_is_no_more_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    tell = partial(say, as_json=False)
    begun = {"trial": "canary", "rule": "5 % for 30 min", "by": "anna"}
    tell(Event(kind="rollout.begun", subject="late@8", at=AT, data=begun))
    tell(Event(kind="rollout.begun", subject="late@9", at=AT, data={"trial": "shadow", "rule": "100 %", "by": ""}))
    tell(Event(kind="rollout.ended", subject="late@8", at=AT, data={"trial": "canary", "why": "rolled back by anna", "by_person": True}))
    ended = {"trial": "shadow", "alias": "shadow", "by": "rollback", "version": 7, "why": "will_be_late: 9 of 10 answers failed"}
    tell(Event(kind="rollout.concluded", subject="late@9", at=AT, data=ended))
    assert capsys.readouterr().out.splitlines() == [
        "late@8 is canary now: answers 5 % for 30 min (begun by anna)",
        "late@9 is shadow now: is asked beside production for 100 % (begun by a person)",
        "late@8 is canary no more: rolled back by anna",
        "late@9 is rolled back from shadow: will_be_late: 9 of 10 answers failed",
    ]


def test_of_several_processes_the_one_that_judged_a_roll_out_tells_its_end_alone() -> None:
    told: list[str] = []
    first = _of_first(lambda event: told.append(event.kind))
    for by_person in (True, False):
        first(Event(kind="rollout.ended", subject="late@8", at=AT, data={"trial": "canary", "why": "", "by_person": by_person}))
    first(SWAPPED)
    assert told == ["rollout.ended", "service.swapped"]


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
