"""The server of a bundle: POST / and GET /health on loopback, with Python's library alone; for one machine's own use, not for a network."""

from __future__ import annotations

import contextlib
import http.server
import json
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

MOST_BYTES: Final = 16_000_000
FLUSH_S: Final = 60.0
_PAGES: Final = "POST / (of a service too), or GET /health"
OURS: Final = frozenset({"127.0.0.1", "localhost"})
"""What a request may call this machine: under a name of its own, a page elsewhere could read what is answered here."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    about: dict[str, Any]
    answer: Callable[[bytes], Any]

    def do_GET(self) -> None:
        """Whether the bundle is here, and what it holds."""
        if self._is_ours():
            self._say(200, self.about) if self.path == "/health" else self._refuse(404, f"there is no page {self.path[:100]}", next=_PAGES)

    def do_POST(self) -> None:
        """Answer a request."""
        if not self._is_ours():
            return None
        length = self.headers.get("content-length", "")
        if self.path != "/" or not length.isdecimal() or int(length) > MOST_BYTES or self.headers.get("transfer-encoding"):
            self.close_connection = True  # the body is not read
            if self.path != "/":
                return self._refuse(404, f"there is no page {self.path[:100]}", next=_PAGES)
            return self._refuse(413, "the body is too large, or does not say its length", f"at most {MOST_BYTES} bytes are read", _PAGES)
        try:
            self._say(200, type(self).answer(self.rfile.read(int(length))))
        except (ValueError, RecursionError) as error:
            self._refuse(400, **getattr(error, "said", {"what": "this cannot be answered", "why": str(error)[:300]}))

    def _is_ours(self) -> bool:
        """Whether the request names this machine; one that does not is refused."""
        if self.headers.get("host", "localhost").partition(":")[0].lower() in OURS:
            return True
        self.close_connection = True  # the body is not read
        self._refuse(421, "the request is for another server", next="this one answers to 127.0.0.1 and localhost")
        return False

    def _refuse(self, status: int, what: str, why: str = "", next: str = "") -> None:
        self._say(status, {"error": {"what": what, "why": why, "next": next}})

    def _say(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted, not printed."""


def serve(answer: Callable[[bytes], Any], about: dict[str, Any], flush: Callable[[], None], port: int) -> None:
    """Answer until Ctrl-C or SIGTERM. `answer` gets bodies, and raises ValueError for what it does not take, which may have `said` what,
    why and what next; `flush` is called once a minute.
    """
    Handler.about, Handler.answer = about, staticmethod(answer)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
        stopped = threading.Event()
        threading.Thread(target=_keep, args=(flush, stopped), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
        stopped.set()


def _keep(flush: Callable[[], None], stopped: threading.Event) -> None:
    while not stopped.wait(FLUSH_S):
        flush()
