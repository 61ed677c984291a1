"""`kill -9` of the server at every write-class system call of an act: what it acknowledged is there, what it did not is whole or absent.

strace is attached to a server that waits, and kills it at the N-th call of one kind that any of its threads makes for the act: N = 1, 2 and
so on, until the act comes through. Then a server is started on what is left: it must answer, take the same act again as a client repeats
it, and have it once; the doctor and the audit log find nothing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from insisting import API, Insisting, Refused
from warm_command import Warm

CALLS = (
    "pwrite64", "fdatasync", "fsync", "write", "rename", "unlink", "ftruncate", "link", "linkat", "mkdir", "chmod", "utimensat",
)  # fmt: skip
"""Every call that changes what is on disk, or tells the client."""
START_MS = 1_760_000_000_000
CONTENT = bytes(range(256)) * 800
METRICS = 120
MANY = 900
STRIDE = 13
"""A checkpoint copies a thousand pages one by one: every so many-th write of it."""
NEARLY = 960 * 4120
"""Bytes of a log that the next large batch has copied into the database: SQLite does it from 1,000 pages on."""
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here: scripts/services unpacks it")


class Base(NamedTuple):
    """A state with a run that goes on, has a model's files, and a registered model with a version; and its token."""

    folder: Path
    token: str
    run: str
    place: str
    source: str


class Act(NamedTuple):
    """One request, what it must have done where it was acknowledged, and whether it is whole or absent where it was not."""

    method: str
    path: str
    body: Callable[[Base], bytes]
    done: Callable[[Insisting, Base, Any], bool]
    whole: Callable[[Insisting, Base], bool]
    before: Callable[[Insisting, Path], None] = lambda _client, _folder: None
    stride: int = 1


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    warm = Warm()
    yield warm
    warm.close()


