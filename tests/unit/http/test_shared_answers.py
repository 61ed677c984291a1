"""What processes that serve together know of a key: who works it out, what it was answered, and when that is nobody's any more."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bedplate.interfaces.http.shared import Busy, Said, Shared

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
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    shared = Shared(tmp_path, 60.0, 1 << 20)
    shared.claim(b"key")
    (claimed,) = tmp_path.iterdir()
    claimed.write_bytes(b"pid:%d" % died.pid)
    assert shared.claim(b"key") is None
    claimed.write_bytes(b"")
    with pytest.raises(Busy):
        shared.claim(b"key")
    os.utime(claimed, (time.time() - 30, time.time() - 30))
    assert shared.claim(b"key") is None
    shared.put(b"key", SAID)
    os.utime(claimed, (1.0, 1.0))
    assert shared.claim(b"key") is None


def test_the_folder_keeps_to_its_bytes(tmp_path: Path) -> None:
    """The oldest answers go first; looked at now and then, not at each key."""
    shared = Shared(tmp_path, 60.0, 20_000)
    for number in range(300):
        shared.claim(b"%d" % number)
        shared.put(b"%d" % number, Said(b"d", 200, b"", b"x" * 1000))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000 + 64 * 1100
    assert shared.claim(b"299") is not None
