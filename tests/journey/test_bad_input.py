"""What a person gets for bad input: one clear message with what to do next, the right exit code, no traceback of ours, nothing lost.

The lines are those of docs/reference/bad-input.md; requests to a server are in tests/integration/test_serve_requests.py.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest
from conftest import serving

import bedplate
from bedplate.pipeline.doctor import examine

PROJECT, STEP, WORLD = 3, 1, 4

HEAD = """\
import os, time
import polars as pl
from bedplate import Context, Features, Files, Model, Project

bad = Project("bad")

@bad.prepare
def good() -> int:
    return 1

"""


@pytest.fixture
def written(person: Callable[..., Any], tmp_path: Path) -> Callable[[str], Any]:
    """Somebody with a project of one good step and these lines."""

    def write(text: str, head: str = HEAD) -> Any:
        someone = type(person("week"))(tmp_path)
        (tmp_path / "bad.py").write_text(head + dedent(text))
        return someone

    return write


def refused(someone: Any, *words: str, code: int) -> str:
    """What the command says, on one line: an exit code, no traceback, and a next step."""
    done = someone.types(*words, code=code)
    said = " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in said
    assert "next:" in said, said
    return said


def failed(someone: Any, *words: str) -> str:
    """What a run says whose other steps get through: the good step is done and stays done."""
    said = refused(someone, "run", *words, code=STEP)
    assert someone.ran(*words, code=STEP)["good"] == "skipped"
    assert not troubles(someone)
    return said


def troubles(someone: Any) -> list[str]:
    """What `doctor --deep` finds, the machine's own ports and disk aside."""
    found = examine(bedplate.open(someone.folder), deep=True)
    return [f.what for f in found if f.level != "ok" and f.area not in ("ports", "disk")]


# The project file


@pytest.mark.bad_input("a misspelt parameter")
def test_a_misspelt_parameter(written: Callable[[str], Any]) -> None:
    """It is caught before anything runs, with file, line and the name that was meant."""
    someone = written(
        """
        @bad.prepare
        def departures() -> pl.DataFrame:
            return pl.DataFrame({"a": [1]})

        @bad.prepare
        def longest(departure: pl.DataFrame) -> pl.DataFrame:
            return departure
        """
    )
    said = refused(someone, "run", code=PROJECT)
    assert "bad.py:17: nothing is called 'departure' did you mean 'departures'?" in said
    assert not (someone.folder / ".bedplate" / "catalog.db").exists()


@pytest.mark.bad_input("a cycle")
def test_a_cycle(written: Callable[[str], Any]) -> None:
    """It is shown step by step, with the ways out."""
    someone = written(
        """
        @bad.prepare
        def first(second: int) -> int:
            return second

        @bad.prepare
        def second(first: int) -> int:
            return first
        """
    )
    assert "a circle: first -> second -> first break it: rename a parameter, or read an earlier version" in refused(
        someone, "run", code=PROJECT
    )


@pytest.mark.bad_input("two artifacts of one name")
def test_two_artifacts_of_one_name(written: Callable[[str], Any]) -> None:
    """Both places are named."""
    said = refused(written("@bad.prepare\ndef good() -> int:\n    return 2\n"), "run", code=PROJECT)
    assert "two functions are called 'good' the other is at line 7: rename one" in said


@pytest.mark.bad_input("a feature view without time")
def test_a_feature_view_without_time(written: Callable[[str], Any]) -> None:
    """Neither without `time=`, nor without the column that it names."""
    undeclared = written('@bad.features(entity="a")\ndef rate() -> pl.DataFrame:\n    return pl.DataFrame({"a": [1]})\n')
    assert 'rate is a feature view without time say when a row holds: time="' in refused(undeclared, "run", code=PROJECT)
    absent = written('@bad.features(entity="a", time="when")\ndef rate() -> pl.DataFrame:\n    return pl.DataFrame({"a": [1]})\n')
    assert "the time column 'when' is not in the frame" in failed(absent)


