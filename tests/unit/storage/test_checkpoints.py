"""Checkpoints: whole or not there, newest found, kept by count, errors told once."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.storage import disk
from bedplate.storage.checkpoints import FolderCheckpoints

KEY = "sha256:" + "ab" * 32


def state(number: int):
    """Writes a checkpoint of two files whose contents belong together."""

    def write(folder: Path) -> None:
        (folder / "weights").write_text(str(number))
        (folder / "more").mkdir()
        (folder / "more" / "optimizer").write_text(str(-number))

    return write


def read(found: tuple[int, Path] | None) -> int | None:
    """The number in a checkpoint, having looked that it is whole."""
    if found is None:
        return None
    number = int((found[1] / "weights").read_text())
    assert (found[1] / "more" / "optimizer").read_text() == str(-number)
    return number


def test_the_newest_whole_checkpoint_is_found_by_a_later_attempt_at_the_same_key(tmp_path):
    """Another object, as another process would have; another key finds nothing."""
    kept = FolderCheckpoints(tmp_path, KEY)
    for step in (9, 10, 100):
        kept.save(step, state(step))
    kept.wait()
    later = FolderCheckpoints(tmp_path, KEY)
    assert later.latest()[0] == 100
    assert read(later.latest()) == 100
    assert FolderCheckpoints(tmp_path, KEY.replace("ab", "cd")).latest() is None


def test_the_newest_are_kept_and_the_same_step_written_again_replaces_itself(tmp_path):
    """Three by default, one at least, and a repeat does not push an older step out."""
    kept = FolderCheckpoints(tmp_path, KEY, keep=2)
    for number, step in enumerate((1, 2, 3, 3, 3)):
        kept.save(step, state(number))
    assert read(kept.latest()) == 4
    assert sorted(int(path.name[:12]) for path in kept.folder.iterdir()) == [2, 3]
    kept.clear()
    assert kept.latest() is None


def test_save_returns_before_the_write_and_the_next_save_waits_for_it(tmp_path):
    """At most one write is in flight."""
    kept, go, log = FolderCheckpoints(tmp_path, KEY), threading.Event(), []

    def slow(folder: Path) -> None:
        assert go.wait(10)
        log.append("first")

    kept.save(1, slow)
    assert log == []
    threading.Timer(0.01, go.set).start()
    kept.save(2, lambda folder: log.append("second"))
    assert log[0] == "first"
    kept.wait()
    assert log == ["first", "second"]


def test_what_a_write_raised_is_told_once_by_the_next_call_and_leaves_nothing(tmp_path):
    """By save, wait or latest; the checkpoint before is still there."""
    kept = FolderCheckpoints(tmp_path, KEY)
    kept.save(1, state(1))

    def fail(folder: Path) -> None:
        (folder / "weights").write_text("half")
        raise ValueError("no state")

    for next_call in (kept.wait, kept.latest, lambda: kept.save(3, state(3))):
        kept.save(2, fail)
        with pytest.raises(ValueError, match="no state"):
            next_call()
    assert read(kept.latest()) == 1
    assert [path.name for path in kept.folder.iterdir()] == ["000000000001"]


def test_a_full_disk_is_said_and_ends_no_training(tmp_path, capsys):
    """Older checkpoints make room, the newest never goes, and what finds no room is not kept; the next that does is (F40)."""
    kept = FolderCheckpoints(tmp_path, KEY)
    tried = []

    def full(folder: Path) -> None:
        tried.append(folder)
        raise OSError(28, "No space left on device")

    kept.save(0, full)
    kept.wait()
    assert len(tried) == 1
    for step in (1, 2, 3):
        kept.save(step, state(step))
    kept.save(4, full)
    assert read(kept.latest()) == 3
    assert len(tried) == 3
    assert [path.name for path in kept.folder.iterdir()] == ["000000000003"]
    assert capsys.readouterr().err.count("the disk is full") == 2
    kept.save(5, state(5))
    assert read(kept.latest()) == 5


def test_a_negative_step_is_refused(tmp_path):
    """Names sort as steps do."""
    with pytest.raises(UserError, match="count from 0"):
        FolderCheckpoints(tmp_path, KEY).save(-1, state(1))


class Killed(BaseException):
    """The process ends here: nothing after it runs."""


class Dying:
    """Lets a number of calls that change the disk through, then kills; the clean-up of a dead process does not run either."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
        self.left = calls
        for owner, name in (
            (Path, "mkdir"),
            (Path, "rename"),
            (Path, "write_text"),
            (shutil, "rmtree"),
            (disk, "flush"),
            (disk, "flush_folder"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, call):
        def counted(*arguments, **options):
            if self.left == 0:
                raise Killed
            self.left -= 1
            return call(*arguments, **options)

        return counted


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(0, 5), min_size=1, max_size=5), calls=st.integers(0, 90), keep=st.integers(1, 3))
def test_killed_at_any_point_only_whole_checkpoints_are_seen_and_none_is_lost(tmp_path, steps, calls, keep):
    """Whatever call it dies at: what was whole before stays the newest, or the new one is; and the next attempt goes on from there."""
    root = tmp_path / "store"
    shutil.rmtree(root, ignore_errors=True)
    kept, done = FolderCheckpoints(root, KEY, keep), {}
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, calls)
        writing = None
        try:
            for number, step in enumerate(steps):
                writing = (step, number)
                kept.save(step, state(number))
                kept.wait()
                done[step] = number
                writing = None
        except Killed:
            pass
    resumed = FolderCheckpoints(root, KEY, keep)
    found = resumed.latest()
    possible = [max(done)] if done else [None]
    if writing is not None:
        possible.append(max(max(done, default=0), writing[0]))
    assert (found[0] if found else None) in possible
    if found is not None:
        assert read(found) in {done.get(found[0]), writing[1] if writing and writing[0] == found[0] else None}
    resumed.save(9, state(9))
    assert read(resumed.latest()) == 9
    assert not list(resumed.folder.glob(".new-*"))


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "sums"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_that_is_said(tmp_path, capsys, harm):
    """A flipped byte, a cut or missing file, a list of digests that is none: the newest whole one counts (F37)."""
    kept = FolderCheckpoints(tmp_path, "sha256:abc")
    for at in (10, 20):
        kept.save(at, lambda folder, at=at: (folder / "weights.bin").write_bytes(bytes([at]) * 100))
    kept.wait()
    step, newest = kept.latest() or (0, tmp_path)
    assert step == kept.newest() == 20
    weights = newest / "weights.bin"
    match harm:
        case "flip":
            weights.write_bytes(b"\x15" + weights.read_bytes()[1:])
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-1])
        case "remove":
            weights.unlink()
        case _:
            (newest / ".sums.json").write_bytes(b"{")
    found = FolderCheckpoints(tmp_path, "sha256:abc").latest()
    assert found is not None
    assert found[0] == 10
    assert "step 20 is passed over" in capsys.readouterr().err
