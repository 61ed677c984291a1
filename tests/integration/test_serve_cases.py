"""The HTTP cases of attacks on the port that serves, one by one, by the names that they go by: what is asked, and what may come back.

Whatever is asked, nothing is fetched, nothing is run, nothing of the machine is told, and the next request is answered.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from serve_site import Place, serving_at

CASES = json.loads((Path(__file__).parent / "serving_attacks.json").read_text())
LEAKS = ("Traceback", "site-packages", "0x7f", "root:x:0:0", "shm_region")


class Canary:
    """A server that counts who comes."""

    def __init__(self) -> None:
        self.hits = 0
        canary = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                canary.hits += 1
                self.send_error(404)

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    one = Canary()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("cases"))
    place.fill()
    with serving_at(place):
        yield place


def asked(place: Place, case: dict[str, Any], canary: Canary, dropped: Path) -> tuple[http.client.HTTPResponse, str]:
    """The answer to a case, its bytes sent as they are written."""
    body = case.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    raw = text.replace("CANARY", canary.url).replace("DROP", str(dropped)).encode("latin-1")
    lines = {"Host": place.address, "Connection": "close", "Content-Length": str(len(raw)), **case["headers"]}
    if "Upgrade" in lines:
        lines["Connection"] = "Upgrade, close"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    host, port = place.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{case['method']} {case['path']} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + raw)
        response = http.client.HTTPResponse(connection, method=case["method"])
        response.begin()
        return response, response.read().decode("latin-1")


@pytest.mark.parametrize("case", CASES, ids=[f"{one['id']}: {one['what']}" for one in CASES])
def test_a_case_does_no_harm(place: Place, canary: Canary, tmp_path: Path, case: dict[str, Any]) -> None:
    response, said = asked(place, case, canary, tmp_path / "dropped")
    assert response.status in case["status"]
    told = f"{response.headers}{said}"
    assert not [leak for leak in (*LEAKS, case.get("absent")) if leak and leak in told]
    assert case.get("present", "") in said
    assert response.headers.get("set-cookie") is None
    assert response.headers.get("location") is None
    assert "text/html" not in response.headers.get("content-type", "") or response.status == 200
    assert not (tmp_path / "dropped").exists()
    assert canary.hits == 0
    assert place.ask("/moody", {"mood": "calm"}).status == 200


def test_secrets_of_a_request_reach_no_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """LI-03: headers, query and body of a request that fails are not in the server's log, nor in its answer."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer s3cret-token", "Cookie": "session=s3cret-cookie"}
    answer = place.ask("/moody?token=s3cret-query", {"mood": "angry", "note": "s3cret-body"}, headers=headers)
    assert answer.status == 500
    assert "s3cret" not in caplog.text
    assert b"s3cret" not in answer.body