# What a step reads


@pytest.mark.bad_input("a missing file")
def test_a_missing_file(written: Callable[[str], Any]) -> None:
    """The pattern is named; the file put there, the next run reads it."""
    someone = written(
        '@bad.ingest\ndef rows(source: Files = Files("data/rows.csv")) -> pl.DataFrame:\n    return pl.read_csv(source.path)\n'
    )
    assert "no file matches 'data/rows.csv': put the files there, or change the pattern" in failed(someone)
    (someone.folder / "data").mkdir()
    (someone.folder / "data" / "rows.csv").write_text("a\n1\n")
    assert someone.ran() == {"good": "skipped", "rows": "done"}


@pytest.mark.bad_input("an empty folder")
def test_an_empty_folder(written: Callable[[str], Any]) -> None:
    """An ingest of nothing is a mistake, not an empty table."""
    someone = written('@bad.ingest\ndef rows(source: Files = Files("data")) -> pl.DataFrame:\n    return pl.DataFrame({"a": [1]})\n')
    (someone.folder / "data").mkdir()
    assert "data is empty: put the files there" in failed(someone)
    someone.edits("bad.py", 'Files("data")', 'Files("data/*.csv")')
    assert "no file matches 'data/*.csv'" in failed(someone)


GROWING = """
@bad.ingest
def rows(source: Files = Files("data/*.csv")) -> pl.DataFrame:
    return pl.concat([pl.read_csv(path) for path in source.new()])
"""


@pytest.mark.bad_input("a column that changed type")
def test_a_column_that_changed_type(written: Callable[[str], Any]) -> None:
    """Rows of another type are not appended; where a table is made anew, `diff` names the column and both types."""
    someone = written(GROWING)
    (someone.folder / "data").mkdir()
    (someone.folder / "data" / "one.csv").write_text("id,delay\n1,5\n")
    assert someone.ran()["rows"] == "done"
    (someone.folder / "data" / "two.csv").write_text("id,delay\n2,late\n")
    said = failed(someone)
    assert "delay" in said
    assert someone.reads("sql", "select count(*) as n from rows") == [{"n": 1}]
    someone.edits("bad.py", "source.new()", "source.paths[1:]")
    assert someone.ran()["rows"] == "done"
    differences = str(someone.reads("diff", "rows@1", "rows@2"))
    assert "delay" in differences
    assert "String" in differences


@pytest.mark.bad_input("NaN labels")
def test_labels_that_are_missing(written: Callable[[str], Any]) -> None:
    """They are counted and named before a model is trained on them."""
    someone = written(
        """
        @bad.train
        def late() -> Model:
            rows = pl.DataFrame({"x": [1.0, 2.0, 3.0], "late": [0.0, None, float("nan")]})
            labels = Model.labels(rows["late"])
            raise AssertionError(f"never reached: {labels}")
        """
    )
    said = failed(someone)
    assert "late" in said
    assert "missing" in said
    assert "2" in said


# What a step does


@pytest.mark.bad_input("a step that returns the wrong kind")
@pytest.mark.parametrize(
    ("annotation", "value", "came"),
    [("pl.DataFrame", "3", "int"), ("Model", "None", "nothing (None)"), ("int", "'3'", "str"), ("list[int]", "['3']", "list")],
)
def test_a_step_that_returns_the_wrong_kind(written: Callable[[str], Any], annotation: str, value: str, came: str) -> None:
    """The step, what it declares, what came and where the annotation is."""
    said = failed(written(f"@bad.step\ndef odd() -> {annotation}:\n    return {value}\n"))
    assert f"{came} for 'odd', which is declared " in said
    assert "(bad.py:11)" in said


