"""The address that a connection goes to: a host's name is resolved here, once, and what was checked is what is connected to."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from bedplate.core.errors import Refused, WorldError
from bedplate.network.guard import Network, reachable


def reach(host: str, port: int, allowed: Sequence[Network]) -> str:
    """The first of the host's addresses that may be reached. Raises Refused for none, WorldError for a name that nobody knows."""
    addresses = _addresses(host, port)
    for address in addresses:
        if reachable(address, allowed):
            return address
    raise Refused(
        f"{host} is not fetched from",
        why=f"{', '.join(addresses)} is not an address of the public internet",
        next=f'a site that means it writes into bedplate.toml: allow_networks = "{addresses[0]}"',
    )


def _addresses(host: str, port: int) -> list[str]:
    try:
        return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except OSError as error:
        raise WorldError(
            f"no address is known for {host}", why=str(error), next="look at the name, and at this machine's network"
        ) from error
