"""Where a server may listen: on loopback as it is, elsewhere only where tokens do not travel in the clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.core.errors import Refused, UserError
from bedplate.interfaces.http.up.child import FIRST_PAUSE_S, LONGEST_PAUSE_S, SETTLED_S, pause_after
from bedplate.interfaces.http.up.place import Place, check, hosts_of, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.10"])
def test_loopback_needs_nothing(host: str) -> None:
    check(Place(host=host))
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "192.168.0.1", "8.8.8.8"])
def test_beyond_this_machine_tls_is_needed(host: str) -> None:
    with pytest.raises(Refused, match="without TLS"):
        check(Place(host=host))
    with pytest.raises(Refused, match="without TLS"):
        check(Place(host=host, public=("http://models.example.org",)))
    check(Place(host=host, public=("https://models.example.org",)))


@pytest.mark.parametrize("host", ["example.org", "", "127.0.0.1.evil", "0x7f000001", "2130706433"])
def test_what_is_no_address_is_said(host: str) -> None:
    with pytest.raises(UserError, match="is not an address"):
        check(Place(host=host))


@pytest.mark.parametrize("url", ["models.example.org", "ftp://x", "https://", "https://x/path", "https://x?y", "javascript:x"])
def test_a_public_url_is_a_scheme_and_a_host(url: str) -> None:
    with pytest.raises(UserError, match="no public URL"):
        check(Place(public=(url,)))


def test_a_certificate_and_its_key_go_together_and_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="go together"):
        check(Place(tls_cert="x.pem"))
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    with pytest.raises(UserError, match="cannot be used"):
        check(Place(tls_cert=str(bad), tls_key=str(bad)))


def test_a_server_knows_the_address_that_it_listens_on_as_its_name() -> None:
    assert "10.1.2.3" in hosts_of("10.1.2.3")
    assert "[fe80::1]" in hosts_of("fe80::1")


def test_pauses_grow_until_a_child_settles() -> None:
    pauses, pause_s = [], 0.0
    for _ in range(12):
        pause_s = pause_after(0.1, pause_s)
        pauses.append(pause_s)
    assert pauses[:4] == [FIRST_PAUSE_S, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert pause_after(SETTLED_S, LONGEST_PAUSE_S) == FIRST_PAUSE_S
