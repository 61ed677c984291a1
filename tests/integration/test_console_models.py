"""Models in the console, in a real browser: what stands where, verdicts beside each other, promote and roll back, and what it refuses."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from browser import Tab, axe
from depot import Depot
from playwright.sync_api import expect
from up_site import API, Line, Up, in_thread

from bedplate.catalog.tracking.registered import Registration
from bedplate.catalog.tracking.tracked import Named
from bedplate.core.model import Signature
from bedplate.core.records import Draft, Promotion
from bedplate.storage.flavours import Stored

ODD = '<img src=x onerror="alert(1)">'
LONG = "x" * 400
PASSPHRASE = "a long enough passphrase"
WHY = "they asked for it"


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Depot]:
    """Two versions of a project's model: a good one, and a bad one that somebody promoted."""
    made = Depot(tmp_path_factory.mktemp("depot"))
    try:
        made.goes_bad()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Models that clients registered: `churn` with three versions, of which the last cannot be served, and one of an odd name."""
    with in_thread(tmp_path_factory.mktemp("models")) as server:
        registry = server.catalog.tracking.registry
        for name in ("churn", ODD):
            registry.create(name, 1, said=f"said of it: {ODD}{LONG}", tags=[Named("tag", ODD), Named(LONG[:200], LONG)])
            for number in range(3):
                opaque = {"cannot_serve": "it is a pickle", "instead": "mlflow.lightgbm.log_model"} if number == 2 else {}
                registered(server, name, number, opaque)
            for version in (1, 2):
                moved(server, name, LONG[:240], version)
        yield server


def registered(site: Up, name: str, number: int, meta: dict[str, str]) -> None:
    stored = Stored(flavour="opaque" if meta else "lightgbm", library="rows", signature=Signature(inputs=(), outputs=()))
    draft = Draft(
        artifact=name, kind="model", digest=f"sha256:{number:064x}", uri="blobs/x", size_bytes=10, meta={"origin": "client", **meta},
        schema=msgspec.json.encode(stored).decode(),
    )  # fmt: skip
    asked = Registration(draft=draft, source="runs:/x/model", made_by="ann", attempt=f"{name[:5]}-{number}", description=ODD)
    site.catalog.tracking.registry.register(asked, 10 + number)


def moved(site: Up, name: str, alias: str, version: int, actor: str = "bob") -> None:
    """Somebody else gives a version an alias."""
    promotion = Promotion(model=name, alias=alias, version=version, by="person", actor=actor, reason="mine", at=datetime.now(UTC))
    site.catalog.models.promote(promotion)


def test_versions_stand_beside_each_other(depot: Depot, tab: Tab) -> None:
    """The verdict of each slice with its bound, the champion's beside it, what differs and why; the card says it as text."""
    page = tab(depot.server.url, depot.server.token)
    page.goto("/models")
    row = page.locator("#table-models tbody tr", has_text="transit")
    expect(row).to_contain_text("did not pass")
    expect(row).to_contain_text("arrives_in")
    row.get_by_role("link", name="version 2").first.click()
    rows = page.locator("#table-verdict-0 tbody tr")
    assert rows.count() == 6
    assert page.locator("#chart-bars-0 svg rect").count() > 12
    assert "hours off,pallet," in page.request.get("/models/transit/2?csv=verdict-0").text()
    expect(page.locator("#why")).to_contain_text("1 new file")
    page.get_by_text("Card", exact=True).click()
    expect(page.locator("details pre")).to_contain_text("# transit@2")


def test_two_people_promoting_at_once(site: Up, tab: Tab) -> None:
    """Who comes second is told who was first, and nothing happens; looked at again, it is promoted, with who and why kept."""
    moved(site, "churn", "production", 1)
    page = tab(site.url, site.token, may_fail=("409",))
    page.goto("/models/churn/2")
    page.get_by_role("button", name="Promote…").click()
    moved(site, "churn", "production", 2)
    moved(site, "churn", "production", 1)
    moved(site, "churn", "staging", 2)
    page.get_by_label("Alias").fill("staging")
    page.get_by_role("textbox", name="Why").fill(WHY)
    page.locator("#promote button[type=submit]").click()
    told = page.locator("#promote [role=alert]")
    expect(told).to_contain_text("staging names churn@2 by now. bob moved it")
    assert len(site.catalog.models.history("churn", "staging")) == 1
    page.goto("/models/churn/2")
    page.get_by_role("button", name="Promote…").click()
    page.get_by_role("textbox", name="Why").fill(WHY)
    page.locator("#promote button[type=submit]").click()
    page.wait_for_url("**/models/churn/2")
    expect(page.locator(".tile", has_text="named")).to_contain_text("production")
    last = site.catalog.models.history("churn", "production")[-1]
    assert (last.version, last.before, last.by, last.actor, last.reason) == (2, 1, "person", "admin", WHY)


