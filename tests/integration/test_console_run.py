"""The page of a run in a real browser: curves that refine, a log that is searched and goes on, harmless files, changes by role."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
import pytest
from browser import Tab, axe
from playwright.sync_api import Dialog, Page
from up_site import API, Up, in_thread

from bedplate.interfaces.http.console.one_run import log
from bedplate.testing.clock import ManualClock
from bedplate.testing.records import History, draft

EVIL = "<img src=x onerror=alert(1)><script>alert(1)</script>"
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef"
    b"\0\0\0\0IEND\xaeB`\x82"
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>top.hurt = 1; alert(1)</script></svg>'
PAGE = b"<!doctype html><html><body><script>top.hurt = 1; alert(1)</script></body></html>"


class Site(NamedTuple):
    """A server with one run of a client and one of the project."""

    up: Up
    client: str
    attempt: str
    log: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("run")
    with in_thread(folder) as server:
        history = History(server.catalog, ManualClock(), "r-1aaaaaaaa-aaaaaa")
        early = history.make("early", 1)
        server.catalog.commit([history.done("late", draft("late", 2), inputs={"early": early})])
        attempt = msgspec.structs.replace(history.attempt("talks"), log="r-1/talks.1.log")
        server.catalog.runs.begin_attempts([attempt])
        place = folder / ".bedplate" / "logs" / "r-1" / "talks.1.log"
        place.parent.mkdir(parents=True)
        with place.open("w") as file:
            file.writelines(f"\x1b[32mline {number}\x1b[0m {EVIL}\n" for number in range(200_000))
            file.write("ERROR the needle\n")
            file.writelines(f"after {number}\n" for number in range(20_000))
        yield Site(server, _client(server), attempt.id, place)


def _client(server: Up) -> str:
    """A run with hostile names, curves and files."""
    with server.line() as line:
        run = line.new_run(
            run_name=f"hostile {EVIL}", tags=[{"key": EVIL, "value": EVIL}, {"key": "mlflow.note.content", "value": f"note {EVIL}"}]
        )

        def batch(**said: object) -> None:
            assert line.ask("POST", f"{API}/runs/log-batch", {"run_id": run, **said}).status == 200

        for first in range(0, 4000, 1000):
            batch(
                metrics=[{"key": "loss", "value": 1 / (step + 1), "timestamp": step, "step": step} for step in range(first, first + 1000)]
            )
        odd = [
            {"key": f"odd {EVIL}"[:60], "value": ["NaN", "Infinity", 1.0][step % 3], "timestamp": step, "step": step} for step in range(30)
        ]
        batch(metrics=odd, params=[{"key": "long", "value": EVIL * 90}, {"key": "\u202ertl", "value": "\u202egnol"}])
        batch(metrics=[{"key": f"key {number:03}", "value": number, "timestamp": 0, "step": 0} for number in range(300)])
        batch(metrics=[{"key": "system/cpu", "value": step, "timestamp": 0, "step": step} for step in range(9)])
        for name, content in _files().items():
            answer = line.ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{name}", content, {"Content-Type": "x/y"})
            assert answer.status == 200, (name, answer)
    return run


def _files() -> dict[str, bytes]:
    rows, sound = io.BytesIO(), io.BytesIO()
    pl.DataFrame({EVIL: [EVIL, "\u202etext"] * 300}).write_parquet(rows)
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 800)
    return {
        "true.png": PNG, "page.png": PAGE, "svg.png": SVG, "drawing.svg": SVG, "page.html": PAGE, "rows.parquet": rows.getvalue(),
        "broken.parquet": rows.getvalue()[:-40] + b"\0" * 36 + b"PAR1", "rows.csv": f"{EVIL},=1+1\n{EVIL},@x\n".encode(),
        "told.json": json.dumps({"a": "</script>" + EVIL, "deep": [[[[1]]]]}).encode(), "sound.wav": sound.getvalue(),
        "model.pkl": b"\x80\x04\x95rest", "nul.txt": b"a\0b", "folder/deep/text.txt": f"{EVIL}\n\u202ertl".encode(),
    }  # fmt: skip


def _dialogs(page: Page) -> list[str]:
    """What scripts of others would say, were they run."""
    said: list[str] = []

    def hear(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", hear)
    return said


def _calm(page: Page) -> None:
    """Nothing of others ran, and nothing is wider than the window."""
    assert page.evaluate("() => window.hurt === undefined && top.hurt === undefined")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_curves_are_sampled_and_zoom_has_every_point(site: Site, tab: Tab) -> None:
    """A thousand of 4,000 points are drawn; a stretch that is zoomed into asks for its own points; a double click shows all again."""
    page = tab(site.up.url, site.up.token)
    page.goto(f"/runs/{site.client}?tab=metrics&q=loss")
    plot = page.locator("#chart-1 .u-over")
    plot.wait_for()
    count = "() => document.querySelector('#chart-1').chart.series[0].x.length"
    assert 900 < page.evaluate(count) <= 1000
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40)
    with page.expect_response(lambda answer: "first=" in answer.url):
        page.mouse.up()
    page.wait_for_function(
        "() => { const x = document.querySelector('#chart-1').chart.series[0].x; return x.length > 300 && x[9] - x[8] === 1; }"
    )
    page.locator("#chart-1 .u-over").dblclick()
    page.wait_for_function("() => document.querySelector('#chart-1').chart.series[0].x.length > 900")
    _calm(page)


def test_a_curve_grows_while_its_run_goes_on(site: Site, tab: Tab) -> None:
    """A point that is logged while the page is open is on it a moment later, and in the table below."""
    with site.up.line() as line:
        run = line.new_run(run_name="lives")

        def point(step: int, value: float | str) -> None:
            assert (
                line.ask(
                    "POST", f"{API}/runs/log-metric", {"run_id": run, "key": "m", "value": value, "timestamp": step, "step": step}
                ).status
                == 200
            )

        point(0, 1.0)
        point(1, 2.0)
        page = tab(site.up.url, site.up.token)
        page.goto(f"/runs/{run}?tab=metrics")
        page.locator("#chart-1 .u-over").wait_for()
        point(2, "NaN")
        page.wait_for_function("() => document.querySelector('#chart-1').chart.series[0].x.length === 3")
        page.locator("#chart-1 .note", has_text="1 of these 3 points are no numbers (NaN)").wait_for()
        page.locator("#live .state", has_text="NaN").wait_for()
        assert line.ask("POST", f"{API}/runs/update", {"run_id": run, "status": "FINISHED"}).status == 200
        page.locator("#run-head .state", has_text="done").wait_for()


def test_hundreds_of_keys_are_paged_and_found(site: Site, tab: Tab) -> None:
    """A page has a few of them, with the way to the next; a field narrows them."""
    page = tab(site.up.url, site.up.token)
    page.goto(f"/runs/{site.client}?tab=metrics&q=key")
    assert "1 to 24 of 300" in page.locator(".pages").inner_text()
    page.click("text=Next page")
    assert "key 024" in page.locator("#table-metrics").inner_text()
    page.fill("#q", "key 299")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=key+299*")
    assert page.locator("#table-metrics tbody tr").count() == 1


def test_a_long_log_is_searched_on_the_server_and_followed(site: Site, tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is shown first; what is printed meanwhile appears; words are found however far away, a piece at a time; no escape codes."""
    monkeypatch.setattr(log, "_SOUGHT", 4_000_000)
    page = tab(site.up.url, site.up.token)
    page.goto(f"/runs/{site.attempt}?tab=log")
    assert page.locator("#log").inner_text().rstrip().endswith("after 19999")
    with site.log.open("a") as file:
        file.write("\x1b[31mprinted just now\x1b[0m\n")
    page.locator("#log", has_text="printed just now").wait_for()
    page.fill("#find", "THE NEEDLE")
    page.keyboard.press("Enter")
    page.locator("#found").wait_for()
    assert page.locator("#found").inner_text().strip() == "ERROR the needle"
    page.click("text=Next match")
    assert "does not stand after" in page.locator("[role=status]").nth(1).inner_text()
    page.click("text=First lines")
    assert page.locator("#log").inner_text().startswith(f"line 0 {EVIL}")
    assert len(page.content()) < 300_000
    _calm(page)


