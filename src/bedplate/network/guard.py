"""Which addresses of the outside may be reached. Pure.

Choices: only http and https, and for calls grpc and grpcs; only addresses that the internet routes to, so that a source (or what it
redirects to, or a name that resolves to something else the second time) never reads this machine, its neighbours or a cloud's metadata
service; a site allows networks of its own with the setting `allow_networks`. An IPv6 address that carries an IPv4 one (mapped, 6to4,
Teredo, NAT64) counts as that one. Limits: says nothing of what a public address serves.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from urllib.parse import SplitResult, urljoin, urlsplit

from bedplate.core.errors import Refused, UserError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
PORTS = {"http": 80, "https": 443}
GRPC = ("grpc", "grpcs")
MOST_REDIRECTS = 5


def networks(text: str) -> tuple[Network, ...]:
    """Read the setting `allow_networks`: `none`, or `10.0.0.0/8, fd00::/8`. Raises UserError."""
    if text.strip() in ("", "none"):
        return ()
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"'{text}' is not a list of networks", why=str(error), next="write 'none' or '10.0.0.0/8, fd00::/8'") from error


def reachable(address: str, allowed: Sequence[Network]) -> bool:
    """Whether that address may be connected to. A text that is no address may not."""
    try:
        found = carried(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if any(found.version == network.version and found in network for network in allowed):
        return True
    return found.is_global and not found.is_multicast and not found.is_reserved


def is_address(host: str) -> bool:
    """Whether a host is an address, in any spelling that a resolver takes for one (`0x7f.1`, `2130706433`), or this machine's own name."""
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2].lower()
        return bool(last) and (last.isdecimal() or (last.startswith("0x") and set(last[2:]) <= set("0123456789abcdef")))
    return True


def carried(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where it is only a wrapping; else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def checked(url: str, schemes: Collection[str] = PORTS) -> SplitResult:
    """The parts of an address that may be asked for.

    Raises Refused for another scheme, a password in it, none of a host, and letters that are sent in more than one way.
    """
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise Refused(
            f"{url[:200]!a} is not an address",
            why="it has spaces, or letters beyond ASCII",
            next="write a name as xn--..., a path with %XX",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"'{url}' is not an address", why=str(error)) from error
    if parts.scheme not in schemes:
        raise Refused(f"'{url}' is not fetched", why=f"only {' and '.join(schemes)} are", next="copy the file, or read it with Files(...)")
    if parts.username or parts.password:
        raise Refused(
            f"{parts.hostname} is not asked with a password in its address", why="it would be kept with the source", next='token="NAME"'
        )
    if not parts.hostname or port == 0:
        raise Refused(f"'{url}' names no host")
    return parts


def called(url: str) -> SplitResult:
    """The parts of an address that may be called by gRPC. Raises Refused as `checked`, and for none of a port."""
    parts = checked(url, GRPC)
    if not parts.port:
        raise Refused(f"'{url}' names no port", next=f"write {parts.scheme}://{parts.hostname}:PORT")
    return parts


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """What a token is sent to: scheme, host and port."""
    return parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]


def redirected(url: str, location: str) -> str:
    """Where a redirect leads. Raises Refused where it may not be followed: to another scheme, or from https to http."""
    to = urljoin(url, location)
    if urlsplit(url).scheme == "https" and checked(to).scheme != "https":
        raise Refused(f"{urlsplit(url).hostname} redirects from https to http", why="what comes could be anyone's")
    checked(to)
    return to
