"""What may be fetched from: the public internet, and what the site allows."""

from __future__ import annotations

import pytest

from bedplate.core.errors import Refused, UserError
from bedplate.network.guard import checked, networks, origin, reachable, redirected


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::a9fe:a9fe",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2130706433",
        "localhost", "",
    ],
)  # fmt: skip
def test_no_address_of_this_machine_its_neighbours_or_a_metadata_service_is_reached(address: str) -> None:
    """Wrapped IPv4 addresses count as what they carry; what is no address is not guessed at."""
    assert not reachable(address, ())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_public_addresses_are_reached(address: str) -> None:
    assert reachable(address, ())


def test_a_site_allows_networks_and_no_others() -> None:
    allowed = networks("10.1.0.0/16, fd00::/8")
    assert reachable("10.1.2.3", allowed)
    assert reachable("fd00::5", allowed)
    assert not reachable("10.2.0.1", allowed)
    assert networks("none") == ()


def test_a_list_of_networks_that_is_none_is_refused_with_what_to_write() -> None:
    with pytest.raises(UserError, match="not a list of networks"):
        networks("the office")


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/a", "gopher://x", "http://user:word@example.org/", "http://", "https://:443/", "http://[::1"],
)
def test_other_schemes_passwords_and_addresses_without_a_host_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        checked(url)


@pytest.mark.parametrize(
    "url", ["http://\u24db\u24de\u24d2alhost/", "http://127.0.0.1\u3002/", "http://h/\u00fc", "http://h/a b", "http://h/\r\nX: y"]
)
def test_what_readers_read_in_more_ways_than_one_is_no_address(url: str) -> None:
    """Letters that a resolver folds to others, spaces, line ends: nothing is asked there, and nothing else goes wrong."""
    with pytest.raises(Refused, match="is not an address"):
        checked(url)


def test_a_redirect_never_leaves_https_nor_the_web() -> None:
    assert redirected("https://a.org/x", "/y") == "https://a.org/y"
    for to in ("http://a.org/y", "file:///etc/passwd"):
        with pytest.raises(Refused):
            redirected("https://a.org/x", to)


def test_another_port_is_another_origin() -> None:
    """A token is not for it."""
    assert origin(checked("https://a.org/")) == origin(checked("https://a.org:443/x")) != origin(checked("https://a.org:8443/"))
