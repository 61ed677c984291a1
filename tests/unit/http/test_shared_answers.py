"""What processes that serve together know of a key: who works it out, what it was answered, and when that is nobody's any more."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from bedplate.interfaces.http.shared import Busy, Said, Shared

_CLAIM = """
from pathlib import Path
from bedplate.interfaces.http.shared import Shared
print(Shared(Path({folder!r}), 60.0, 1 << 20).claim(b"key"))
"""
_RACE = """
import sys
from pathlib import Path
from bedplate.interfaces.http.shared import Busy, Shared
shared = Shared(Path({folder!r}), 60.0, 1 << 30)
print("ready", flush=True)
sys.stdin.readline()
claimed = []
for number in range({keys}):
    try:
        if shared.claim(b"%d" % number) is None:
            claimed.append(number)
    except Busy:
        pass
print(*claimed, flush=True)
sys.stdin.read()
"""
SAID = Said(b"digest", 200, b"content-type: application/json\r\n", b"{}")


def test_one_claims_a_key_and_the_others_get_its_answer(tmp_path: Path) -> None:
    one, other = (Shared(tmp_path / "again", 60.0, 1 << 20) for _ in range(2))
    assert one.claim(b"key") is None
    with pytest.raises(Busy):
        other.claim(b"key")
    one.put(b"key", SAID)
    assert other.claim(b"key") == SAID
    assert other.claim(b"another key") is None


def test_what_failed_is_free_again(tmp_path: Path) -> None:
    shared = Shared(tmp_path, 60.0, 1 << 20)
    assert shared.claim(b"key") is None
    shared.drop(b"key")
    assert shared.claim(b"key") is None


def test_what_a_process_left_that_died_or_is_too_old_is_nobody_s(tmp_path: Path) -> None:
    """A process that is at work keeps what it claimed, however long that takes."""
    died = subprocess.run([sys.executable, "-c", _CLAIM.format(folder=str(tmp_path))], check=True, capture_output=True, text=True)
    assert died.stdout == "None\n"
    shared, other = (Shared(tmp_path, 60.0, 1 << 20) for _ in range(2))
    assert shared.claim(b"key") is None
    for path in tmp_path.iterdir():
        os.utime(path, (1.0, 1.0))
    with pytest.raises(Busy):
        other.claim(b"key")
    shared.put(b"key", SAID)
    assert other.claim(b"key") == SAID
    for path in tmp_path.iterdir():
        os.utime(path, (1.0, 1.0))
    assert other.claim(b"key") is None


def test_processes_that_find_the_same_old_answers_work_each_out_once(tmp_path: Path) -> None:
    """Both see that an answer is nobody's; one takes it away, and the other does not take away what that one claimed."""
    shared, keys = Shared(tmp_path, 60.0, 1 << 30), 1_000
    for number in range(keys):
        shared.claim(b"%d" % number)
        shared.put(b"%d" % number, SAID)
    for path in tmp_path.iterdir():
        os.utime(path, (1.0, 1.0))
    command = [sys.executable, "-c", _RACE.format(folder=str(tmp_path), keys=keys)]
    racing = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with ExitStack() as stack:
        gates, said = zip(*[_pipes(stack.enter_context(one)) for one in racing], strict=True)
        assert [one.readline() for one in said] == ["ready\n"] * len(racing)
        for one in gates:
            one.write("go\n")
            one.flush()
        claimed = [number for one in said for number in one.readline().split()]
    assert sorted(claimed, key=int) == [str(number) for number in range(keys)]


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def test_what_another_claimed_is_not_dropped_or_answered(tmp_path: Path) -> None:
    """Where a claim cannot be made (a full disk) the request is worked out all the same, and touches nobody's file."""
    one, other = (Shared(tmp_path, 60.0, 1 << 20) for _ in range(2))
    assert one.claim(b"key") is None
    other.drop(b"key")
    other.put(b"key", SAID)
    with pytest.raises(Busy):
        other.claim(b"key")


def test_what_is_swept_is_no_claim_of_one_that_lives(tmp_path: Path) -> None:
    """A full folder loses answers and what the dead left, never a claim: that request would be worked out twice."""
    subprocess.run([sys.executable, "-c", _CLAIM.format(folder=str(tmp_path))], check=True, capture_output=True)
    one, other = (Shared(tmp_path, 60.0, 2_000) for _ in range(2))
    assert one.claim(b"held") is None
    for number in range(200):
        other.claim(b"%d" % number)
        other.put(b"%d" % number, Said(b"d", 200, b"", b"x" * 1000))
    with pytest.raises(Busy):
        other.claim(b"held")
    assert sum(path.name.startswith(".owner.") for path in tmp_path.iterdir()) == 2


def test_an_answer_that_is_being_written_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of its file and its first byte: the answer would be lost, and the request worked out again."""
    one, other = (Shared(tmp_path, 60.0, 1 << 20) for _ in range(2))

    def slowly(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            for number in range(64):
                other.claim(b"%d" % number)
            return file.write(data)

    assert one.claim(b"key") is None
    monkeypatch.setattr(Path, "write_bytes", slowly)
    one.put(b"key", SAID)
    assert other.claim(b"key") == SAID


def test_the_folder_keeps_to_its_bytes(tmp_path: Path) -> None:
    """The oldest answers go first; looked at now and then, not at each key."""
    shared = Shared(tmp_path, 60.0, 20_000)
    for number in range(300):
        shared.claim(b"%d" % number)
        shared.put(b"%d" % number, Said(b"d", 200, b"", b"x" * 1000))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000 + 64 * 1100
    assert shared.claim(b"299") is not None