def test_a_search_waits_for_another_and_holds_nobody(site: Site, tab: Tab) -> None:
    """While somebody's search looks at bytes, another one says so and goes on by itself once that one has ended."""
    page = tab(site.up.url, site.up.token)
    with log._SEARCHES:
        page.goto(f"/runs/{site.attempt}?tab=log&find=the+needle")
        page.get_by_text("another search is under way").wait_for()
    page.locator("#found").wait_for()


@pytest.mark.parametrize("name", sorted(_files()))
def test_files_of_others_are_shown_and_never_run(site: Site, tab: Tab, name: str) -> None:
    """Whatever a file is named, nothing of it runs in a page, and what it is not is told."""
    page = tab(site.up.url, site.up.token)
    dialogs = _dialogs(page)
    page.goto(f"/runs/{site.client}?tab=files&file={name}")
    page.locator(".preview").wait_for()
    page.wait_for_function("() => [...document.images].every((one) => one.complete)")
    _calm(page)
    assert dialogs == []
    said = page.locator(".preview").inner_text()
    assert ("another thing" in said or "cannot be read" in said) == (name in ("page.png", "svg.png", "broken.parquet", "nul.txt")), said
    if name == "true.png":
        assert page.evaluate("() => document.querySelector('.picture').naturalWidth") == 1


