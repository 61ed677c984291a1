"""`bedplate run SERVICE --over LINES`: each line has one answer, in order, whatever it holds and whenever the process dies."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from over_site import LEAVES, homes

import bedplate
from bedplate.core.errors import Refused

Typed = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, run once."""
    return homes(tmp_path_factory.mktemp("homes"), 'body_limit = "100 KB"')


def typed(folder: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bedplate", "run", "worth", *words]
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, check=False, timeout=60)


def answers(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_has_its_answer_in_order_and_bad_ones_are_kept(folder: Path) -> None:
    """What is no JSON, no text, of another type, too long, or makes the function end the process: refused, kept, and counted."""
    long = b'{"area": 1, "town": "' + b"x" * 200_000 + b'"}'
    lines = [
        b'{"area": 3}',
        b"{",
        b"\xff\xfe",
        b'{"area": "3"}',
        b"",
        long,
        b'{"area": %d}' % LEAVES,
        b'[{"area": 1}]',
        b'{"area": 4.5, "town": "Bern"}',
    ]
    done = typed(folder, "--over", "-", given=b"\n".join(lines))
    assert done.returncode == 0, done.stderr
    said = answers(done.stdout)
    assert [one["line"] for one in said] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert [one.get("result") for one in said] == [6.0, None, None, None, None, None, None, 9.0]
    assert said[0]["version"] == "cost@1"
    assert said[1]["given"] == "{"
    assert said[3]["error"] == "'area': expected `float`, got `str`", "as over HTTP"
    assert base64.b64decode(said[2]["given_base64"]) == b"\xff\xfe"
    assert said[4]["bytes"] == len(long) + 1
    assert "at most 100,000" in said[4]["error"]
    assert said[5]["error"] == "SystemExit: no such flat"
    assert b"9 lines, 6 were refused" in done.stderr
    log = bedplate.open(folder).store.log("predictions/worth").scan().collect()
    assert sorted(log["status"].to_list()) == [200, 200, 422, 422, 422, 422, 422, 500]


def test_killed_it_goes_on_and_each_line_has_one_answer(folder: Path, tmp_path: Path) -> None:
    """Killed in the middle of a line; then a file that has grown, and half a line that is not whole yet."""
    lines, to = tmp_path / "lines.jsonl", tmp_path / "answers.jsonl"
    lines.write_text("".join(f'{{"area": {at}}}\n' for at in range(100, 400)))
    (folder / "dies").write_text("300")
    assert typed(folder, "--over", str(lines), "--to", str(to)).returncode == -signal.SIGKILL
    (folder / "dies").unlink()
    with to.open("ab") as torn:
        torn.write(b'{"line": 9')
    assert typed(folder, "--over", str(lines), "--to", str(to)).returncode == 0
    assert [(one["line"], one["result"]) for one in answers(to.read_bytes())] == [(at - 99, at * 2.0) for at in range(100, 400)]
    with lines.open("a") as more:
        more.write('{"area": 1}\n{"area": 2')
    said = json.loads(typed(folder, "--over", str(lines), "--to", str(to), "--json").stdout)
    assert said == {"lines": 301, "refused": 0, "before": 300}
    with lines.open("a") as more:
        more.write("0}\n")
    typed(folder, "--over", str(lines), "--to", str(to))
    assert [one["result"] for one in answers(to.read_bytes())[-2:]] == [2.0, 40.0]


def test_answers_of_other_lines_are_not_gone_on_with(folder: Path, tmp_path: Path) -> None:
    lines, to = tmp_path / "lines.jsonl", tmp_path / "answers.jsonl"
    lines.write_text('{"area": 1}\n')
    to.write_text("mine\n")
    assert b"is there already" in typed(folder, "--over", str(lines), "--to", str(to)).stderr
    assert to.read_text() == "mine\n"
    to.unlink()
    typed(folder, "--over", str(lines), "--to", str(to))
    lines.write_text('{"area": 7}\n{"area": 8}\n')
    assert b"has the answers to other lines" in typed(folder, "--over", str(lines), "--to", str(to)).stderr


def test_words_that_make_no_sense_are_said_to(folder: Path) -> None:
    assert b"standard input cannot be read again" in typed(folder, "--over", "-", "--to", "x").stderr
    assert b"there is no file absent.jsonl" in typed(folder, "--over", "absent.jsonl").stderr
    waits = subprocess.run(
        [sys.executable, "-m", "bedplate", "run", "waiting", "--over", "-"], cwd=folder, capture_output=True, check=False
    )
    assert waits.returncode == Refused.exit_code


def test_one_line_is_answered_before_the_next_is_written(folder: Path) -> None:
    """A pipe that waits for each answer gets it; told to stop, it ends with 130."""
    command = [sys.executable, "-m", "bedplate", "run", "worth", "--over", "-"]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for area in (1, 2, 3):
            process.stdin.write(b'{"area": %d}\n' % area)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["result"] == area * 2.0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