def test_a_metric_that_is_no_number_is_kept_and_ends_no_run(written: Callable[[str], Any]) -> None:
    """A loss that has become not-a-number or infinite is what a person wants to see."""
    someone = written(
        """
        @bad.step
        def diverges(context: Context) -> float:
            context.metric("loss", float("nan"))
            context.metric("rate", float("inf"))
            context.param("seen", {1, 2})
            return float("-inf")
        """
    )
    assert someone.ran()["diverges"] == "done"
    workspace = bedplate.open(someone.folder)
    metrics = workspace.catalog.runs.metrics(workspace.catalog.artifacts.get("diverges").attempt)
    assert math.isnan(metrics["loss"])
    assert metrics["rate"] == math.inf
    assert workspace["diverges"].load() == -math.inf


@pytest.mark.bad_input("a step that prints 100 MB")
def test_a_step_that_prints_100_megabytes(written: Callable[[str], Any]) -> None:
    """The step gets through; its log keeps the limit's worth and says how much is left out."""
    someone = written("@bad.step\ndef loud() -> int:\n    for _ in range(100):\n        print('x' * 1_000_000)\n    return 2\n")
    assert someone.ran()["loud"] == "done"
    log = someone.types("logs", "loud").stdout
    assert 10_000_000 <= len(log) < 10_100_000
    assert "left out" in log[-300:] or "not kept" in log[-300:], log[-300:]


@pytest.mark.bad_input("a step that forks")
def test_a_step_that_forks(written: Callable[[str], Any]) -> None:
    """What it leaves behind ends with the step, and what a child answers is not taken for the step's."""
    someone = written(
        """
        @bad.step
        def forks() -> int:
            if os.fork() == 0:
                time.sleep(600)
            os.fork()
            return 2
        """
    )
    assert someone.ran()["forks"] == "done"
    assert bedplate.open(someone.folder)["forks"].load() == 2
    left = [p for p in psutil.process_iter() if p.pid != os.getpid() and str(someone.folder) in cwd_of(p)]
    assert not left


def cwd_of(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""


@pytest.mark.bad_input("a step that hangs")
def test_a_step_that_hangs(written: Callable[[str], Any]) -> None:
    """Its time limit ends it, also where it ignores being asked, and its log says where it hung."""
    someone = written(
        """
        @bad.step(time="1 s")
        def hangs() -> int:
            while True:
                time.sleep(600)
        """
    )
    began = time.monotonic()
    assert re.search(r"hangs ran longer than its limit of 1.0 s: raise time= at bad.py:\d+", refused(someone, "run", code=STEP))
    assert time.monotonic() - began < 30
    assert re.search(r"1.0 s: raise time= at bad.py:\d+", someone.types("logs", "hangs").stdout)


@pytest.mark.bad_input("a step that exhausts memory")
def test_a_step_that_exhausts_memory(written: Callable[[str], Any]) -> None:
    """Its memory limit ends it and is named; the machine is spared."""
    someone = written(
        """
        @bad.step(memory="300 MB")
        def grows() -> int:
            kept = []
            while True:
                kept.append(bytearray(20_000_000))
                time.sleep(0.02)
        """
    )
    said = failed(someone)
    assert "grows took" in said
    assert "more than its limit of 300.0 MB" in said


@pytest.mark.bad_input("a step that raises")
@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        ("ValueError('no such day')", "ValueError: no such day"),
        ("ValueError('x' * 50_000_000)", "(50,000,012 characters)"),
        ("ValueError('\\ud800 \\x00 [red]text[/red]')", "[red]text[/red]"),
        ("SystemExit(0)", "SystemExit"),
    ],
    ids=["plain", "huge", "no text", "exit"],
)
def test_a_step_that_raises(written: Callable[[str], Any], raised: str, shown: str) -> None:
    """Its own frame and message, whatever is in it; what needs it is not run, what does not is."""
    someone = written(f"@bad.step\ndef fails() -> int:\n    raise {raised}\n\n@bad.step\ndef after(fails: int) -> int:\n    return fails\n")
    said = failed(someone)
    assert shown in said
    assert "after it needs fails, which did not get through" in said
    assert len(said) < 20_000


