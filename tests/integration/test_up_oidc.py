"""Login at a provider of identity on loopback: the way there and back, and every way back that is not right (case ST-12)."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from oidc_provider import CLIENT, SECRET, Provider, provider
from up_site import Answer, Up, in_thread

ME = "/api/bedplate/me"
BACK = "/login/oidc/back"


def settings(issuer: str, **more: str) -> dict[str, str]:
    return {"oidc_issuer": issuer, "oidc_client": CLIENT, "oidc_secret": SECRET, "allow_networks": "127.0.0.0/8", **more}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, Provider]]:
    with provider() as known, in_thread(tmp_path_factory.mktemp("oidc"), settings=settings(known.issuer)) as up:
        yield up, known


@pytest.fixture(autouse=True)
def as_it_should(request: pytest.FixtureRequest) -> None:
    """The provider's tokens are right again, and its subject is linked to `ann`."""
    if "site" not in request.fixturenames:
        return
    up, known = request.getfixturevalue("site")
    known.claims, known.algorithm, known.subject = {}, "RS256", "248289761001"
    if up.catalog.accounts.find("ann") is None:
        assert up.ask("POST", "/api/bedplate/accounts", {"name": "ann", "subject": f"{known.issuer}#{known.subject}"}).status == 200


def kept(answer: Answer) -> dict[str, str]:
    found = re.findall(r"(bedplate_\w+)=([^;]*);", answer.headers.get("set-cookie", ""))
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in found)}


def begin(up: Up, next: str = "/") -> tuple[dict[str, str], str]:
    """Begin a login in a browser: its cookies, and where it is sent."""
    answer = up.nobody("GET", f"/login/oidc?{urlencode({'next': next})}")
    assert answer.status == 303, answer.body
    return kept(answer), answer.headers["location"]


def consent(address: str) -> str:
    """Say yes at the provider: the query with which it sends the browser back."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    response.read()
    connection.close()
    return urlsplit(response.getheader("Location") or "").query


def changed(query: str, **more: str | None) -> str:
    known = {name: found[0] for name, found in parse_qs(query).items()} | more
    return urlencode({name: value for name, value in known.items() if value is not None})


def test_who_is_linked_comes_in(site: tuple[Up, Provider]) -> None:
    """By code, PKCE, state and nonce; to where the browser wanted to go."""
    up, known = site
    browser, address = begin(up, "/runs")
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [f"{up.url}{BACK}"]
    entered = up.nobody("GET", f"{BACK}?{consent(address)}", headers=browser)
    assert (entered.status, entered.headers["location"]) == (303, "/runs")
    connection = http.client.HTTPConnection(up.url.partition("://")[2], timeout=10)
    browser, address = begin(up)
    connection.request("GET", f"{BACK}?{consent(address)}", headers=browser)
    response = connection.getresponse()
    cookies = [value.partition(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie"]
    connection.close()
    session = next(one for one in cookies if "_oidc" not in one)
    assert up.nobody("GET", ME, headers={"Cookie": session}).json["account"] == "ann"
    assert next(one for one in cookies if "_oidc" in one).endswith("=")
    assert known.issuer in up.catalog.accounts.get("ann").subject


@pytest.mark.parametrize("way", ["no state", "wrong state", "twice state", "no code", "another code", "other issuer", "error", "nothing"])
def test_a_way_back_that_was_not_begun_here_ends_nowhere(site: tuple[Up, Provider], way: str) -> None:
    """Without a session, and without asking the provider where the state is not ours."""
    up, _ = site
    browser, address = begin(up)
    query = consent(address)
    wrong = {
        "no state": changed(query, state=None), "wrong state": changed(query, state="x" * 43), "twice state": f"{query}&state=x",
        "no code": changed(query, code=None), "another code": changed(query, code="x"),
        "other issuer": changed(query, iss="https://evil.example"), "error": changed(query, error="access_denied"), "nothing": "",
    }[way]  # fmt: skip
    answer = up.nobody("GET", f"{BACK}?{wrong}", headers=browser)
    assert answer.status in (400, 401)
    assert not re.search(r"bedplate_[0-9a-f]{8}=", answer.headers["set-cookie"])


def test_another_browser_does_not_end_it(site: tuple[Up, Provider]) -> None:
    """Neither without the cookie of the one that began it, nor with that of an attempt of its own; nor does the same one twice."""
    up, _ = site
    browser, address = begin(up)
    query = consent(address)
    assert up.nobody("GET", f"{BACK}?{query}").status == 400
    assert up.nobody("GET", f"{BACK}?{query}", headers=begin(up)[0]).status == 400
    assert up.nobody("GET", f"{BACK}?{query}", headers=browser).status == 303
    assert up.nobody("GET", f"{BACK}?{query}", headers=browser).status == 400


def test_a_stolen_code_is_of_no_use(site: tuple[Up, Provider]) -> None:
    """Put into the attempt of a thief, its verifier does not fit (PKCE)."""
    up, _ = site
    _, victims = begin(up)
    code = parse_qs(consent(victims))["code"][0]
    thief, address = begin(up)
    assert up.nobody("GET", f"{BACK}?{changed(consent(address), code=code)}", headers=thief).status == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"}, {"nonce": None}, {"iss": "https://evil.example"}, {"aud": "another"}, {"aud": None}, {"exp": 1},
        {"exp": None},
        {"iat": None}, {"iat": 4102444800}, {"sub": None}, {"azp": "another"},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_says_anything_wrong_lets_nobody_in(site: tuple[Up, Provider], claims: dict[str, Any]) -> None:
    up, known = site
    browser, address = begin(up)
    query = consent(address)
    known.claims = claims
    assert up.nobody("GET", f"{BACK}?{query}", headers=browser).status == 401


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_signed_by_anybody_lets_nobody_in(site: tuple[Up, Provider], algorithm: str) -> None:
    """By nobody, or with the provider's public key as a shared secret."""
    up, known = site
    browser, address = begin(up)
    query = consent(address)
    known.algorithm = algorithm
    assert up.nobody("GET", f"{BACK}?{query}", headers=browser).status == 401


