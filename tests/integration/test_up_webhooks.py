"""Webhooks over HTTP: made by MLflow's own client, told with a signature, tried again, and never told where they may not be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from mlflow_clients import Client
from trackers import Tracker, tracker

__all__ = ["tracker"]

HOOKS = "/api/2.0/mlflow/webhooks"


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it gets: `/503/N` fails its first N requests, `/302` leads elsewhere."""

    got: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []
    fails: ClassVar[dict[str, int]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        kind, _, times = self.path.strip("/").partition("/")
        left = self.fails.setdefault(self.path, int(times or 0))
        self.fails[self.path] = left - 1
        status = 503 if kind == "503" and left > 0 else 302 if kind == "302" else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/landed")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.got, Receiver.fails = [], {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def up(tracker: Callable[..., Tracker], monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """A server whose site allows loopback to be told."""
    monkeypatch.setenv("BEDPLATE_ALLOW_NETWORKS", "127.0.0.0/8")
    return tracker()


def ask(up: Tracker, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    sent = {"Authorization": f"Bearer {up.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(up.url + path, data, sent, method=method), timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def arrived(path: str, count: int, patience_s: float = 25) -> list[tuple[dict[str, str], bytes]]:
    """The requests at a path, once there are so many."""
    end = time.monotonic() + patience_s
    while True:
        found = [(headers, body) for at, headers, body in list(Receiver.got) if at == path]
        if len(found) >= count:
            return found
        if time.monotonic() > end:
            pytest.fail(f"{len(found)} of {count} at {path}")
        time.sleep(0.1)


def is_signed(secret: bytes, headers: dict[str, str], body: bytes, prefix: str) -> bool:
    names = ("delivery-id", "timestamp", "signature") if prefix == "x-mlflow-" else ("id", "timestamp", "signature")
    key, at, signature = (headers[prefix + name] for name in names)
    digest = hmac.new(secret, f"{key}.{at}.".encode() + body, hashlib.sha256).digest()
    return signature == f"v1,{base64.b64encode(digest).decode()}"


def test_the_client_makes_tries_changes_and_deletes_a_webhook(up: Tracker, receiver: str) -> None:
    """Proves that MLflow's own client manages webhooks, and that what they are told is in its form and signed as it verifies."""
    told = Client("mlflow-3").says("hooks", up.url, up.token, receiver)
    assert told["made"] == ["late", "ACTIVE", [["registered_model", "created"], ["model_version_alias", "created"]]]
    assert (told["tried"], told["listed"], told["changed"], told["after"]) == ([True, 200], ["late"], ["later", "DISABLED"], [])
    _, *real = [json.loads(body) for _, body in arrived("/mlflow", 3)]
    bodies = {(one["entity"], one["action"]): one["data"] for one in real}
    assert bodies == {
        ("registered_model", "created"): {"name": "m", "tags": {"a": "b"}, "description": "said"},
        ("model_version_alias", "created"): {"name": "m", "alias": "champion", "version": "1"},
    }
    assert all(is_signed(b"s3cret", headers, body, "x-mlflow-") for headers, body in arrived("/mlflow", 3))


def test_a_receiver_that_fails_is_told_again_after_a_restart_of_the_server(up: Tracker, receiver: str) -> None:
    """Proves that a delivery outlives the server, keeps its number, and ends with the first 2xx."""
    hook = {"name": "w", "url": f"{receiver}/503/1", "events": ["run.finished"], "secret": "whsec_" + base64.b64encode(b"key").decode()}
    assert ask(up, "POST", HOOKS, hook)[0] == 200
    run = ask(up, "POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": 1})[1]["run"]["info"]["run_id"]
    assert ask(up, "POST", "/api/2.0/mlflow/runs/update", {"run_id": run, "status": "FINISHED", "end_time": 2})[0] == 200
    arrived("/503/1", 1)
    time.sleep(0.5)
    up.kill()
    up.start()
    (first, body), (second, again) = arrived("/503/1", 2)
    assert (first["webhook-id"], body) == (second["webhook-id"], again)
    assert is_signed(b"key", second, again, "webhook-")
    assert json.loads(body)["data"] == {"run_id": run, "status": "FINISHED"}
    assert second["content-type"].startswith("application/cloudevents+json")
    time.sleep(2)
    assert len(arrived("/503/1", 2)) == 2


def test_a_redirect_is_not_followed(up: Tracker, receiver: str) -> None:
    """Proves that what is told stays with the address that was allowed."""
    made = ask(up, "POST", HOOKS, {"name": "w", "url": f"{receiver}/302", "events": ["run.finished"]})[1]["webhook"]
    result = ask(up, "POST", f"{HOOKS}/{made['webhook_id']}/test", {})[1]["result"]
    assert (result["success"], result["response_status"]) == (False, 302)
    assert {path for path, _, _ in Receiver.got} == {"/302"}


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[::1]/", "http://[::ffff:169.254.169.254]/",
        "http://2130706433/", "http://0x7f.1/", "http://localhost:1/", "file:///etc/passwd", "gopher://x/", "http://me:mine@a.example/",
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_reached_is_refused_when_it_is_named(url: str, tracker: Callable[..., Tracker]) -> None:
    """Proves SR-02: no spelling of an address of this machine, its neighbours or a cloud's metadata becomes a webhook."""
    up = tracker()
    status, said = ask(up, "POST", HOOKS, {"name": "w", "url": url, "events": ["run.finished"]})
    assert (status, said["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_name_that_leads_to_this_machine_is_refused_when_it_is_told(tracker: Callable[..., Tracker], receiver: str) -> None:
    """Proves that a name is judged by the address that is connected to, at every try: a name that changes reaches nothing."""
    up = tracker()
    port = receiver.rpartition(":")[2]
    made = ask(up, "POST", HOOKS, {"name": "w", "url": f"http://{Path('/etc/hostname').read_text().strip()}:{port}/", "events": ["*"]})
    result = ask(up, "POST", f"{HOOKS}/{made[1]['webhook']['webhook_id']}/test", {})[1]["result"]
    assert (result["success"], Receiver.got) == (False, [])
    assert result["error_message"]