@pytest.mark.bad_input("a step that is killed")
@pytest.mark.parametrize(("ending", "shown"), [("os.kill(os.getpid(), 9)", "killed by SIGKILL"), ("os._exit(0)", "exit code 0")])
def test_a_step_that_is_killed(written: Callable[[str], Any], ending: str, shown: str) -> None:
    """A lost worker is tried once more, then the step fails with how it ended."""
    said = failed(written(f"@bad.step\ndef dies() -> int:\n    {ending}\n"))
    assert f"the worker of dies {'was ' if 'killed' in shown else 'ended with '}{shown}" in said
    assert "again in 1.0 s" in said


# Disk and record


@pytest.fixture(scope="module")
def once(person: Callable[..., Any]) -> Any:
    """A person whose project has run once."""
    someone = person("week")
    someone.types("run")
    return someone


@pytest.fixture
def made(once: Any, tmp_path: Path) -> Any:
    """The same, in a folder that a test may spoil."""
    shutil.copytree(once.folder, tmp_path, dirs_exist_ok=True)
    return type(once)(tmp_path)


@pytest.fixture
def mounted() -> Iterator[Callable[..., None]]:
    """Mounts for the time of a test, where this machine lets us."""
    places: list[Path] = []

    def mount(place: Path, *words: str) -> None:
        done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
        if place not in places:
            places.append(place)

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def mended(someone: Any, versions: dict[str, int]) -> None:
    """The same command gets through once the world is well again; what was committed before is there."""
    someone.types("run")
    heads = bedplate.open(someone.folder).catalog.artifacts.heads()
    assert all(heads[name].number >= number for name, number in versions.items())
    assert not troubles(someone)


def numbers(someone: Any) -> dict[str, int]:
    return {name: version.number for name, version in bedplate.open(someone.folder).catalog.artifacts.heads().items()}


@pytest.mark.bad_input("a full disk")
@pytest.mark.parametrize("free", [0, 40_000, 250_000], ids=["at once", "at the first table", "later"])
def test_a_full_disk(person: Callable[..., Any], tmp_path: Path, mounted: Callable[..., None], free: int) -> None:
    """The message names the disk; with room made, the same command goes on and nothing is half there."""
    someone = person("week", tmp_path)
    state = tmp_path / ".bedplate"
    state.mkdir()
    mounted(state, "-t", "tmpfs", "-o", "size=6M", "tmpfs")
    someone.types("run", "flown")
    before = numbers(someone)
    fill = state / "filler"
    with fill.open("wb") as file:
        room = os.statvfs(state)
        file.write(bytes(max(0, room.f_bavail * room.f_frsize - free)))
    done = someone.types("run", code=None)
    said = done.stdout + done.stderr
    assert done.returncode in (STEP, WORLD), said
    assert "disk is full" in said
    assert "next:" in said
    fill.unlink()
    mended(someone, before)


@pytest.mark.bad_input("a read-only folder")
def test_a_read_only_folder(made: Any, mounted: Callable[..., None]) -> None:
    """What would write says that it may not, and where; what was made still reads once the folder is writable."""
    state = made.folder / ".bedplate"
    before = numbers(made)
    made.edits("week.py", "LATE_MINUTES = 15", "LATE_MINUTES = 30")
    mounted(state, "--bind", str(state))
    mounted(state, "-o", "remount,ro,bind")
    said = refused(made, "run", code=WORLD)
    assert ".bedplate/catalog.db" in said
    subprocess.run(["mount", "-o", "remount,rw,bind", str(state)], check=True)
    mended(made, before)


ZSTD = b"\x28\xb5\x2f\xfd"
"""How a compressed page begins: damage that no reader can take for data. A flipped value inside a page is for `doctor --deep` to find."""


