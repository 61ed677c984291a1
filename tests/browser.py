"""A real Chromium for tests of pages: logged in with a token, and every error of a console kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

Tab = Callable[..., Page]
AXE = files("axe_playwright_python") / "axe.min.js"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a file: while it is there an event loop runs, which tests of other files have no use for.

    Where there is none the tests skip, in CI they fail.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: scripts/services says how")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Tab]:
    """Opens pages of a server: `tab(url, token)` is a page whose session is that token's. At the end no console may hold an error.

    `may_fail` are words of errors that the test provokes; further arguments go to the browser's context (`viewport`, `color_scheme`).
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_tab(url: str, token: str, *, may_fail: tuple[str, ...] = (), **options: Any) -> Page:
        context = chromium.new_context(base_url=url, **options)
        contexts.append(context)
        answer = context.request.post("/login", data={"username": "", "password": token})
        assert answer.ok, answer.text()
        page = context.new_page()

        def note(text: str) -> None:
            if not any(word in text for word in may_fail):
                errors.append(text)

        page.on("console", lambda said: note(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: note(str(error)))
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert not errors


def axe(page: Page) -> list[str]:
    """What axe-core finds that is serious: the rule and where."""
    source = AXE.read_text(encoding="utf-8")
    page.evaluate(f"() => {{ {source} }}")
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [f"{one['id']}: {one['nodes'][0]['target']}" for one in found if one["impact"] in ("serious", "critical")]
