"""The doctor: each area's finding when all is well, and when it is not, with what to do."""

from __future__ import annotations

import os
import platform
import shutil
from typing import Any, NamedTuple

import msgspec
import pytest

from bedplate.catalog.services import Service
from bedplate.compute.accelerators import Mismatch
from bedplate.pipeline import doctor
from bedplate.pipeline.doctor import Finding, examine, worst

TEXT = """
import os

@p.step
def note() -> Files:
    path = os.path.join(os.path.dirname(__file__), "note.txt")
    with open(path, "w") as file:
        file.write("hello")
    return Files.of(path)
"""


def area(house: Any, name: str, **how: Any) -> list[Finding]:
    return [finding for finding in examine(house.open(), **how) if finding.area == name]


def test_a_sound_project_has_nothing_wrong(house: Any) -> None:
    house.run(TEXT)
    findings = examine(house.open(), deep=True)
    assert worst(findings) == "ok", [finding for finding in findings if finding.level != "ok"]
    assert {finding.area for finding in findings} >= {"python", "disk", "catalog", "clock", "runs", "bytes", "accelerator"}


def test_a_project_that_never_ran_has_nothing_wrong(house: Any) -> None:
    house.open(TEXT)
    assert worst(examine(house.open())) == "ok"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_disk_is_wrong(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    house.open(TEXT)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 10**12 - 5 * 10**6, 5 * 10**6))
    [finding] = area(house, "disk")
    assert finding.level == "wrong"
    assert "only 5.0 MB free" in finding.what
    assert "bedplate gc" in finding.next


def test_bytes_that_are_gone_are_named_with_the_step_that_makes_them(house: Any) -> None:
    house.run(TEXT)
    for blob in (house.folder / ".bedplate/store/blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    [finding] = area(house, "bytes")
    assert finding.level == "wrong"
    assert finding.what.startswith("note@1: ")
    assert finding.next == "bedplate run note"


def test_bytes_that_changed_are_found_when_they_are_read(house: Any) -> None:
    """A look at sizes does not see it; --deep does."""
    house.run(TEXT)
    for blob in (house.folder / ".bedplate/store/blobs").rglob("*"):
        if blob.is_file() and blob.read_bytes() == b"hello":
            blob.chmod(0o644)
            blob.write_bytes(b"hallo")
    assert area(house, "bytes")[0].level == "ok"
    assert area(house, "bytes", deep=True)[0].level == "wrong"


def test_a_clock_that_went_back_is_wrong(house: Any) -> None:
    house.run(TEXT)
    house.clock.forward(-7200)
    [finding] = area(house, "clock")
    assert finding.level == "wrong"
    assert "started in the future" in finding.what


def test_a_run_whose_process_is_gone_is_told_with_the_next_command(house: Any) -> None:
    house.open(TEXT)
    house.another("r-other")
    assert area(house, "runs")[0].level == "ok"
    house.processes.pop(99)
    [finding] = area(house, "runs")
    assert finding.level == "warning"
    assert "r-other died" in finding.what
    assert finding.next == "bedplate run"


@pytest.mark.parametrize(("host", "told"), [(platform.node(), 1), ("elsewhere", 0)])
def test_a_service_whose_process_is_gone_is_told_where_it_can_be_seen(house: Any, host: str, told: int) -> None:
    now = house.clock.now()
    service = Service(name="weigh", url="http://127.0.0.1:1", pid=99, host=host, started_at=now, heartbeat=now)
    house.open(TEXT).catalog.services.register(service)
    assert len(area(house, "services")) == told
    house.open().catalog.services.register(msgspec.structs.replace(service, pid=os.getpid()))
    assert area(house, "services") == []


def test_a_damaged_database_is_wrong(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = house.open(TEXT)
    monkeypatch.setattr(workspace.catalog.database, "faults", lambda: ["row 3 missing from index runs_by_status"])
    [finding] = [one for one in examine(workspace) if one.area == "catalog"]
    assert finding.level == "wrong"
    assert "row 3 missing" in finding.what


def test_a_framework_that_the_driver_cannot_run_is_wrong(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    house.open(TEXT)
    monkeypatch.setattr(doctor, "mismatches", lambda _driver, _cuda: [Mismatch(framework="torch", cuda=13, driver=535, needs=580)])
    [finding] = area(house, "accelerator")
    assert finding.level == "wrong"
    assert "torch is built for CUDA 13" in finding.what


def test_the_worst_of_the_findings() -> None:
    levels = {name: Finding(level=name, area="a", what="") for name in ("ok", "warning", "wrong")}
    assert worst([]) == "ok"
    assert worst([levels["ok"], levels["warning"]]) == "warning"
    assert worst([levels["warning"], levels["wrong"], levels["ok"]]) == "wrong"
