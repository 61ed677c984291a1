"""A bundle that somebody tampers with, and its server asked from elsewhere: refused before anything is loaded or answered."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bedplate.stages.deploy.export import runner
from bedplate.stages.deploy.export.listener import Handler


class Told(Handler):
    """Answers with what it is asked."""

    answer = staticmethod(runner.read)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    Told.about = {"models": {}}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:8000", 200), ("localhost", 200), ("evil.example", 421), ("127.0.0.1.evil.example:80", 421)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_elsewhere_cannot_ask_under_a_name_of_its_own(port: int, method: str, host: str, status: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, "/" if method == "POST" else "/health", b"[1]" if method == "POST" else None, {"Host": host})
        assert connection.getresponse().status == status


LINES = ["bundle.json", "models/late/model.txt"]


def made(folder: Path, lines: list[str]) -> Path:
    (folder / "models/late").mkdir(parents=True)
    (folder / "models/late/model.txt").write_text("tree")
    (folder / "bundle.json").write_text(json.dumps({"models": {"late": {"file": "models/late/model.txt"}}}))
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in lines]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def test_a_whole_bundle_is_read(tmp_path: Path) -> None:
    assert list(runner.whole(made(tmp_path, LINES))["models"]) == ["late"]


@pytest.mark.parametrize("lines", [[], LINES[:1], LINES[1:]], ids=["none", "without the model", "without the description"])
def test_sums_that_were_cut_vouch_for_nothing(lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="3"):
        runner.whole(made(tmp_path, lines))
    assert "SHA256SUMS is not what was exported" in capsys.readouterr().err


def test_sums_that_are_gone_vouch_for_nothing(tmp_path: Path) -> None:
    (made(tmp_path, LINES) / "SHA256SUMS").unlink()
    with pytest.raises(SystemExit, match="3"):
        runner.whole(tmp_path)


@pytest.mark.parametrize(
    ("path", "body", "status", "what", "step"),
    [
        ("/", b'{"a":', 400, "what was asked is not JSON", "send one JSON object"),
        ("/", b"[" * 100_000, 400, "what was asked is not JSON", "send one JSON object"),
        ("/worth", b"{}", 404, "there is no page /worth", "POST / (of a service too)"),
    ],
)
def test_what_is_refused_says_what_why_and_what_next(port: int, path: str, body: bytes, status: int, what: str, step: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", path, body)
        reply = connection.getresponse()
        told = json.loads(reply.read())["error"]
    assert (reply.status, told["what"]) == (status, what)
    assert told["next"].startswith(step)