def test_a_redirect_address_is_exact(site: tuple[Up, Provider]) -> None:
    """Nothing answers beside it, and the provider is told another for another name."""
    up, _ = site
    browser, address = begin(up)
    for suffix in ("/", "/x", "%2f", ".evil.example"):
        assert up.nobody("GET", f"{BACK}{suffix}?{consent(address)}", headers=browser).status == 401


def test_who_is_not_linked_stays_out(site: tuple[Up, Provider]) -> None:
    """Also one who calls himself as an account is called: only the subject counts."""
    up, known = site
    known.subject, known.claims = "666", {"preferred_username": "admin", "email": "admin"}
    browser, address = begin(up)
    assert up.nobody("GET", f"{BACK}?{consent(address)}", headers=browser).status == 403


def test_with_any_the_first_login_makes_an_account(tmp_path: Path) -> None:
    """Of a free name, and no admin; a name that is taken is not given to a stranger."""
    with provider() as known, in_thread(tmp_path, settings=settings(known.issuer, oidc_accounts="any")) as up:
        known.username = "new"
        browser, address = begin(up)
        assert up.nobody("GET", f"{BACK}?{consent(address)}", headers=browser).status == 303
        made = up.catalog.accounts.get("new")
        assert (made.subject, made.is_admin, made.password) == (f"{known.issuer}#{known.subject}", False, "")
        known.subject, known.username = "666", "admin"
        browser, address = begin(up)
        assert up.nobody("GET", f"{BACK}?{consent(address)}", headers=browser).status == 403


def test_a_provider_that_is_another_or_away_is_not_trusted(tmp_path: Path) -> None:
    """One that calls itself otherwise; one on a network that is not allowed."""
    with provider() as known:
        with in_thread(tmp_path / "a", settings=settings(known.issuer.replace("127.0.0.1", "localhost"))) as up:
            assert up.nobody("GET", "/login/oidc").status == 503
        with in_thread(tmp_path / "b", settings=settings(known.issuer, allow_networks="none")) as up:
            assert up.nobody("GET", "/login/oidc").status == 503
        assert known.asked == ["/.well-known/openid-configuration"]


@pytest.fixture
def independent() -> Iterator[str]:
    """A provider that others wrote, as a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def test_a_provider_of_others_lets_in(tmp_path: Path, independent: str) -> None:
    """oidc-provider-mock: its discovery, its form, its code, its token."""
    with in_thread(tmp_path, settings=settings(independent, oidc_accounts="any")) as up:
        browser, address = begin(up)
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        connection.request("POST", f"{parts.path}?{parts.query}", "sub=maria", {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        response.read()
        query = urlsplit(response.getheader("Location") or "").query
        connection.close()
        assert up.ask("POST", "/api/bedplate/accounts", {"name": "maria", "subject": f"{independent}#maria"}).status == 200
        assert up.nobody("GET", f"{BACK}?{query}", headers=browser).status == 303