@pytest.fixture(scope="module")
def base(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("base") / "state"
    folder.mkdir()
    (folder / "kept.py").write_text('from bedplate import Project\n\nproject = Project("kept")\n')
    pid, url, token = warm.up(folder)
    client = Insisting(url, token)
    run = client.new_run(START_MS, "base")
    uri = client.get(f"runs/get?run_id={run}")["run"]["info"]["artifact_uri"]
    made = Base(folder, token, run, f"/api/2.0/mlflow-artifacts/artifacts/{uri.partition(':/')[2].lstrip('/')}", f"{uri}/model")
    client.ask("PUT", f"{made.place}/model/weights.bin", CONTENT, {"Content-Type": "application/octet-stream"})
    client.post("registered-models/create", name="m")
    client.post("model-versions/create", name="m", source=made.source, run_id=run)
    client.close()
    assert ended(warm, pid, signal.SIGTERM) == 0
    return made


def ended(warm: Warm, pid: int, how: signal.Signals) -> int:
    with contextlib.suppress(ProcessLookupError):
        subprocess.run(["kill", f"-{how.value}", str(pid)], check=False, capture_output=True)
    return warm.wait(pid)


def said(**body: Any) -> Callable[[Base], bytes]:
    """A body in JSON; `RUN` and `SOURCE` stand for the base's."""
    return lambda base: json.dumps(body).replace('"RUN"', json.dumps(base.run)).replace('"SOURCE"', json.dumps(base.source)).encode()


def one_run(client: Insisting, _base: Base, said: Any) -> bool:
    found = client.named("struck")
    return len(found) == 1 and found[0]["info"]["run_id"] == said["run"]["info"]["run_id"]


def no_torn_run(client: Insisting, _base: Base) -> bool:
    found = client.named("struck")
    return all({one["key"] for one in run["data"]["tags"]} >= {"a", "b"} and run["info"]["status"] == "RUNNING" for run in found)


def full_log(client: Insisting, folder: Path) -> None:
    """Have the write-ahead log nearly so long that it is copied into the database."""
    run, log, number = client.new_run(START_MS + 1, "before"), folder / ".bedplate" / "catalog.db-wal", 0
    while not log.exists() or log.stat().st_size < NEARLY:
        points = [{"key": f"k{number}.{one}", "value": one, "timestamp": 1} for one in range(40)]
        client.post("runs/log-batch", run_id=run, metrics=points)
        number += 1


def logged(client: Insisting, base: Base) -> tuple[int, int, int]:
    data = client.get(f"runs/get?run_id={base.run}")["run"]["data"]
    tags = [one for one in data.get("tags", []) if one["key"].startswith("t")]
    return len(data.get("metrics", [])), len(data.get("params", [])), len(tags)


def batch(count: int) -> dict[str, Any]:
    """Metrics, params and tags of a batch."""
    return {
        "metrics": [{"key": f"m{number}", "value": number, "timestamp": START_MS, "step": 1} for number in range(count)],
        "params": [{"key": f"p{number}", "value": "x" * 100} for number in range(5)],
        "tags": [{"key": f"t{number}", "value": "y" * 5000} for number in range(3)],
    }


def all_logged(client: Insisting, base: Base, _said: Any) -> bool:
    return logged(client, base) in ((METRICS, 5, 3), (MANY, 5, 3)) and client.history(base.run, "m7") == [(1, 7.0)]


def status(client: Insisting, base: Base) -> str:
    return str(client.get(f"runs/get?run_id={base.run}")["run"]["info"]["status"])


def frozen(client: Insisting, base: Base, _said: Any) -> bool:
    if status(client, base) != "FINISHED":
        return False
    with pytest.raises(Refused):
        client.ask("PUT", f"{base.place}/late.bin", b"late", {"Content-Type": "application/octet-stream"})
    return True


def uploaded(client: Insisting, base: Base) -> bytes | None:
    try:
        found: bytes = client.ask("GET", f"{base.place}/more/data.bin", None)
    except Refused as error:
        if error.status != 404:
            raise
        return None
    return found


def stage(client: Insisting, base: Base) -> str:
    return str(client.get(f"runs/get?run_id={base.run}")["run"]["info"]["lifecycle_stage"])


def versions(client: Insisting) -> list[Any]:
    return sorted((one for one in client.get("model-versions/search").get("model_versions", [])), key=lambda one: int(one["version"]))


def two_versions(client: Insisting, _base: Base, _said: Any) -> bool:
    return [one["version"] for one in versions(client)] == ["1", "2"] and readable(client)


def readable(client: Insisting) -> bool:
    got = [
        client.ask("GET", f"{API}/model-versions/get-artifact?name=m&version={one['version']}&path=weights.bin", None)
        for one in versions(client)
    ]
    return got in ([CONTENT], [CONTENT, CONTENT])


def aliases(client: Insisting) -> dict[str, str]:
    found = client.get("registered-models/get?name=m")["registered_model"].get("aliases", [])
    return {one["alias"]: one["version"] for one in found}


def token_works(client: Insisting, _base: Base, said: Any) -> bool:
    if "token" not in said:
        return False
    told = client.ask("GET", f"{API}/experiments/get?experiment_id=0", None, {"Authorization": f"Bearer {said['token']}"})
    return bool(told["experiment"])


def whole_tokens(client: Insisting, _base: Base) -> bool:
    found = [one for one in client.ask("GET", "/api/bedplate/me/tokens", None)["tokens"] if one["name"] == "struck"]
    return len(found) <= 1


ACTS = {
    "create run": Act(
        "POST", f"{API}/runs/create",
        said(experiment_id="0", start_time=START_MS + 5, run_name="struck", tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]),
        one_run, no_torn_run,
    ),
    "log batch": Act(
        "POST", f"{API}/runs/log-batch",
        said(run_id="RUN", **batch(METRICS)),
        all_logged, lambda client, base: logged(client, base) in ((0, 0, 0), (METRICS, 5, 3)),
    ),
    "log batch, with a checkpoint": Act(
        "POST", f"{API}/runs/log-batch", said(run_id="RUN", **batch(MANY)),
        all_logged, lambda client, base: logged(client, base) in ((0, 0, 0), (MANY, 5, 3)), full_log, STRIDE,
    ),
    "log metric": Act(
        "POST", f"{API}/runs/log-metric", said(run_id="RUN", key="lone", value=1.5, timestamp=START_MS, step=3),
        lambda client, base, _said: client.history(base.run, "lone") == [(3, 1.5)],
        lambda client, base: client.history(base.run, "lone") in ([], [(3, 1.5)]),
    ),
    "delete run": Act(
        "POST", f"{API}/runs/delete", said(run_id="RUN"),
        lambda client, base, _said: stage(client, base) == "deleted", lambda client, base: stage(client, base) in ("active", "deleted"),
    ),
    "end run": Act(
        "POST", f"{API}/runs/update", said(run_id="RUN", status="FINISHED", end_time=START_MS + 9),
        frozen, lambda client, base: status(client, base) in ("RUNNING", "FINISHED"),
    ),
    "upload": Act(
        "PUT", "PLACE/more/data.bin", lambda _base: CONTENT[::-1],
        lambda client, base, _said: uploaded(client, base) == CONTENT[::-1],
        lambda client, base: uploaded(client, base) in (None, CONTENT[::-1]),
    ),
    "register version": Act(
        "POST", f"{API}/model-versions/create", said(name="m", source="SOURCE", run_id="RUN", description="struck"),
        two_versions, lambda client, _base: readable(client),
    ),
    "set alias": Act(
        "POST", f"{API}/registered-models/alias", said(name="m", alias="best", version="1"),
        lambda client, _base, _said: aliases(client).get("best") == "1", lambda client, _base: aliases(client) in ({}, {"best": "1"}),
    ),
    "issue token": Act("POST", "/api/bedplate/me/tokens", said(name="struck"), token_works, whole_tokens),
}  # fmt: skip


