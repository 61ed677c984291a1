"""One project file on two targets: SQLite and files here, PostgreSQL, S3 and Redis there, by `--target` alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from real_servers import S3Server, new_postgres
from redis_process import RedisServer

STEPS = {"flown", "departures", "carrier_delay", "late", "good_enough"}


@pytest.fixture
def shared(postgres_url: str, s3_server: S3Server, redis_server: RedisServer) -> str:
    """Settings of a target that nobody has used."""
    schema = f"week_{os.urandom(4).hex()}"
    store = f"s3://{s3_server.bucket()}/team?endpoint={s3_server.endpoint}"
    return f'[target.shared]\ncatalog = "{postgres_url}?schema={schema}"\nstore = "{store}"\nonline = "{redis_server.url}"\n'


def versions(someone: Any, *words: str) -> dict[str, str]:
    return {name: someone.reads("show", name, *words)["version"]["digest"] for name in sorted(STEPS)}


@pytest.mark.slow
def test_equal_versions_by_target_alone(person: Callable[..., Any], shared: str) -> None:
    """The same file, no edits: every artifact has the digest that it has here; a second run there skips all; doctor reads all there."""
    someone = person("week")
    (someone.folder / "bedplate.toml").write_text(shared)
    assert not [tried for tried in someone.reads("target", "test", "shared") if tried["problem"]]
    assert set(someone.ran().values()) == {"done"}
    assert someone.ran("--target", "shared") == dict.fromkeys(STEPS, "done")
    assert set(someone.ran("--target", "shared").values()) == {"skipped"}
    assert versions(someone) == versions(someone, "--target", "shared")
    assert not [f for f in someone.reads("doctor", "--deep", "--target", "shared") if f["level"] == "wrong"]


def test_two_machines_on_one_target_at_once(person: Callable[..., Any], shared: str) -> None:
    """Two folders, as on two machines, share nothing but the target: each step is made once, and a third machine finds all of it."""
    people = [person("week") for _ in range(3)]
    for one in people:
        (one.folder / "bedplate.toml").write_text(f'default_target = "shared"\n{shared}')
    typed = [sys.executable, "-m", "bedplate", "run", "--json"]
    runs = [subprocess.Popen(typed, cwd=one.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for one in people[:2]]
    said = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    ends = [event for out, _ in said for event in map(json.loads, out.splitlines()) if event["kind"] == "step.done"]
    assert Counter(event["step"] for event in ends) == dict.fromkeys(STEPS, 1)
    assert set(people[2].ran().values()) == {"skipped"}
    assert not [f for f in people[2].reads("doctor", "--deep") if f["level"] == "wrong"]


@pytest.mark.slow
def test_f51_the_database_is_killed_in_the_middle_of_a_run(person: Callable[..., Any], s3_server: S3Server) -> None:
    """Twice, for a second each: the run waits, goes on and ends well; each step was made once, and nothing is left open."""
    someone, server = person("week"), new_postgres()
    store = f"s3://{s3_server.bucket()}/team?endpoint={s3_server.endpoint}"
    (someone.folder / "bedplate.toml").write_text(f'catalog = "{server.url}"\nstore = "{store}"\n')
    try:
        server.start()
        typed = [sys.executable, "-m", "bedplate", "run", "--json"]
        with subprocess.Popen(typed, cwd=someone.folder, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            said = []
            for line in run.stdout:
                said.append(json.loads(line))
                if said[-1]["kind"] == "step.started" and said[-1]["step"] in ("flown", "late"):
                    server.kill()
                    time.sleep(1)
                    server.start()
        assert run.returncode == 0
        assert Counter(event["step"] for event in said if event["kind"] == "step.done") == dict.fromkeys(STEPS, 1)
        assert set(someone.ran().values()) == {"skipped"}
        assert not [f for f in someone.reads("doctor", "--deep") if f["level"] == "wrong"]
    finally:
        server.remove()
