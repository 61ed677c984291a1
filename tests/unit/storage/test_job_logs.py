"""Logs in windows: lines stay whole, searches find across pieces and say how far they came, terminals' codes go."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.storage.job_logs import JobLogs, readable

LINES = b"".join(b"line %05d of the log\n" % number for number in range(100_000))


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> JobLogs:
    root = tmp_path_factory.mktemp("logs")
    (root / "r-1").mkdir()
    (root / "r-1" / "step.1.log").write_bytes(LINES)
    (root / "r-1" / "one.log").write_bytes(b"x" * 50_000)
    return JobLogs(root)


def test_windows_one_after_the_other_are_the_log(logs: JobLogs) -> None:
    """From the beginning on and from the end back, nothing is left out and nothing twice, and each begins at a line."""
    place, forward = 0, b""
    while (window := logs.after("r-1/step.1.log", place, 70_000)) is not None and window.content:
        assert window.content.startswith(b"line")
        forward, place = forward + window.content, window.last
    place, back = window.size if window else 0, b""
    while (window := logs.before("r-1/step.1.log", place, 70_000)) is not None and window.content:
        assert window.content.startswith(b"line")
        back, place = window.content + back, window.first
    assert forward == back == LINES


def test_a_line_without_an_end_is_cut(logs: JobLogs) -> None:
    """A window is never larger than asked for, whatever stands in it."""
    window = logs.after("r-1/one.log", 0, 1000)
    assert window is not None
    assert (window.first, window.last) == (0, 1000)
    window = logs.before("r-1/one.log", 50_000, 1000)
    assert window is not None
    assert window.last - window.first == 1000


@pytest.mark.parametrize("number", [0, 47_661, 47_662, 99_999])
def test_words_are_found_from_both_sides(logs: JobLogs, number: int) -> None:
    """Across the border of two pieces too; upper and lower case are the same."""
    at = number * 22
    assert LINES.find(b"line %05d" % number) == at
    assert logs.find("r-1/step.1.log", f"LINE {number:05}", 0, most=1 << 30).at == at
    assert logs.find("r-1/step.1.log", f"LINE {number:05}", len(LINES), backwards=True, most=1 << 30).at == at
    assert logs.find("r-1/step.1.log", f"line {number:05}", at + 1, most=1 << 30).at is None


def test_a_search_says_how_far_it_came(logs: JobLogs) -> None:
    """Within the bytes that it may look at; from there it goes on."""
    found = logs.find("r-1/step.1.log", "line 99999", 0, most=500_000)
    assert found.at is None
    assert 500_000 <= found.reached < len(LINES)
    assert logs.find("r-1/step.1.log", "line 99999", found.reached, most=1 << 30).at == LINES.find(b"line 99999")


@pytest.mark.parametrize("name", ["", "../step", "/etc/passwd", "r-1/none.log", "r-1", "a\0b"])
def test_no_name_leads_elsewhere(logs: JobLogs, name: str) -> None:
    """What is no log of the folder is not there."""
    assert logs.size(name) is None
    assert logs.after(name, 0, 10) is None


def test_a_log_reads_as_a_terminal_shows_it() -> None:
    """Colours, titles, what was written over and bells are gone; text stays."""
    assert readable("\x1b[31mred\x1b[0m \x1b]0;title\x07end\a") == "red end"
    assert readable("1%\r50%\r100%\nnext\r\n") == "100%\nnext\n"
    assert readable("tab\tand \x1b(Bcharset") == "tab\tand charset"


def test_links_are_no_logs(tmp_path: Path) -> None:
    """A step may leave a link in the place of its log, or of the folder: nothing of what it leads to is read."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.log").write_bytes(b"secret")
    root = tmp_path / "logs"
    (root / "r-1").mkdir(parents=True)
    (root / "r-1" / "a.log").symlink_to(tmp_path / "secret" / "a.log")
    (root / "r-1" / "loop.log").symlink_to(root / "r-1" / "loop.log")
    (root / "r-2").symlink_to(tmp_path / "secret")
    found = JobLogs(root)
    for name in ("r-1/a.log", "r-1/loop.log", "r-2/a.log"):
        assert (found.size(name), found.before(name, 6, 6), list(found.pieces(name))) == (None, None, [])