@pytest.mark.parametrize("name", ["page.png", "page.html", "told.json", "nul.txt", "model.pkl", "rows.parquet"])
def test_only_pictures_and_sounds_are_served_to_be_drawn(site: Site, name: str) -> None:
    """What is neither is refused as media, and a download is a download."""
    assert site.up.ask("GET", f"/runs/{site.client}/media?path={name}").status == 415
    answer = site.up.ask("GET", f"/runs/{site.client}/file?path={name}")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_picture_opened_by_itself_is_in_a_box(site: Site, tab: Tab) -> None:
    """An SVG whose address is opened runs nothing: it is sandboxed, may load nothing, and is not sniffed."""
    answer = site.up.ask("GET", f"/runs/{site.client}/media?path=drawing.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = tab(site.up.url, site.up.token, may_fail=("sandboxed", "Content Security Policy"))
    dialogs = _dialogs(page)
    page.goto(f"/runs/{site.client}/media?path=drawing.svg")
    assert page.evaluate("() => window.hurt") is None
    assert dialogs == []
    assert site.up.ask("GET", f"/runs/{site.client}/media?path=sound.wav", headers={"Range": "bytes=0-9"}).status == 206


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc", "/etc/passwd", "x" * 2000, "a%00b"])
def test_no_path_leads_out(site: Site, path: str) -> None:
    """A file's path is a key of the record."""
    assert site.up.ask("GET", f"/runs/{site.client}/file?path={path}").status in (400, 404)
    assert site.up.ask("GET", f"/runs/{site.client}/log?first=-5").status == 200


def test_a_run_is_renamed_tagged_deleted_and_brought_back(site: Site, tab: Tab) -> None:
    """By forms of the page; why it was deleted is in the audit log."""
    with site.up.line() as line:
        run = line.new_run(run_name="to be changed")
    page = tab(site.up.url, site.up.token)
    page.goto(f"/runs/{run}")

    def change(button: str, **fields: str) -> None:
        page.get_by_text("Change", exact=True).click()
        page.get_by_role("button", name=button).first.click()
        for field, value in fields.items():
            page.locator(f"dialog[open] [name={field}]").fill(value)
        with page.expect_navigation():
            page.locator("dialog[open] .acts button").first.click()

    change("Rename", run_name="changed")
    assert page.locator("h1").inner_text() == "changed"
    change("Tag", key="team", value=EVIL)
    assert EVIL in page.locator("#table-tags").inner_text()
    change("Note", value="what we learned")
    assert "what we learned" in page.locator(".note-card").inner_text()
    change("Delete", reason="a wrong seed")
    page.locator("#run-head", has_text="deleted").wait_for()
    change("Restore", reason="it was right")
    assert page.locator("#run-head", has_text="deleted").count() == 0
    page.goto("/audit?action=run.delete")
    assert "a wrong seed" in page.locator("#table-audit").inner_text()


def test_who_may_only_read_has_no_forms_and_strangers_no_page(site: Site, tab: Tab) -> None:
    """A viewer's page has nothing to change; of a run of an experiment that one may not see, nothing is told."""
    site.up.ask("POST", f"{API}/users/create", {"username": "vera", "password": "a long enough pass phrase"})
    site.up.ask("POST", f"{API}/experiments/permissions/create", {"experiment_id": "0", "username": "vera", "permission": "READ"})
    page = tab(site.up.url, site.up.token)
    page.context.clear_cookies()
    page.goto(f"/login?next=/runs/{site.client}")
    page.fill("#username", "vera")
    page.fill("#password", "a long enough pass phrase")
    page.click("button[type=submit]")
    page.wait_for_url(f"**/runs/{site.client}")
    assert page.locator("#table-params").count() == 1
    assert page.locator("dialog").count() == 0
    assert page.get_by_text("Change", exact=True).count() == 0

    def status(path: str) -> int:
        return int(page.request.get(path, headers={"Accept": "text/html"}).status)

    assert [status(f"/runs/{site.attempt}{tail}") for tail in ("", "/log?first=0", "/log/download", "/curve?key=m")] == [404] * 4
    assert [status(path) for path in ("/audit", "/audit/verified")] == [403, 403]
    assert page.request.get("/events").text().count("early") == 0


def test_a_link_that_a_client_prints_leads_to_the_run(site: Site, tab: Tab) -> None:
    """MLflow's clients name the page of MLflow's own console, whose routes stand behind a #."""
    page = tab(site.up.url, site.up.token)
    page.goto(f"/#/experiments/1/runs/{site.client}")
    page.wait_for_url(f"**/runs/{site.client}")
    page.goto("/#/experiments/1")
    page.wait_for_url("**/runs?experiment=1")


def test_a_run_of_the_project_shows_its_steps_and_versions(site: Site, tab: Tab) -> None:
    """Inputs and outputs are links to versions; each step leads to its attempt, an attempt to the run that it is inside of."""
    page = tab(site.up.url, site.up.token)
    page.goto("/runs/r-1aaaaaaaa-aaaaaa")
    assert page.locator("#table-outputs a", has_text="late@1").get_attribute("href") == "/artifacts/late/1"
    page.locator("#table-steps a", has_text="late").click()
    page.wait_for_url("**/runs/a-*")
    assert "early@1" in page.locator("#table-inputs").inner_text()
    assert page.locator(".trail a").last.get_attribute("href") == "/runs/r-1aaaaaaaa-aaaaaa"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tail", ["", "?tab=metrics&q=loss", "?tab=system", "?tab=files", "?tab=files&file=rows.csv"])
def test_every_tab_can_be_read_by_everybody(site: Site, tab: Tab, scheme: str, tail: str) -> None:
    """axe finds nothing serious on a phone, in light and dark; nothing is wider than it; no page is heavy."""
    page = tab(site.up.url, site.up.token, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    answer = page.goto(f"/runs/{site.client}{tail}")
    assert answer.status == 200
    assert len(answer.body()) < 300_000
    assert axe(page) == []
    _calm(page)
