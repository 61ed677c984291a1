"""The pages of settings in a real browser: tokens that are shown once, accounts and roles, webhooks, targets; and who may not see them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyotp
import pytest
from browser import Tab, axe
from playwright.sync_api import Page
from up_site import Line, Up, as_process, in_thread

PASSWORD = "a long enough passphrase"
PAGES = ("/settings", "/settings/accounts", "/settings/accounts?account=ann", "/settings/webhooks", "/settings/targets", "/settings/server")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("settings")) as server:
        made = server.ask("POST", "/api/2.0/mlflow/users/create", {"username": "ann", "password": PASSWORD})
        assert made.status == 200, made
        made = server.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "x<script>alert(1)</script>"})
        assert made.status == 200, made
        yield server


def as_ann(site: Up, path: str) -> tuple[int, bytes]:
    """What the account `ann`, who is no admin, is answered."""
    basic = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    with Line(site.url) as line:
        answer = line.ask("GET", path, headers={"Authorization": f"Basic {basic}"})
    return answer.status, answer.body


def agreed(page: Page) -> None:
    """Say yes to what a page asks before it does something."""
    page.on("dialog", lambda asked: asked.accept())


def me(site: Up, token: str) -> tuple[int, Mapping[str, object]]:
    """Who a token is."""
    with Line(site.url, token) as line:
        answer = line.ask("GET", "/api/bedplate/me")
    return answer.status, answer.json


def test_a_token_is_shown_once_counts_and_is_ended(site: Up, tab: Tab) -> None:
    """It may do what was chosen; after a reload nothing of it is on the page; ended it is refused."""
    page = tab(site.url, site.token)
    agreed(page)
    page.goto("/settings")
    page.fill("#token-name", "laptop")
    page.select_option("#token-role", "viewer")
    page.click("#new-token button")
    page.wait_for_selector("#minted:not([hidden])")
    token = page.locator("[data-token]").inner_text()
    assert me(site, token)[1]["role"] == "viewer"
    page.goto("/settings")
    assert token not in page.content()
    page.locator("#mine tr", has_text="laptop").get_by_role("button").click()
    page.locator("#mine tr", has_text="laptop").wait_for(state="detached")
    assert me(site, token)[0] == 401


def test_an_admin_makes_an_account_and_gives_it_a_role(site: Up, tab: Tab) -> None:
    """Made, let in to one experiment, and shut out; each is in the audit log under the admin's name."""
    page = tab(site.url, site.token)
    agreed(page)
    page.goto("/settings/accounts")
    page.fill("#new-name", "bob")
    page.get_by_role("button", name="Make it", exact=True).click()
    page.get_by_role("link", name="bob").click()
    page.select_option("#give-role", "contributor")
    page.select_option("#give-on", label="experiment x<script>alert(1)</script>")
    page.click("#give button")
    page.locator("#chosen table", has_text="contributor").wait_for()
    page.get_by_role("button", name="Switch off").click()
    page.get_by_role("button", name="Switch on").wait_for()
    assert not site.catalog.accounts.get("bob").active
    acts = site.catalog.audit.found(action="account.write") + site.catalog.audit.found(action="experiment.grant")
    assert {one.actor for one in acts} == {"admin", "server"}, "the server made the first account, the admin did all else"


def test_a_webhook_is_added_and_paused_and_its_secret_is_nowhere(site: Up, tab: Tab) -> None:
    """What signs is told to nobody; an address of this machine is refused in words."""
    page = tab(site.url, site.token, may_fail=("400", "403"))
    page.goto("/settings/webhooks")
    page.fill("#wh-name", "mine")
    page.fill("#wh-url", "http://127.0.0.1:9/")
    page.get_by_role("button", name="Add").click()
    page.locator("form [role=alert]:not([hidden])").wait_for()
    page.fill("#wh-url", "https://example.com/hook?key=abc")
    page.fill("#wh-secret", "hush-hush")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="mine").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    assert "hush-hush" not in page.content()
    assert "key=abc" not in page.content()
    assert "paused" in page.locator("#table-webhooks").inner_text()


def test_a_person_changes_his_password(site: Up, tab: Tab) -> None:
    """With the one of now; without it, it is refused beside the form."""
    page = tab(site.url, site.token, may_fail=("400", "403"))
    page.context.clear_cookies()
    page.goto("/settings")
    page.fill("#username", "ann")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/settings")
    page.fill("#old", "not that one")
    page.fill("#new", PASSWORD + " 2")
    page.get_by_role("button", name="Change").click()
    page.locator("form [role=alert]:not([hidden])").wait_for()
    page.fill("#old", PASSWORD)
    page.fill("#new", PASSWORD)
    page.get_by_role("button", name="Change").click()
    page.locator("form [role=alert].good").wait_for()


def test_a_second_factor_is_switched_on(site: Up, tab: Tab) -> None:
    """Its secret is shown once it is begun, and a code of it proves it; from then on the page says that codes are asked for."""
    made = site.ask("POST", "/api/2.0/mlflow/users/create", {"username": "cyd", "password": PASSWORD})
    assert made.status == 200, made
    page = tab(site.url, site.token)
    page.context.clear_cookies()
    page.goto("/settings")
    page.fill("#username", "cyd")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/settings")
    page.click("#begin-totp button")
    page.locator("#prove-totp").wait_for()
    page.wait_for_function("() => document.querySelector('#prove-totp img').naturalWidth > 100")
    secret = page.locator("[data-secret]").inner_text().replace(" ", "")
    page.fill("#pw1", PASSWORD)
    page.fill("#code1", pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Switch it on").click()
    page.get_by_role("button", name="Take it away").wait_for()
    assert secret not in page.content()


def test_who_is_no_operator_sees_his_own_account_alone(site: Up) -> None:
    """The other pages are refused, are not offered, and where things lie is not told."""
    assert [as_ann(site, path)[0] for path in PAGES] == [200, 403, 403, 403, 403, 200]
    assert b"/settings/accounts" not in as_ann(site, "/settings")[1]
    server = as_ann(site, "/settings/server")[1]
    assert b"catalog.db" not in server
    assert b"Digest" not in server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_they_can_be_read_by_everybody(site: Up, tab: Tab, scheme: str) -> None:
    """axe finds nothing serious on any of them, and nothing is wider than a phone."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    for path in PAGES:
        page.goto(path)
        assert axe(page) == [], path
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, path


def test_a_target_is_tried_out_and_the_state_examined(tmp_path: Path, tab: Tab) -> None:
    """Beside a project: its targets are listed, one is connected to, written to and read from, and doctor's findings stand in words."""
    (tmp_path / "birds.py").write_text('from bedplate import Project\n\nbirds = Project("birds")\n')
    with as_process(tmp_path, "--no-due") as server:
        page = tab(server.url, server.token)
        page.goto("/settings/targets")
        page.get_by_role("button", name="Try it out").click()
        page.locator("#tried table", has_text="write 1 MB").wait_for()
        page.get_by_role("button", name="Examine").click()
        page.locator("#examined table", has_text="quick check passed").wait_for()
        assert "wrong" not in page.locator("#tried").inner_text()
        assert axe(page) == []