def struck(pid: int, call: str, number: int) -> subprocess.Popen[str]:
    """strace, attached to a server: it kills it at its N-th call of that kind in one thread."""
    return injected(pid, call, f"signal=SIGKILL:when={number}")


def injected(pid: int, call: str, what: str) -> subprocess.Popen[str]:
    """strace, attached to a server: what becomes of its calls of that kind."""
    inject = f"inject={call}:{what}"
    words = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject, "-p", str(pid)]
    tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    line = tracer.stderr.readline()
    assert "attached" in line, line
    return tracer


def asked(url: str, base: Base, act: Act) -> Any:
    """The answer to the act, asked once; None where it was not acknowledged."""
    host, _, port = url.partition("://")[2].partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    kind = "application/octet-stream" if act.method == "PUT" else "application/json"
    headers = {"Authorization": f"Bearer {base.token}", "Content-Type": kind}
    try:
        connection.request(act.method, act.path.replace("PLACE", base.place), act.body(base), headers)
        answer = connection.getresponse()
        raw = answer.read()
        assert answer.status == 200, raw
        return json.loads(raw)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def killed_at(warm: Warm, base: Base, folder: Path, act: Act, call: str, number: int) -> bool:
    """Kill at one point, start again, look; False where there was no such point."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base.folder, folder)
    pid, url, _ = warm.up(folder)
    prepared = Insisting(url, base.token)
    act.before(prepared, folder)
    prepared.close()
    tracer = struck(pid, call, number)
    answer = asked(url, base, act)
    died = answer is None or gone(pid)
    if not died:
        tracer.terminate()
    tracer.communicate(timeout=20)
    code = ended(warm, pid, signal.SIGTERM)
    assert code == (-signal.SIGKILL if died else 0)
    left_whole(warm, base, folder, act, answer)
    return died


def gone(pid: int) -> bool:
    """Whether the server died soon after it had answered."""
    time.sleep(0.02)
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(") ")[2][0] in "ZX"


def left_whole(warm: Warm, base: Base, folder: Path, act: Act, answer: Any) -> None:
    """What was acknowledged is there, what was not is whole or absent; asked again, it is there once; and nothing else is wrong."""
    pid, url, _ = warm.up(folder)
    client = Insisting(url, base.token, patience_s=20)
    try:
        if answer is not None:
            assert act.done(client, base, answer), "acknowledged and lost"
        assert act.whole(client, base), "torn"
        if answer is None:
            again = asked(url, base, act)
            assert again is not None
            assert act.done(client, base, again), "asked again, it is not there once"
    finally:
        client.close()
        code = ended(warm, pid, signal.SIGTERM)
    assert code == 0
    code, findings = warm.says(folder, "doctor", "--deep")
    wrong = [one for one in findings if one["level"] != "ok" and one["area"] not in ("ports", "disk", "services")]
    assert (code, wrong) == (0, [])
    assert warm.says(folder, "audit", "verify")[0] == 0


@needs_strace
@pytest.mark.parametrize(
    ("name", "call", "number"),
    [
        ("create run", "fdatasync", 1),
        ("log batch", "pwrite64", 9),
        ("end run", "write", 1),
        ("upload", "rename", 1),
        ("upload", "fsync", 1),
        ("register version", "pwrite64", 20),
        ("set alias", "fdatasync", 1),
        ("issue token", "pwrite64", 3),
    ],
)
@pytest.mark.bad_input("a server that is killed")
def test_killed_at_a_write(warm: Warm, base: Base, tmp_path: Path, name: str, call: str, number: int) -> None:
    """A few of the points of the full matrix."""
    assert killed_at(warm, base, tmp_path / "struck", ACTS[name], call, number)


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("name", list(ACTS))
def test_killed_at_every_write(warm: Warm, base: Base, tmp_path: Path, name: str, record_property: Callable[[str, object], None]) -> None:
    """The first, second, third call of each kind and so on, until there is no further one."""
    points = dict.fromkeys(CALLS, 0)
    for call in CALLS:
        number = 1
        while killed_at(warm, base, tmp_path / "struck", ACTS[name], call, number):
            number += ACTS[name].stride if call == "pwrite64" else 1
            points[call] += 1
    record_property("points", points)
    print(f"{name}: {sum(points.values())} points {points}")
    assert min(points["pwrite64"], points["write"]) > 0, "nothing was written"


@needs_strace
@pytest.mark.parametrize(
    ("call", "error", "number"),
    [("fdatasync", "EIO", 1), ("fdatasync", "EIO", 3), ("pwrite64", "EIO", 1), ("pwrite64", "EIO", 2), ("pwrite64", "ENOSPC", 2)],
)
@pytest.mark.bad_input("a disk that fails")
def test_f03_a_disk_that_fails_once(warm: Warm, base: Base, tmp_path: Path, call: str, error: str, number: int) -> None:
    """The write is answered 503, not acknowledged; what is acknowledged after it outlives a kill: nothing was taken to be on disk.

    The second fdatasync is that of the folder, which SQLite does not wait for.
    """
    folder = tmp_path / "failing"
    shutil.copytree(base.folder, folder)
    pid, url, _ = warm.up(folder)
    client = Insisting(url, base.token, patience_s=20)
    tracer = injected(pid, call, f"error={error}:when={number}")
    for step in range(8):
        client.post("runs/log-metric", run_id=base.run, key="lone", value=step, timestamp=1, step=step)
    tracer.terminate()
    tracer.communicate(timeout=20)
    busy = dict(client.busy)
    client.close()
    assert ended(warm, pid, signal.SIGKILL) == -signal.SIGKILL
    assert set(busy) == {503}
    pid, url, _ = warm.up(folder)
    client = Insisting(url, base.token)
    assert client.history(base.run, "lone") == [(step, float(step)) for step in range(8)]
    client.close()
    assert ended(warm, pid, signal.SIGTERM) == 0
    assert warm.says(folder, "doctor", "--deep")[0] == 0
