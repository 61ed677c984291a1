"""A stand-in between a client and an S3 server that harms uploads in parts, as a test says: it loses a part, flips a byte of one, or
loses the answer to the last call, so that the client asks again. A process of its own, as `tcp_proxy.py` is.
"""

from __future__ import annotations

import http.client
import multiprocessing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CONTEXT = multiprocessing.get_context("spawn")
HARMS = ("none", "lose a part", "flip a byte", "lose the answer")


class S3Faults:
    """Forwards to a port; `harm` is one of HARMS. `harmed` says how often that happened."""

    def __init__(self, port: int) -> None:
        self._told = _CONTEXT.Array("i", 2)
        here, there = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(port, self._told, there), daemon=True)
        self._process.start()
        self.port = int(here.recv())

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def harmed(self) -> int:
        return int(self._told[1])

    def tell(self, harm: str) -> None:
        """Do this harm to the next upload; what is done once is not done again."""
        self._told[0], self._told[1] = HARMS.index(harm), 0

    def close(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(port: int, told: Any, ready: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            harm, part = HARMS[told[0]], "partNumber=2" in self.path
            if part and harm == "lose a part":
                told[1] += 1
                self._answer(200, [("ETag", '"00000000000000000000000000000000"')], b"")
                return
            if part and harm == "flip a byte":
                told[1] += 1
                body = body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            server.request(self.command, self.path, body, dict(self.headers))
            found = server.getresponse()
            content = found.read()
            if self.command == "POST" and "uploadId=" in self.path and harm == "lose the answer" and not told[1]:
                told[1] += 1
                self.close_connection = True
                return
            self._answer(found.status, found.getheaders(), content)

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length") or (
                    name.lower() == "content-length" and self.command == "HEAD"
                ):
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.send(server.server_address[1])
    server.serve_forever()
