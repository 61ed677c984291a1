"""Asking one server again and again: connections are kept, those that went away are not used, and a token goes with every question."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from bedplate.core.clock import SystemClock
from bedplate.core.errors import Refused, UserError, WorldError
from bedplate.network.asking import CONNECTIONS, Asking


class Handler(BaseHTTPRequestHandler):
    """Answers with what it was sent; counts connections."""

    protocol_version = "HTTP/1.1"
    opened = 0
    tokens: ClassVar[list[str | None]] = []
    last = False

    def setup(self) -> None:
        type(self).opened += 1
        super().setup()

    def do_POST(self) -> None:
        type(self).tokens.append(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.last:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def url() -> Iterator[str]:
    Handler.opened, Handler.tokens, Handler.last = 0, [], False
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def ask() -> Iterator[Asking]:
    one = Asking(SystemClock(), "127.0.0.0/8", {"THERE": "secret"})
    yield one
    one.close()


def test_a_connection_is_used_again_and_many_ask_by_few(ask: Asking, url: str) -> None:
    """Fifty questions in a row are one connection; eight threads at once are no more than eight, and get their own answers."""
    for at in range(50):
        assert ask("POST", url, 5.0, body=b"%d" % at)[2] == b"%d" % at
    assert Handler.opened == 1
    with ThreadPoolExecutor(8) as threads:
        asked = [b"%d" % at for at in range(200)]
        assert [answer[2] for answer in threads.map(lambda body: ask("POST", url, 5.0, body=body), asked)] == asked
    assert Handler.opened <= 8 < CONNECTIONS


def test_one_that_the_server_closed_is_not_used_again(ask: Asking, url: str) -> None:
    """The next question opens another; nobody hears of it."""
    Handler.last = True
    for at in range(5):
        assert ask("POST", url, 5.0, body=b"%d" % at)[2] == b"%d" % at
    assert Handler.opened == 5


def test_the_token_is_that_of_the_environment(ask: Asking, url: str) -> None:
    """Sent with each question where one is named; a name that is not set is said before anybody is asked."""
    ask("POST", url, 5.0, body=b"x", token="THERE")
    ask("POST", url, 5.0, body=b"x")
    assert Handler.tokens == ["Bearer secret", None]
    with pytest.raises(UserError, match="variable ELSEWHERE is not set"):
        ask("POST", url, 5.0, body=b"x", token="ELSEWHERE")
    assert len(Handler.tokens) == 2


def test_what_may_not_be_reached_or_is_not_there_is_told_apart(ask: Asking, url: str) -> None:
    """A private address without the setting is refused; one that nobody listens on did not answer."""
    with pytest.raises(Refused, match="is not fetched from"):
        Asking(SystemClock(), "none", {})("POST", url, 5.0, body=b"x")
    with pytest.raises(WorldError, match="did not answer"):
        ask("POST", "http://127.0.0.1:1/", 5.0, body=b"x")
