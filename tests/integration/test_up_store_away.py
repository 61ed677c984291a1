"""A store that is away or slow: what has to be read there is read before the write, so that nobody's write waits for it."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import S3Server
from tcp_proxy import TcpProxy
from up_site import API, Answer, Up, in_thread

from bedplate.core.errors import StoreError
from bedplate.storage.store import Store

BYTES = {"Content-Type": "application/octet-stream"}
MLMODEL = b"flavors:\n  python_function:\n    loader_module: x\n"
MODEL = "late"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with in_thread(tmp_path) as server:
        assert server.ask("POST", f"{API}/registered-models/create", {"name": MODEL}).status == 200
        yield server


class Away:
    """A store whose descriptions of models do not come until it is let go; `read` is set once somebody waits for one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read, self.back = threading.Event(), threading.Event()
        adopt = Store.adopt

        def slow(store: Store, *asked: Any) -> Any:
            self.read.set()
            assert self.back.wait(30)
            return adopt(store, *asked)

        monkeypatch.setattr(Store, "adopt", slow)


def sent(up: Up) -> str:
    """A run with a model's files."""
    with up.line() as line:
        run = line.new_run()
    put(up, run, "MLmodel", MLMODEL)
    return run


def put(up: Up, run: str, name: str, content: bytes) -> None:
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/m/{name}"
    assert up.ask("PUT", path, content, BYTES).status == 200


def register(up: Up, run: str) -> Answer:
    return up.ask("POST", f"{API}/model-versions/create", {"name": MODEL, "source": f"runs:/{run}/m", "run_id": run})


def begun(up: Up, run: str, answers: list[Answer]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(register(up, run)))
    thread.start()
    return thread


def slowest_of(up: Up, run: str, points: int) -> float:
    """Log so many points; the seconds that the slowest took."""
    spent = []
    with up.line() as line:
        for step in range(points):
            started = time.monotonic()
            said = line.ask("POST", f"{API}/runs/log-metric", {"run_id": run, "key": "loss", "value": 0.5, "timestamp": 1, "step": step})
            spent.append(time.monotonic() - started)
            assert said.status == 200
    return max(spent)


@pytest.mark.bad_input("a bucket that is away")
def test_a_store_that_hangs_holds_up_no_other_write(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a version waits for its description, a hundred points are logged, none of them slowly; then the version is there."""
    run, answers, away = sent(up), list[Answer](), Away(monkeypatch)
    waits = begun(up, run, answers)
    assert away.read.wait(10)
    assert slowest_of(up, run, 100) < 5
    assert not answers, "nothing is registered that was not read"
    away.back.set()
    waits.join(30)
    assert [(one.status, one.json["model_version"]["version"]) for one in answers] == [(200, "1")]


def test_a_bucket_that_says_nothing_holds_up_no_other_write(tmp_path: Path, s3_server: S3Server) -> None:
    """With no copy here of what must be read, and the network to the bucket stalled: points go on, the version comes with the network."""
    way = TcpProxy(s3_server.port)
    try:
        with in_thread(tmp_path, settings={"store": f"s3://{s3_server.bucket()}/t?endpoint={way.endpoint}"}) as up:
            assert up.ask("POST", f"{API}/registered-models/create", {"name": MODEL}).status == 200
            run, answers = sent(up), list[Answer]()
            shutil.rmtree(tmp_path / ".bedplate" / "copies")
            way.tell(stalls="both")
            waits = begun(up, run, answers)
            assert slowest_of(up, run, 50) < 2
            way.tell()
            waits.join(60)
            assert [one.status for one in answers] in ([200], [503])
            assert register(up, run).status == 200
    finally:
        way.close()


@pytest.mark.bad_input("a bucket that is away")
def test_what_cannot_be_read_is_told_and_registers_nothing(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with when to come again; once the store is back, the same request makes version 1."""
    run = sent(up)

    def gone(_store: Store, *_asked: Any) -> Any:
        raise StoreError("the bucket does not answer")

    with monkeypatch.context() as harmed:
        harmed.setattr(Store, "adopt", gone)
        refused = register(up, run)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    made = register(up, run)
    assert made.json["model_version"]["version"] == "1"


def test_files_that_change_while_they_are_read_are_asked_for_again(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is what is registered: with another file beside it meanwhile, nothing is, until it is sent again."""
    run, answers, away = sent(up), list[Answer](), Away(monkeypatch)
    waits = begun(up, run, answers)
    assert away.read.wait(10)
    put(up, run, "more.bin", b"more")
    away.back.set()
    waits.join(30)
    assert [one.status for one in answers] == [503]
    assert register(up, run).json["model_version"]["version"] == "1"


def test_who_may_not_write_has_nothing_read(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permission is decided before anything is fetched: for nobody, for who has no grant, for a model that is not there."""
    run, away = sent(up), Away(monkeypatch)
    assert up.ask("POST", "/api/bedplate/accounts", {"name": "ann"}).status == 200
    now, bits = up.catalog.database.clock.now(), random.SystemRandom().getrandbits
    token = up.catalog.credentials.add_token("ann", "test", now, bits).text
    body = {"name": MODEL, "source": f"runs:/{run}/m"}
    assert up.nobody("POST", f"{API}/model-versions/create", body).status == 401
    assert register(up._replace(token=token), run).status == 404
    assert up.ask("POST", f"{API}/model-versions/create", {**body, "name": "none"}).status == 404
    assert not away.read.is_set()
