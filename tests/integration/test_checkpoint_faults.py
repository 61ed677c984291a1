"""A training step killed at each call of a save (F35); a disk that is full or slow under it (F40): whole checkpoints only, none lost."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lossy_disk import lossy_disk

from bedplate.storage.checkpoints import SUMS, FolderCheckpoints

WRITER = Path(__file__).with_name("checkpoint_writer.py")
CALLS = ("mkdir", "fsync", "rename", "unlinkat", "rmdir")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here: scripts/services unpacks it")


def loop(root: Path, first: int, last: int, *words: str, size: int = 4000) -> tuple[int, int | None]:
    """Run the loop under `words`: its exit code, and the newest step that it said was whole."""
    python = os.path.realpath(sys.executable)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*words, python, str(WRITER), str(root), str(first), str(last), str(size)], capture_output=True, text=True, timeout=60, check=False,
        env=environ,
    )  # fmt: skip
    said = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(line.split()[0])]
    return done.returncode, int(said[-1]) if said else None


def whole(root: Path) -> int | None:
    """The step of the checkpoint that a later attempt would go on from, seen to be what was written; with its digests."""
    found = FolderCheckpoints(root, "sha256:loop", 2).latest()
    if found is None:
        return None
    step, folder = found
    assert {(folder / "weights").read_bytes()[i : i + 4] for i in range(0, 4000, 4)} == {step.to_bytes(4, "big")}
    assert (folder / "more" / "optimizer").read_bytes()[:4] == (step + 1).to_bytes(4, "big")
    assert (folder / SUMS).is_file(), "a checkpoint without its digests would be taken for whole whatever it holds"
    return step


def killed_at(root: Path, call: str, number: int) -> bool:
    """Kill at the N-th such call of anybody of the loop; False where there was none. A checkpoint of step 5 is there before."""
    shutil.rmtree(root, ignore_errors=True)
    assert loop(root, 4, 6) == (0, 5)
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    code, acknowledged = loop(root, 6, 9, "strace", "-f", "-qqq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject)
    before = acknowledged or 5
    assert whole(root) in (before, before + 1)
    assert loop(root, 9, 10) == (0, 9)
    assert whole(root) == 9
    assert not list((root / "checkpoints").rglob(".new-*")), "what was killed is still there"
    return code != 0


@needs_strace
@pytest.mark.parametrize(("call", "number"), [("rename", 1), ("fsync", 6)])
def test_f35_killed_in_a_save_the_newest_whole_one_counts(tmp_path: Path, call: str, number: int) -> None:
    assert killed_at(tmp_path / "store", call, number)


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_f35_killed_at_every_call_of_a_save(tmp_path: Path, call: str) -> None:
    """The first, second, third and so on; at most one interval is lost, a part of one is never chosen."""
    tried = next(number for number in itertools.count(1) if not killed_at(tmp_path / "store", call, number))
    assert tried > 1 or call in ("rmdir", "unlinkat")


@pytest.mark.parametrize("room", [300_000, 150_000])
def test_f40_a_full_disk_ends_no_training(room: int) -> None:
    """Room for less than what is kept, or for none: the loop comes to its end, and the last good checkpoint is there all the time."""
    with lossy_disk() as disk:
        assert loop(disk.root, 1, 3, size=100_000) == (0, 2)
        disk.tell("room", room)
        code, newest = loop(disk.root, 3, 8, size=100_000)
        assert code == 0
        assert whole(disk.root) == (newest or 2)
        disk.tell("room", -1)
        assert loop(disk.root, 8, 9, size=100_000) == (0, 8)


@pytest.mark.slow
def test_f40_a_slow_disk_ends_no_training() -> None:
    """A tenth of a second for each write: `save` returns at once, and waits for the one before only."""
    with lossy_disk() as disk:
        disk.tell("delay_ms", 100)
        kept = FolderCheckpoints(disk.root, "sha256:loop", 2)
        began = time.monotonic()
        kept.save(1, lambda folder: (folder / "weights").write_bytes(bytes(1_000_000)) and None)
        assert time.monotonic() - began < 0.1
        kept.wait()
        assert time.monotonic() - began > 0.2
        assert kept.newest() == 1
