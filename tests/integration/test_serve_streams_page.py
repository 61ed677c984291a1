"""The page that shows services tries one that streams: its events are shown as they are made, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, expect
from serve_site import Place, serving_at

from bedplate.stages.deploy.service import Asked, service

SEEN = threading.Event()


def halves(upto: int = 4) -> Iterator[float]:
    """Gives halves; the last only once the first were seen."""
    for at in range(upto):
        if at == upto - 1:
            SEEN.wait(20)
        yield at / 2


def test_events_are_shown_as_they_come(chromium: Browser, tmp_path: Path) -> None:
    """The first ones while the last is not made yet; then the last value, large, and no error in the console."""
    made = Place(tmp_path)
    asked = [Asked(name="upto", annotation=int, default=4)]
    with serving_at(made, services=[service("halves", halves, [], asked, Iterator[float])]):
        context = chromium.new_context(base_url=made.url)
        page = context.new_page()
        errors: list[str] = []
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/docs")
        card = page.locator("#halves")
        expect(card.locator("pre").last).to_contain_text("curl -N -H 'Accept: text/event-stream'")
        card.get_by_role("button", name="Send").click()
        expect(card.locator(".answer")).to_contain_text("data: 1.0")
        assert "1.5" not in (card.locator(".answer").text_content() or "")
        SEEN.set()
        expect(card.locator(".result")).to_have_text("1.5")
        expect(card.locator(".answer")).to_contain_text('"values":4')
        context.close()
    assert errors == []
