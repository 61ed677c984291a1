"""A backup is taken while work goes on, and brought back on an empty machine: equal digests, and doctor finds nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_servers import S3Server

STEPS = {"flown", "departures", "carrier_delay", "late", "good_enough"}


def digests(someone: Any) -> dict[str, str]:
    rows = someone.reads("sql", "select artifact || '@' || number as ref, digest from versions order by ref")
    return {row["ref"]: row["digest"] for row in rows}


def assert_clean(someone: Any) -> None:
    assert not [f for f in someone.reads("doctor", "--deep") if f["level"] == "wrong"]


def test_a_backup_of_files_is_restored_elsewhere(person: Callable[..., Any], tmp_path: Path) -> None:
    """On an empty machine: every version has its digest, the next run skips all; a second backup copies only what is new."""
    someone, other = person("week"), person("week")
    someone.ran()
    someone.types("promote", "late@1", "--alias", "mine")
    first = someone.reads("backup", str(tmp_path / "kept"))
    again = someone.reads("backup", str(tmp_path / "kept"))
    assert (first["gone"], again["objects"], again["copied"]) == ([], first["objects"], 0)
    other.types("restore", str(tmp_path / "kept"))
    assert digests(other) == digests(someone)
    assert set(other.ran().values()) == {"skipped"}
    assert_clean(other)
    refused = other.types("restore", str(tmp_path / "kept"), code=5)
    assert "there is a record" in refused.stderr


@pytest.mark.slow
def test_from_files_to_postgres_and_s3_and_back(person: Callable[..., Any], tmp_path: Path, postgres_url: str, s3_server: S3Server) -> None:
    """A backup knows no engine: a project moves to a database and a bucket, goes on there, and moves back through another bucket."""
    here, there, back = (person("week") for _ in range(3))
    here.ran()
    here.types("backup", str(tmp_path / "kept"))
    store = f"s3://{s3_server.bucket()}/team?endpoint={s3_server.endpoint}"
    target = f'[target.shared]\ncatalog = "{postgres_url}?schema=b{os.urandom(4).hex()}"\nstore = "{store}"\n'
    (there.folder / "bedplate.toml").write_text(f'default_target = "shared"\n{target}')
    there.types("restore", str(tmp_path / "kept"))
    assert set(there.ran().values()) == {"skipped"}
    assert "done" in there.ran("--fresh").values()
    assert_clean(there)
    away = f"s3://{s3_server.bucket()}/kept?endpoint={s3_server.endpoint}"
    there.types("backup", away)
    back.types("restore", away)
    assert digests(back) == digests(there) == digests(here)
    assert_clean(back)


@pytest.mark.slow
def test_f72_a_backup_while_work_goes_on(person: Callable[..., Any], tmp_path: Path) -> None:
    """Backups in the middle of runs that make everything anew: each is one moment, whole, and restores clean."""
    someone = person("week")
    someone.ran()
    typed = [sys.executable, "-m", "bedplate", "run", "--fresh", "--json"]
    with subprocess.Popen(typed, cwd=someone.folder, stdout=subprocess.PIPE, text=True) as run:
        made = [someone.reads("backup", str(tmp_path / f"kept{number}")) for number in range(2)]
        run.communicate(timeout=120)
    for number, one in enumerate(made):
        assert one["gone"] == []
        other = person("week")
        other.types("restore", str(tmp_path / f"kept{number}"))
        assert_clean(other)
        assert set(digests(other).items()) <= set(digests(someone).items())


def test_a_restore_that_is_killed_is_asked_for_again(person: Callable[..., Any], tmp_path: Path) -> None:
    """SIGKILL at several moments: there is no record yet, or all of it; in the end all is there, and clean."""
    someone, other = person("week"), person("week")
    someone.ran()
    someone.types("backup", str(tmp_path / "kept"))
    for moment_s in (0.3, 0.5, 0.6, 0.7, 0.8):
        process = subprocess.Popen([sys.executable, "-m", "bedplate", "restore", str(tmp_path / "kept")], cwd=other.folder)
        time.sleep(moment_s)
        process.kill()
        process.wait()
        assert len(other.reads("status")["artifacts"]) in (0, len(STEPS))
    if not other.reads("status")["artifacts"]:
        other.types("restore", str(tmp_path / "kept"))
    assert digests(other) == digests(someone)
    assert_clean(other)


@pytest.mark.bad_input("a backup that is broken or not there")
def test_what_is_no_backup(person: Callable[..., Any], tmp_path: Path) -> None:
    """Nothing is made here before the backup is seen to be whole."""
    someone, other = person("week"), person("week")
    assert "there is no backup" in other.types("restore", str(tmp_path / "nothing"), code=2).stderr
    someone.ran()
    made = someone.reads("backup", str(tmp_path / "kept"))
    record = tmp_path / "kept" / made["record"]
    whole = record.read_bytes()
    record.write_bytes(whole[:-20])
    assert "is corrupt" in other.types("restore", str(tmp_path / "kept"), code=4).stderr
    blob = next(path for path in (tmp_path / "kept" / "blobs").rglob("*") if path.is_file())
    someone.types("backup", str(tmp_path / "kept"))
    blob.chmod(0o644)
    blob.write_bytes(bytes(blob.stat().st_size))
    assert "is corrupt" in other.types("restore", str(tmp_path / "kept"), code=4).stderr
    assert json.loads(other.types("status", "--json").stdout)["artifacts"] == {}
    with (tmp_path / "kept" / made["listed"]).open("r+b") as listed:
        listed.truncate(listed.read().index(b"\n") + 1)
    (tmp_path / "kept" / "backup.json").write_text(json.dumps(made))
    record.write_bytes(whole)
    assert "lists other objects" in other.types("restore", str(tmp_path / "kept"), code=4).stderr
    (tmp_path / "kept" / "backup.json").write_text("{")
    assert "is not that of a backup" in other.types("restore", str(tmp_path / "kept"), code=4).stderr
    assert "is not that of a backup" in someone.types("backup", str(tmp_path / "kept"), code=4).stderr
    assert json.loads(other.types("status", "--json").stdout)["artifacts"] == {}


@pytest.mark.bad_input("a backup that is broken or not there")
def test_where_a_backup_may_not_lie(person: Callable[..., Any], tmp_path: Path) -> None:
    """In the store itself, at no address, or where another project has its own: refused, and what was there stays."""
    someone, other = person("week"), person("week")
    someone.ran()
    assert "is the store itself" in someone.types("backup", ".bedplate/store", code=5).stderr
    assert "is empty" in someone.types("backup", "", code=2).stderr
    made = someone.reads("backup", str(tmp_path / "kept"))
    file = next(other.folder.glob("*.py"))
    file.write_text(file.read_text().replace('Project("', 'Project("another_', 1))
    other.types("run")
    assert "would take their place" in other.types("backup", str(tmp_path / "kept"), code=5).stderr
    assert json.loads((tmp_path / "kept" / "backup.json").read_bytes())["record"] == made["record"]


@pytest.mark.bad_input("a backup that is broken or not there")
def test_a_backup_of_another_project_is_refused(person: Callable[..., Any], tmp_path: Path) -> None:
    """By the name in the project file, which is read and not run; nothing is made here, and its own is restored after."""
    someone, other = person("week"), person("week")
    someone.ran()
    someone.types("backup", str(tmp_path / "kept"))
    file = next(other.folder.glob("*.py"))
    own = file.read_text()
    file.write_text("import nowhere_at_all\n" + own.replace('Project("week"', 'Project("month"', 1))
    refused = other.types("restore", str(tmp_path / "kept"), code=5)
    assert "is of project 'week'" in refused.stderr
    assert "'month'" in refused.stderr
    assert not (other.folder / ".bedplate").exists()
    file.write_text(own)
    other.types("restore", str(tmp_path / "kept"))
    assert digests(other) == digests(someone)
