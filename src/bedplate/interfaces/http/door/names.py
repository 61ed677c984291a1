"""Under which names this server answers, and from which pages a browser may ask it: exact lists, for every method.

A request must name this server in its Host header, or a web page elsewhere could reach a server on loopback under a name of its own (DNS
rebinding). A browser says where a request comes from: Origin must be this very server, and Sec-Fetch-Site must not be another site,
except for going to a page with GET. Programs send neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from .endpoint import Fault

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_OURS: Final = (b"same-origin", b"none")
_MOST: Final = 64


class Names:
    """The names of one server. `public` are URLs under which it is reached through a proxy or by a name of its own."""

    def __init__(self, public: Iterable[str] = (), hosts: Iterable[str] = LOOPBACK) -> None:
        parts = [urlsplit(url) for url in public]
        self._hosts = frozenset(hosts)
        self._exact = frozenset(one.netloc.lower() for one in parts)
        self._origins = frozenset(f"{one.scheme}://{one.netloc}".lower().encode() for one in parts)
        self._known: set[bytes] = set()

    def check(self, headers: Mapping[bytes, bytes], method: str) -> None:
        """Raise Fault for a request under another name (421), or from another site (403)."""
        host = headers.get(b"host", b"")
        if host not in self._known and not self._is_ours(host):
            raise Fault("BAD_REQUEST", "this server does not answer under that name", status=421)
        origin = headers.get(b"origin")
        if origin is not None and not self._is_same(origin, host):
            raise Fault("PERMISSION_DENIED", "requests from another origin are refused")
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in _OURS and not (method == "GET" and headers.get(b"sec-fetch-mode") == b"navigate"):
            raise Fault("PERMISSION_DENIED", "requests from another site are refused")

    def _is_same(self, origin: bytes, host: bytes) -> bool:
        said = origin.lower()
        return said in (b"http://" + host.lower(), b"https://" + host.lower()) or said in self._origins

    def _is_ours(self, host: bytes) -> bool:
        text = host.decode("latin-1").lower()
        name, _, port = text.rpartition(":") if ":" in text and not text.endswith("]") else (text, "", "0")
        if text not in self._exact and (name not in self._hosts or not port.isdecimal()):
            return False
        if len(self._known) < _MOST:
            self._known.add(host)
        return True
