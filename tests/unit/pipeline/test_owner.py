"""Whose state it is: a second project is refused, a renamed or moved one is not; and who only looks makes no state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bedplate.assembly import configure, open_project, open_record
from bedplate.core.errors import CatalogError, Refused

ONE = """
from bedplate import Project

NAME = Project("NAME")

@NAME.step
def total() -> int:
    return 1
"""


def write(file: Path, name: str = "") -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(ONE.replace("NAME", name or file.stem))
    return file


@pytest.fixture(autouse=True)
def _inline(monkeypatch: Any) -> None:
    monkeypatch.setenv("BEDPLATE_COMPUTE", "inline")


def test_a_second_project_does_not_overwrite_the_heads_of_the_first(tmp_path: Path, monkeypatch: Any) -> None:
    assert open_project(str(write(tmp_path / "first.py"))).run().ok
    second = write(tmp_path / "second.py")
    with pytest.raises(Refused, match=r"is that of project 'first' \(first.py\)") as raised:
        open_project(str(second))
    assert raised.value.next.endswith("BEDPLATE_STATE=.bedplate-second")
    monkeypatch.setenv("BEDPLATE_STATE", ".bedplate-second")
    assert open_project(str(second)).run().ok


def test_a_project_that_is_renamed_or_moved_keeps_its_state(tmp_path: Path) -> None:
    file = write(tmp_path / "first.py")
    open_project(str(file)).run()
    write(file, "better")
    assert open_project(str(file)).run().ok
    file.rename(tmp_path / "moved.py")
    write(tmp_path / "moved.py", "moved")
    assert open_project(str(tmp_path / "moved.py")).run().ok
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    assert open_project(str(tmp_path.with_name("copy") / "moved.py"))["total"].load() == 1


def test_who_only_looks_makes_no_state(tmp_path: Path) -> None:
    file = write(tmp_path / "first.py")
    workspace = open_project(str(file), makes=False)
    assert [planned.why for planned in workspace.plan()] == ["it has never run"]
    assert workspace.status().runs == ()
    assert open_record(str(file)).sql("SELECT count(*) AS n FROM runs")["n"].to_list() == [0]
    assert not configure(file).state.exists()
    assert open_project(str(file)).run().ok
    assert [planned.action for planned in open_project(str(file), makes=False).plan()] == ["skip"]


def test_a_log_without_its_catalog_is_told_to_who_looks_too(tmp_path: Path) -> None:
    """What was recorded last is in it: an empty record would be a lie."""
    file = write(tmp_path / "first.py")
    state = configure(file).state
    state.mkdir()
    (state / "catalog.db-wal").write_bytes(b"x")
    with pytest.raises(CatalogError, match="write-ahead log is left"):
        open_project(str(file), makes=False)
