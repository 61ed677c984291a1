"""The gate against what was found in others' servers: requests smuggled, names rebound, methods and paths that dodge, bodies that bite.

Each case goes over a real socket to a real server; a control that is taken out turns one of these red.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from up_site import API, Line, Up, in_thread

from bedplate.interfaces.http.door.endpoint import MOST_OPEN
from bedplate.interfaces.http.door.login import BACK
from bedplate.interfaces.http.door.routes import served_under
from bedplate.interfaces.http.up.table import ANSWERED, endpoints

SEARCH = f"{API}/experiments/search"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("attacked")) as server:
        yield server


def host_of(up: Up) -> bytes:
    return up.url.partition("://")[2].encode()


def test_requests_that_two_readers_read_in_two_ways_are_refused_once(up: Up) -> None:
    """A length and chunks, two lengths, chunks by another name, bare line feeds, folded headers: one 400, and nothing after it."""
    host = b"Host: " + host_of(up) + b"\r\n"
    start = b"POST " + SEARCH.encode() + b" HTTP/1.1\r\n" + host
    after = b"GET /smuggled HTTP/1.1\r\n" + host + b"\r\n"
    for ambiguous in (
        start + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + after,
        start + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + after,
        start + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde" + after,
        start + b"Content-Length: +4\r\n\r\nabcd" + after,
        start + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + after,
        start + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + after,
        start + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + after,
        start + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + after,
        start + b"X: a\r\n folded\r\n\r\n" + after,
        start + b"X: a\0b\r\n\r\n" + after,
        b"POST " + SEARCH.encode() + b" HTTP/1.1\n" + host + b"\n" + after,
        b"GET /health HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n" + after,
        b"GET /health HTTP/1.1\r\n\r\n" + after,
        b"GET http://evil.example/health HTTP/1.1\r\n" + host + b"\r\n" + after,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + after,
    ):
        answered = up.raw(ambiguous)
        assert answered.startswith(b"HTTP/1.1 400 "), ambiguous
        assert answered.count(b"HTTP/1.1 ") == 1, ambiguous


def test_what_comes_after_a_body_is_no_header(up: Up) -> None:
    """A trailer gives no identity, no host, no type and no length: a proxy that judged the head was not asked about it."""
    head = b"POST " + SEARCH.encode() + b" HTTP/1.1\r\nHost: " + host_of(up) + b"\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    token = b"Authorization: Bearer " + up.token.encode() + b"\r\n"
    body = b'\r\n11\r\n{"max_results":1}\r\n0\r\n'
    kind = b"Content-Type: application/json\r\n"
    assert up.raw(head + token + kind + body + b"\r\n").startswith(b"HTTP/1.1 200")
    assert up.raw(head + token + kind + body + b"Host: evil.example\r\nOrigin: http://evil.example\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert up.raw(head + kind + body + token + b"\r\n").startswith(b"HTTP/1.1 401")
    assert up.raw(head + token + body + kind + b"\r\n").startswith(b"HTTP/1.1 415")


def test_another_name_of_the_host_is_refused_on_every_method(up: Up) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for path in ("/health", SEARCH, "/login", "/nowhere"):
            answer = up.ask(method, path, headers={"Host": f"evil.example:{up.url.rpartition(':')[2]}"})
            assert answer.status == 421, (method, path)


def test_requests_from_another_site_change_nothing(up: Up) -> None:
    """With every credential: what a browser adds by itself says that another page asked."""
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    for method in ("POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"):
        assert up.ask(method, f"{API}/experiments/create", {"name": "forged"}, foreign).status == 403, method
    plain = up.ask("POST", f"{API}/experiments/create", b'{"name": "forged"}', {"Content-Type": "text/plain"})
    assert plain.status == 415
    form = up.ask("POST", f"{API}/experiments/create", b"name=forged", {"Content-Type": "application/x-www-form-urlencoded"})
    assert form.status == 415
    assert up.ask("GET", f"{API}/experiments/get-by-name?experiment_name=forged").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", SEARCH),
        ("POST", SEARCH.replace("/api/", "/ajax-api/")),
        ("POST", "/" + SEARCH),
        ("POST", SEARCH + "/"),
        ("POST", SEARCH.upper()),
        ("POST", "/static/.." + SEARCH),
        ("POST", "/health/.." + SEARCH),
        ("POST", SEARCH + "%20"),
        ("POST", SEARCH + ";/health"),
        ("POST", SEARCH + "?/health"),
        ("POST", SEARCH + "%00"),
        ("POST", SEARCH.replace("/mlflow/", "/mlflow/%2e/")),
        ("POST", SEARCH.replace("/mlflow/", "/mlflow%2f")),
        ("GET", "/health/"),
        ("GET", "/healthz"),
        ("GET", "/x/health"),
        ("GET", "/HEALTH"),
        ("POST", "/health"),
        ("HEAD", f"{API}/runs/get?run_id=x"),
        ("OPTIONS", SEARCH),
        ("PATCH", SEARCH),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("POST", "/v1/traces"),
        ("POST", "/graphql"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/api/jobs/"),
        ("GET", "/services/docs"),
    ],
)
def test_without_a_token_no_spelling_of_a_path_is_answered(up: Up, method: str, path: str) -> None:
    """No suffix, prefix, case or encoding leads past the gate, and nobody learns which paths there are."""
    answer = up.nobody(method, path, headers={"X-HTTP-Method-Override": "GET", "X-Original-URL": "/health"})
    assert answer.status == 401, path


def test_headers_of_proxies_give_no_identity(up: Up) -> None:
    forged = {
        "X-Forwarded-User": "admin", "X-Forwarded-For": "127.0.0.1", "X-Remote-User": "admin", "Kubeflow-Userid": "admin@x",
        "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1;host=localhost",
    }  # fmt: skip
    assert up.nobody("POST", SEARCH, {"max_results": 1}, forged).status == 401


@pytest.mark.parametrize(
    "said", ["Bearer", "Bearer ", "Bearer x", "Bearer null", "Basic", "Basic !!!", "Basic YWRtaW46", "Basic OnB3", "Negotiate x"]
)
def test_what_is_no_credential_is_nobody(up: Up, said: str) -> None:
    assert up.nobody("POST", SEARCH, {"max_results": 1}, {"Authorization": said}).status == 401


def test_a_handshake_of_a_websocket_is_a_request_like_others(up: Up) -> None:
    shake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert up.nobody("GET", "/api/events/in", headers=shake).status == 401
    assert up.ask("GET", "/api/events/in", headers={**shake, "Origin": "https://evil.example"}).status == 403


def test_a_compressed_body_is_not_unpacked(up: Up) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    before = psutil.Process().memory_info().rss
    assert up.ask("POST", f"{API}/runs/search", bomb, headers).status == 415
    assert psutil.Process().memory_info().rss - before < 32 << 20


def test_a_body_has_a_limit_whatever_it_says_of_its_length(up: Up) -> None:
    large = b'{"name": "' + b"x" * 17_000_000 + b'"}'
    assert up.ask("POST", f"{API}/experiments/create", large, {"Content-Type": "application/json"}).status == 413
    host = b"Host: " + host_of(up) + b"\r\nAuthorization: Bearer " + up.token.encode() + b"\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    chunked = b"POST " + SEARCH.encode() + b" HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 18 + b"0\r\n\r\n"
    assert up.raw(chunked).startswith(b"HTTP/1.1 413 ")
    said = b"POST " + SEARCH.encode() + b" HTTP/1.1\r\n" + host + b"Content-Length: 99999999999\r\n\r\n"
    assert up.raw(said).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"max_results": ' + b"9" * 100_000 + b"}"])
def test_json_that_is_too_deep_or_too_long_a_number_is_refused_at_once(up: Up, body: bytes) -> None:
    started = time.monotonic()
    assert up.ask("POST", SEARCH, body, {"Content-Type": "application/json"}).status == 400
    assert time.monotonic() - started < 2


def test_heads_have_limits(up: Up) -> None:
    """Many headers, long ones, a long target, and a type with thousands of options: refused or read, in no time."""
    start = b"GET /health HTTP/1.1\r\nHost: " + host_of(up) + b"\r\n"
    started = time.monotonic()
    assert up.raw(start + b"X-A: b\r\n" * 1000 + b"\r\n").startswith(b"HTTP/1.1 431 ")
    assert up.raw(start + b"X-A: " + b"b" * 200_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    assert up.raw(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 4")
    options = {"Content-Type": 'application/x-www-form-urlencoded; !="' + '\\"' * 20_000 + "x"}
    assert up.ask("POST", SEARCH, b"a=b", options).status == 415
    assert time.monotonic() - started < 5


def test_errors_tell_nothing_of_the_machine_and_nothing_raw(up: Up) -> None:
    """No traceback, path, address or version; and what was sent does not come back as markup."""
    for method, path, body, headers in (
        ("POST", f"{API}/runs/log-batch", b"{", {"Content-Type": "application/json"}),
        ("POST", f"{API}/runs/log-batch", b"\xff", {"Content-Type": "application/json"}),
        ("POST", f"{API}/experiments/create", b"x", {"Content-Type": "<script>alert(1)</script>"}),
        ("GET", f"{API}/runs/get?run_id=%3Csvg%20onload=alert(1)%3E", None, {}),
        ("GET", "/%3Cscript%3E", None, {}),
        ("GET", f"{API}/runs/get?run_id=%00", None, {}),
        ("GET", f"{API}/runs/get", None, {}),
    ):
        answer = up.ask(method, path, body, headers)
        text = answer.body.decode()
        assert 400 <= answer.status < 500, (path, answer)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not any(word in text for word in ("Traceback", "site-packages", "0x7f", "/home/", "<script", "<svg", ".py")), text
        assert "server" not in answer.headers
        assert "error_code" in json.loads(text)


def test_a_flood_of_large_bodies_is_held_off_and_others_are_answered(up: Up) -> None:
    """Sixteen bodies of 15 MB at once: what finds no room is told to come again, and memory stays within what is in flight."""
    body = b'{"filter": "' + b"x" * 15_000_000 + b'"}'
    statuses: list[int] = []
    process = psutil.Process()
    before, slowest = process.memory_info().rss, 0.0

    def send() -> None:
        try:
            statuses.append(up.ask("POST", SEARCH, body, {"Content-Type": "application/json"}).status)
        except OSError:
            statuses.append(0)

    clients = [threading.Thread(target=send) for _ in range(16)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        started = time.monotonic()
        assert up.nobody("GET", "/health").status == 200
        slowest = max(slowest, time.monotonic() - started)
        time.sleep(0.02)
    assert set(statuses) <= {400, 503, 0}
    assert slowest < 2
    assert process.memory_info().rss - before < 400 << 20


def test_every_endpoint_is_closed_and_the_open_ones_are_in_the_docs(up: Up) -> None:
    """Each row of the table, under each path that it has, by each method: nobody without a token is answered."""
    table = endpoints()
    with Line(up.url) as nobody:
        for endpoint in table:
            for path in served_under(endpoint.path):
                plain = re.sub(r"\{[^}]*\}", "x", path)
                for method in {endpoint.method, "GET", "HEAD", "POST", "DELETE"}:
                    assert nobody.ask(method, plain).status == 401, (method, plain)
    said = (Path(__file__).parents[2] / "docs" / "reference" / "up.md").read_text()
    listed = set(re.findall(r"`(GET|POST) (/[a-z/]+)`", said.partition("## Open routes")[2].partition("\n## ")[0]))
    closed = {("GET", "/metrics")}
    opened = {(method, path) for method, path in listed - closed if up.nobody(method, path).status not in (401, 404)}
    configured_only = {("GET", "/login/oidc"), ("GET", BACK)}
    assert opened | configured_only == listed - closed
    assert set(ANSWERED) <= opened
    assert len(listed - closed) <= MOST_OPEN