@pytest.mark.bad_input("a corrupted blob")
@pytest.mark.parametrize("kind", ["table", "model"])
def test_a_corrupted_blob(made: Any, kind: str) -> None:
    """`doctor --deep` names the version and the command that makes it again; after that command nothing is wrong."""
    name = {"table": "departures", "model": "late"}[kind]
    store = made.folder / ".bedplate" / "store"
    version = bedplate.open(made.folder).catalog.artifacts.get(name)
    file = next((store / version.uri).glob("*.parquet")) if kind == "table" else store / version.uri
    content = bytearray(file.read_bytes())
    content[content.index(ZSTD) if kind == "table" else len(content) // 2] ^= 0xFF
    file.chmod(0o644)
    file.write_bytes(content)
    wrong = [f for f in made.reads("doctor", "--deep", code=WORLD) if f["level"] == "wrong"]
    assert [f["what"].partition(":")[0] for f in wrong] == [f"{name}@1"]
    if kind == "table":
        made.types("cache", "--clear")  # a copy of the rows there would still be right
        assert "corrupt" in refused(made, "step", "late", "--fresh", code=STEP)
    made.types(*wrong[0]["next"].removeprefix("bedplate ").split())
    assert not [f for f in made.reads("doctor", "--deep") if f["level"] == "wrong"]
    assert numbers(made)[name] == 1
    assert set(made.ran().values()) == {"skipped"}


@pytest.mark.bad_input("a truncated database")
@pytest.mark.parametrize("size", [0, 100, 4096, 60_000])
def test_a_truncated_database(made: Any, size: int) -> None:
    """It is refused with its path and the way out; nothing is written over it."""
    database = made.folder / ".bedplate" / "catalog.db"
    os.truncate(database, size)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    said = refused(made, "run", code=WORLD)
    assert ".bedplate/catalog.db" in said
    assert "damaged" in said
    assert database.stat().st_size == size
    assert made.types("doctor", code=WORLD)


@pytest.mark.bad_input("a port in use")
def test_a_port_in_use(made: Any) -> None:
    """The port is named, and how to take another."""
    with serving(made.folder) as server:
        port = server.url.rpartition(":")[2]
        said = refused(made, "serve", "--port", port, code=WORLD)
    assert port in said
    assert "in use" in said


@pytest.mark.parametrize(
    ("needs", "says"),
    [("gpu=99", "needs 99 gpu, this target has 0"), ('memory="900 TB"', "needs 900.0 TB of memory, this target has")],
)
def test_a_step_that_no_machine_here_can_run(written: Callable[[str], Any], needs: str, says: str) -> None:
    """It fails by name at once, and is not run without what it asks for."""
    assert f"greedy {says}" in failed(written(f"@bad.step({needs})\ndef greedy() -> int:\n    return 1\n"))


def test_a_catalog_deleted_under_a_run(written: Callable[[str], Any]) -> None:
    """The run stops and says so, instead of writing on into nothing; its log is not mixed into a new one."""
    someone = written("@bad.step\ndef tidies() -> int:\n    os.unlink('.bedplate/catalog.db')\n    return 1\n")
    assert "was deleted or replaced while it was in use" in refused(someone, "run", code=WORLD)
    someone.edits("bad.py", "os.unlink('.bedplate/catalog.db')", "pass")
    assert "is gone, and its write-ahead log is left" in refused(someone, "run", code=WORLD)
    (someone.folder / ".bedplate" / "catalog.db-wal").unlink()
    assert set(someone.ran().values()) == {"done"}


@pytest.mark.parametrize(("keys", "says"), [("['a', 'b', 'a']", "'keys' has the key 'a' twice"), ("['a', '']", "'keys' has an empty key")])
def test_keys_that_are_no_keys(written: Callable[[str], Any], keys: str, says: str) -> None:
    """A step that runs for each of them is not begun."""
    someone = written(
        f"@bad.prepare\ndef keys() -> list[str]:\n    return {keys}\n\n"
        '@bad.prepare(each="keys")\ndef part(keys: str) -> pl.DataFrame:\n    return pl.DataFrame({"k": [keys]})\n'
    )
    assert says in failed(someone)