@pytest.mark.bad_input
def test_what_was_rolled_back_from_wants_a_yes(site: Up, tab: Tab) -> None:
    """Rolled back, a version is barred; promoted again only by who says that he knows, with a reason, and never what cannot be served."""
    moved(site, "churn", "shadow", 1)
    moved(site, "churn", "shadow", 2)
    page = tab(site.url, site.token)
    page.goto("/models/churn")
    page.get_by_role("button", name="Roll back shadow…").click()
    page.get_by_role("textbox", name="Why").fill("worse")
    page.get_by_role("button", name="Roll back to version 1").click()
    expect(page.locator("#table-history tbody tr").first).to_contain_text("worse")
    seen = dict(site.catalog.models.aliases("churn"))
    asked = {"alias": "shadow", "version": 2, "seen": seen, "reason": WHY}
    assert site.ask("POST", "/models/churn/promote", asked).status == 409
    assert site.ask("POST", "/models/churn/promote", {**asked, "reason": " "}).status == 400
    assert site.ask("POST", "/models/churn/promote", {**asked, "version": 99}).status == 404
    page.goto("/models/churn/2")
    page.get_by_role("button", name="Promote…").click()
    expect(page.get_by_label("It was rolled back from.")).not_to_be_checked()
    assert site.ask("POST", "/models/churn/promote", {**asked, "confirmed": True}).status == 200
    assert site.ask("POST", "/models/churn/promote", {**asked, "version": 3, "seen": {**seen, "shadow": 2}}).status == 400
    page.goto("/models/churn/3")
    expect(page.get_by_role("note")).to_contain_text("it is a pickle")
    expect(page.get_by_role("note")).to_contain_text("mlflow.lightgbm.log_model")
    assert page.get_by_role("button", name="Promote…").count() == 0


def test_who_may_not_see_a_model_sees_none_and_moves_none(site: Up) -> None:
    """Neither in the list nor by its address; who may only read moves nothing, and is shown no form."""
    assert site.ask("POST", f"{API}/users/create", {"username": "eve", "password": PASSPHRASE}).status == 200
    known = {"Authorization": "Basic " + base64.b64encode(f"eve:{PASSPHRASE}".encode()).decode()}
    with Line(site.url) as line:
        assert b"churn" not in line.ask("GET", "/models", headers=known).body
        assert line.ask("GET", "/models/churn/1", headers=known).status == 404
        asked = {"version": 1, "seen": {}, "reason": WHY}
        assert line.ask("POST", "/models/churn/promote", asked, headers=known).status == 404
        body = {"name": "churn", "username": "eve", "permission": "READ"}
        assert site.ask("POST", f"{API}/registered-models/permissions/create", body).status == 200
        assert b"data-send" not in line.ask("GET", "/models/churn/1", headers=known).body
        assert line.ask("POST", "/models/churn/promote", asked, headers=known).status == 403


@pytest.mark.bad_input
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_can_be_read_by_everybody_whatever_is_in_it(site: Up, depot: Depot, tab: Tab, scheme: str, width: int) -> None:
    """Hostile names are text; axe finds nothing serious, and nothing is wider than the window."""
    for server, paths in (
        (site, ("/models", "/models/churn", "/models/%3Cimg%20src%3Dx%20onerror%3D%22alert(1)%22%3E/3", "/models?q=none")),
        (depot.server, ("/models/transit", "/models/transit/2", "/serving", "/serving/arrives_in")),
    ):
        page = tab(server.url, server.token, viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("dialog", lambda dialog: pytest.fail(f"a script of a name ran: {dialog.message}"))
        for path in paths:
            page.goto(path)
            page.locator("h1").wait_for()
            assert axe(page) == [], path
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, path
