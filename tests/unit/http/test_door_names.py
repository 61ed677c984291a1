"""Under which names a server answers: Host, Origin and Sec-Fetch-Site, for every method."""

from __future__ import annotations

import pytest

from bedplate.interfaces.http.door.endpoint import Fault
from bedplate.interfaces.http.door.names import Names

NAMES = Names(public=["https://models.example.org"])
HERE = b"127.0.0.1:5000"


@pytest.mark.parametrize("host", [b"127.0.0.1:5000", b"localhost", b"LOCALHOST:1", b"[::1]:5000", b"[::1]", b"models.example.org"])
def test_its_own_names_are_answered(host: bytes) -> None:
    NAMES.check({b"host": host}, "POST")


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"evil.example",
        b"evil.example:5000",
        b"127.0.0.1.evil.example",
        b"127.0.0.1@evil.example",
        b"localhost.",
        b"localhost:x",
        b"models.example.org:81",
        b"0.0.0.0",
        b"[::1].evil",
        b"127.0.0.2",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE"])
def test_another_name_is_refused_by_every_method(host: bytes, method: str) -> None:
    """DNS rebinding: a page elsewhere reaches loopback under a name of its own."""
    with pytest.raises(Fault, match="under that name") as refused:
        NAMES.check({b"host": host}, method)
    assert refused.value.status == 421


@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"", b"http://127.0.0.1:5001", b"http://127.0.0.1:5000.evil", b"file://"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_another_origin_is_refused_by_every_method(origin: bytes, method: str) -> None:
    with pytest.raises(Fault, match="origin") as refused:
        NAMES.check({b"host": HERE, b"origin": origin}, method)
    assert refused.value.status == 403


def test_its_own_pages_and_programs_may_ask() -> None:
    NAMES.check({b"host": HERE, b"origin": b"http://127.0.0.1:5000", b"sec-fetch-site": b"same-origin"}, "POST")
    NAMES.check({b"host": b"models.example.org", b"origin": b"https://models.example.org"}, "POST")
    NAMES.check({b"host": HERE}, "DELETE")


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"", b"Same-Origin"])
def test_another_site_may_only_lead_to_a_page(site: bytes) -> None:
    """A link to a page is followed; a form, a script or an image of another site is not answered."""
    NAMES.check({b"host": HERE, b"sec-fetch-site": site, b"sec-fetch-mode": b"navigate"}, "GET")
    for method, mode in (("POST", b"navigate"), ("GET", b"no-cors"), ("GET", b"cors")):
        with pytest.raises(Fault, match="site"):
            NAMES.check({b"host": HERE, b"sec-fetch-site": site, b"sec-fetch-mode": mode}, method)
