"""The outgoing client against a server of the loopback interface, which only a setting lets it reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpcore
import pytest

from bedplate.core.clock import SystemClock
from bedplate.core.errors import Refused, UserError, WorldError
from bedplate.network.backends import reach as reaching
from bedplate.network.backends.client import Client, Limits, found
from bedplate.network.guard import networks

ENOUGH = Limits(1_000_000, 20.0)
HERE = networks("127.0.0.0/8")


class Site:
    """A server whose answers a test writes; `asked` keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answers: Callable[[BaseHTTPRequestHandler], None] = lambda handler: say(handler, 200, b"hello")
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
                site.answers(self)

            do_HEAD = do_GET

            def log_message(self, *_: Any) -> None:
                """Nothing on the terminal."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


def fetch(client: Client, url: str, limits: Limits = ENOUGH, token: str = "") -> bytes:
    with client.ask("GET", url, limits, token) as answer:
        return b"".join(found(url, answer).body)


def test_an_address_of_this_machine_is_not_reached_unless_the_site_allows_it(site: Site) -> None:
    with pytest.raises(Refused, match="not fetched from"):
        fetch(Client(SystemClock()), site.url)
    assert site.asked == []
    assert fetch(Client(SystemClock(), HERE), site.url) == b"hello"


def test_a_name_that_resolves_to_this_machine_is_not_reached(site: Site) -> None:
    with pytest.raises(Refused, match="localhost is not fetched from"):
        fetch(Client(SystemClock()), site.url.replace("127.0.0.1", "localhost"))
    assert site.asked == []


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers a public address first and this machine afterwards gets one question, and never a connection here."""
    answers = iter([["203.0.113.9"], ["127.0.0.1"]])
    monkeypatch.setattr(reaching, "_addresses", lambda host, port: next(answers))
    reached: list[str] = []

    def connect(self: Any, host: str, *_: Any, **__: Any) -> Any:
        reached.append(host)
        raise httpcore.ConnectError("unreachable")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(WorldError):
        fetch(Client(SystemClock(), networks("203.0.113.0/24")), f"http://rebind.test:{site.server.server_port}/")
    assert reached == ["203.0.113.9"]


def test_each_hop_of_a_redirect_is_checked(site: Site) -> None:
    site.answers = lambda handler: say(handler, 302, Location="http://169.254.169.254/latest/meta-data/")
    with pytest.raises(Refused, match=r"169\.254\.169\.254"):
        fetch(Client(SystemClock(), HERE), site.url)


def test_a_circle_of_redirects_ends(site: Site) -> None:
    site.answers = lambda handler: say(handler, 302, Location="/again")
    with pytest.raises(WorldError, match="without end"):
        fetch(Client(SystemClock(), HERE), site.url)
    assert len(site.asked) == 6


def test_a_token_goes_to_its_own_origin_only(site: Site) -> None:
    other = Site()
    site.answers = lambda handler: say(handler, 302, Location=f"{other.url}/x")
    assert fetch(Client(SystemClock(), HERE), site.url, token="secret") == b"hello"
    other.server.shutdown()
    other.server.server_close()
    assert site.asked[0][2] == "Bearer secret"
    assert other.asked[0][2] == ""


def test_a_body_larger_than_allowed_is_not_read(site: Site) -> None:
    """Whether its length is told beforehand or not."""
    site.answers = lambda handler: say(handler, 200, b"x" * 5_000)
    with pytest.raises(UserError, match="more than the 1,000 bytes"):
        fetch(Client(SystemClock(), HERE), site.url, Limits(1_000, 20.0))

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x" * 5_000)

    site.answers = endless
    with pytest.raises(UserError, match="more than the 1,000 bytes"):
        fetch(Client(SystemClock(), HERE), site.url, Limits(1_000, 20.0))


def test_an_answer_that_drips_is_given_up(site: Site) -> None:
    """No single read is slow, all of them are."""

    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b"x")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    site.answers = drips
    with pytest.raises(WorldError, match="longer than"):
        fetch(Client(SystemClock(), HERE), site.url, Limits(1_000, 0.5))


def test_a_body_that_breaks_off_is_no_answer(site: Site) -> None:
    site.answers = lambda handler: say(handler, 200, b"half", Content_Length="8")
    with pytest.raises(WorldError, match="did not answer"):
        fetch(Client(SystemClock(), HERE), site.url)


@pytest.mark.parametrize(("status", "kind"), [(404, UserError), (401, UserError), (429, WorldError), (503, WorldError)])
def test_whose_fault_a_status_is(site: Site, status: int, kind: type[Exception]) -> None:
    site.answers = lambda handler: say(handler, status)
    with pytest.raises(kind, match=str(status)):
        fetch(Client(SystemClock(), HERE), site.url)


def test_a_server_that_knows_no_head_is_asked_with_get(site: Site) -> None:
    site.answers = lambda handler: say(handler, 405) if handler.command == "HEAD" else say(handler, 200, b"hello", ETag='"7"')
    assert Client(SystemClock(), HERE).head(site.url, ENOUGH).headers["etag"] == '"7"'
