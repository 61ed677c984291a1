"""Which of the files that a step opens are worth a warning."""

from __future__ import annotations

import linecache
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.pipeline.opened import Opened


def read(path: Path) -> None:
    with path.open() as file:
        file.read()


def write(path: Path) -> None:
    with path.open("w") as file:
        file.write("x")


Found = Callable[[Path, list[str], Callable[[], object]], list[str]]


@pytest.fixture
def found(opened: Opened) -> Found:
    """The names of the files that were found while something was done."""

    def found(state: Path, inputs: list[str], do: Callable[[], object]) -> list[str]:
        with opened.watching([state], inputs):
            do()
        return [Path(name).name for name in opened.found()]

    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("hidden.txt", "given.txt", "helper.py"):
        (tmp_path / name).write_text("1")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "kept").write_text("1")
    return tmp_path


def test_a_file_beside_the_inputs_is_found_once(folder: Path, found: Found) -> None:
    assert found(folder / "state", [], lambda: [read(folder / "hidden.txt") for _ in range(3)]) == ["hidden.txt"]


def test_inputs_the_state_code_and_what_is_written_are_no_surprise(folder: Path, found: Found) -> None:
    def do() -> None:
        read(folder / "given.txt")
        read(folder / "state" / "kept")
        linecache.checkcache()
        linecache.getlines(str(folder / "helper.py"))
        read(Path(os.__file__))
        write(folder / "out.txt")

    assert found(folder / "state", [str(folder / "given.txt")], do) == []


def test_code_that_is_run_from_a_file_as_if_it_were_data_is_found(folder: Path, found: Found) -> None:
    """`exec` of a file's text and `runpy`: neither is an import that the key follows."""
    (folder / "given.py").write_text("K = 1\n")
    assert found(folder / "state", [], lambda: exec((folder / "helper.py").read_text())) == ["helper.py"]
    assert found(folder / "state", [], lambda: runpy.run_path(str(folder / "given.py"))) == ["given.py"]


def test_an_import_is_told_apart(folder: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    (folder / "ours_told_apart.py").write_text("K = 1\n")
    for _ in range(2):  # the second time from the byte code
        sys.modules.pop("ours_told_apart", None)
        with opened.watching([folder / "state"], []):
            __import__("ours_told_apart")
        assert (opened.found(), opened.imported()) == ((), (str(folder / "ours_told_apart.py"),))


def test_a_folder_that_only_begins_like_the_state_is_not_the_state(folder: Path, found: Found) -> None:
    (folder / "state2").write_text("1")
    assert found(folder / "state", [], lambda: read(folder / "state2")) == ["state2"]


def test_an_input_is_that_file_and_not_every_file_that_begins_so(folder: Path, found: Found) -> None:
    (folder / "given.txt.bak").write_text("1")
    assert found(folder / "state", [str(folder / "given.txt")], lambda: read(folder / "given.txt.bak")) == ["given.txt.bak"]


def test_nothing_is_noted_outside_the_step_and_each_step_begins_empty(folder: Path, found: Found) -> None:
    found(folder / "state", [], lambda: read(folder / "hidden.txt"))
    read(folder / "given.txt")
    assert found(folder / "state", [], lambda: None) == []


def test_a_relative_path_is_told_whole(folder: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with opened.watching([folder / "state"], []):
        read(Path("hidden.txt"))
    assert opened.found() == (str(folder / "hidden.txt"),)


def test_a_step_that_opens_thousands_of_files_is_told_of_twenty(folder: Path, found: Found) -> None:
    for number in range(30):
        (folder / f"{number}.txt").write_text("1")
    assert len(found(folder / "state", [], lambda: [read(folder / f"{number}.txt") for number in range(30)])) == 20
