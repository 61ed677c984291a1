"""The clock of a file: processes agree on a time that is not the machine's."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bedplate.core.clock import FileClock, SystemClock, clock_of
from bedplate.core.config import Config, resolve
from bedplate.core.errors import UserError

THEN = datetime(2017, 12, 1, 2, tzinfo=UTC)


def says(path: Path, text: str, ago_s: float = 0.0) -> Path:
    """A file that was written so long ago."""
    path.write_text(text)
    written = time.time() - ago_s
    os.utime(path, (written, written))
    return path


def configured(folder: Path, clock: str) -> Config:
    return resolve(folder / "shop.py", {"clock": clock}, {})


def test_it_counts_on_from_when_the_file_was_written(tmp_path: Path) -> None:
    """Written an hour ago: an hour has passed since the time that it says, for every process alike."""
    passed = FileClock(says(tmp_path / "clock", "2017-12-01T02:00:00Z", 3600.0)).now() - THEN
    assert timedelta(hours=1) <= passed < timedelta(hours=1, minutes=1)


def test_who_writes_the_file_moves_the_clock_forward_and_back(tmp_path: Path) -> None:
    clock = FileClock(says(tmp_path / "clock", "2017-12-01T02:00:00Z", 5.0))
    assert clock.now().date() == THEN.date()
    says(tmp_path / "clock", "2018-01-31T23:00:00+01:00\n", 2.0)
    assert clock.now().replace(second=0, microsecond=0) == datetime(2018, 1, 31, 22, tzinfo=UTC)
    says(tmp_path / "clock", "2017-11-01", 1.0)
    assert clock.now().date().isoformat() == "2017-11-01"


def test_a_file_put_in_its_place_within_one_tick_of_the_kernel_is_seen(tmp_path: Path) -> None:
    """The times of files may be equal; then it is another file."""
    clock = FileClock(says(tmp_path / "clock", "2017-12-01T02:00:00Z", 1.0))
    written = (tmp_path / "clock").stat().st_mtime_ns
    says(tmp_path / "new", "2017-12-02T02:00:00Z")
    os.utime(tmp_path / "new", ns=(written, written))
    (tmp_path / "new").rename(tmp_path / "clock")
    assert clock.now().day == 2


def test_a_file_that_goes_or_is_spoilt_leaves_the_clock_counting_on(tmp_path: Path) -> None:
    clock = FileClock(says(tmp_path / "clock", "2017-12-01T02:00:00Z"))
    says(tmp_path / "clock", "soon", 9.0)
    assert timedelta(0) <= clock.now() - THEN < timedelta(minutes=1)
    (tmp_path / "clock").unlink()
    assert timedelta(0) <= clock.now() - THEN < timedelta(minutes=1)


def test_the_setting_names_the_machine_or_a_file_beside_the_project(tmp_path: Path) -> None:
    says(tmp_path / "clock", "2017-12-01T02:00:00Z")
    assert type(clock_of(configured(tmp_path, "machine"))) is SystemClock
    assert clock_of(configured(tmp_path, "clock")).now().year == 2017


@pytest.mark.bad_input
@pytest.mark.parametrize("text", [None, "", "soon", "2017-13-01", "\x00"])
def test_a_file_that_says_no_time_is_refused_with_what_to_write(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "clock").write_text(text)
    with pytest.raises(UserError, match="says no time") as refused:
        clock_of(configured(tmp_path, "clock"))
    assert "echo 2017-12-01T02:00:00Z" in refused.value.next
