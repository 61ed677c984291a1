"""A log keeps its head and its last lines, says what it left out, and never ends a job."""

from __future__ import annotations

from bedplate.compute.joblog import JobLog
from bedplate.core.parameters import Secret


def test_a_short_log_is_kept_as_it_is(tmp_path):
    path = tmp_path / "new" / "folder" / "log.txt"
    log = JobLog(path, 1000)
    for piece in (b"one\n", b"two", b" and a half\n"):
        log.write(piece)
    assert path.read_bytes() == b"one\ntwo and a half\n", "readable while the job runs"
    log.close()
    assert path.read_bytes() == b"one\ntwo and a half\n"


def test_no_output_is_no_file(tmp_path):
    log = JobLog(tmp_path / "log.txt", 1000)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_beyond_the_limit_the_last_hundred_lines_follow_and_the_rest_is_counted(tmp_path):
    path = tmp_path / "log.txt"
    log = JobLog(path, 100)
    for number in range(100_000):
        log.write(b"line %06d\n" % number)
    log.close()
    lines = path.read_text().splitlines()
    assert lines[:8] == [f"line {number:06d}" for number in range(8)]
    assert lines[-101:-1] == [f"line {number:06d}" for number in range(99_900, 100_000)]
    assert lines[-1] == "--- 1.2 MB of output left out above: the log keeps 100 B and the last 100 lines"


def test_one_endless_line_is_cut(tmp_path):
    path = tmp_path / "log.txt"
    log = JobLog(path, 100)
    for _ in range(100):
        log.write(b"x" * 10_000)
    log.close()
    assert path.stat().st_size < 70_000
    assert "left out" in path.read_text().splitlines()[-1]


def test_a_second_job_appends(tmp_path):
    path = tmp_path / "log.txt"
    for word in (b"first\n", b"second\n"):
        log = JobLog(path, 100)
        log.write(word)
        log.close()
    assert path.read_bytes() == b"first\nsecond\n"


def test_what_cannot_be_written_is_told_once(tmp_path):
    (tmp_path / "file").write_text("")
    log = JobLog(tmp_path / "file" / "log.txt", 100)
    log.write(b"hello\n")
    log.write(b"hello\n")
    log.close()
    assert "could not be written: Not a directory" in log.trouble


def test_secrets_are_masked_before_they_are_kept_at_both_ends_of_a_long_log(tmp_path):
    """In pieces, in what is kept of the start and in the last lines."""
    path = tmp_path / "log.txt"
    log = JobLog(path, 42, [Secret("hush-4711")])
    log.write(b"key hush-")
    assert path.read_bytes() == b"key "
    log.write(b"4711\n")
    assert path.read_bytes() == b"key ****\n"
    for _ in range(20):
        log.write(b"again hush-4711\n")
    log.write(b"hush")
    log.close()
    assert b"hush-4711" not in path.read_bytes()
    assert path.read_bytes().count(b"****") == 21
    assert b"again ****\nhush\n---" in path.read_bytes()
