"""Where a server may listen: on loopback as it is, elsewhere only where credentials and data do not travel in the clear."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bedplate.core.errors import Refused, UserError
from bedplate.core.records import Record
from bedplate.interfaces.http.door.names import LOOPBACK

_LOCAL: Final = "bedplate up --host 127.0.0.1"


class Place(Record, frozen=True, kw_only=True):
    """Where a server listens, and under which names. `public` are URLs under which others reach it; `grpc` is the port of gRPC, as the
    setting `grpc_port` has it.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    public: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None
    grpc: str = "none"


def check(place: Place) -> None:
    """Raise Refused for a place where tokens would travel in the clear or any name would do, UserError for what cannot be."""
    if bool(place.tls_cert) != bool(place.tls_key):
        raise UserError("a certificate and its key go together", next="bedplate up --tls-cert FILE --tls-key FILE")
    if place.tls_cert and place.tls_key:
        _check_certificate(place.tls_cert, place.tls_key)
    for url in place.public:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise UserError(f"'{url}' is no public URL", why="a scheme and a host are needed", next="--public-url https://HOST")
    if is_loopback(place.host):
        return
    if not place.tls_cert and not any(url.startswith("https://") for url in place.public):
        raise Refused(
            f"listening on {place.host} without TLS is refused",
            why="others could reach it, and tokens would travel in the clear",
            next="give --tls-cert and --tls-key; or --public-url https://HOST where a proxy in front of it does TLS",
        )
    if not place.public and ipaddress.ip_address(place.host.strip("[]")).is_unspecified:
        raise Refused(
            f"listening on {place.host} under any name is refused",
            why="a server answers under its own names only, and this address says none",
            next="give the name under which it is reached: --public-url https://HOST:PORT",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address. Raises UserError for what is none."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        raise UserError(f"'{host}' is not an address", next=_LOCAL) from None


def hosts_of(host: str) -> tuple[str, ...]:
    """The names that a Host header may have, without a port, for a server that listens there."""
    bare = host.strip("[]").lower()
    return (*LOOPBACK, f"[{bare}]" if ":" in bare else bare)


def _check_certificate(cert: str, key: str) -> None:
    for file in (cert, key):
        if not Path(file).is_file():
            raise UserError(f"there is no file {file}", why="it is to hold the certificate, or its key", next="give both as PEM files")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"the certificate in {cert} cannot be used", why=str(error), next="give PEM files that belong together") from error
