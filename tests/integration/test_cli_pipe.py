"""The command in a pipe whose reader goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """\
from bedplate import Project

small = Project("small")


@small.step
def numbers() -> list[int]:
    return [1, 2, 3]
"""


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
def test_a_reader_that_stops_reading_is_no_mistake_of_ours(words: list[str], tmp_path: Path) -> None:
    """`bedplate status | head -1`: the code that a shell gives to a broken pipe, and not a word on standard error."""
    (tmp_path / "small.py").write_text(PROJECT)
    read, write = os.pipe()
    os.close(read)
    arguments = [sys.executable, "-c", "from bedplate.interfaces.cli import main; main()", *words]
    ended = subprocess.run(arguments, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")
