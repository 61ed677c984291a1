"""Artifacts, lineage and features in the console, in a real browser: found, looked into, compared, walked from a file to a prediction."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl
import pytest
from browser import Tab, axe
from playwright.sync_api import expect
from up_site import API, Line, Up, in_thread

from bedplate.assembly import open_store
from bedplate.core.clock import SystemClock
from bedplate.core.config import resolve
from bedplate.core.features import FeatureSpec
from bedplate.core.records import Input, KeyParts, Version
from bedplate.core.sources import Entry
from bedplate.storage.shelf import Save
from bedplate.testing.records import History, draft

ODD = '<img src=x onerror="alert(1)">'
PASSPHRASE = "a long enough passphrase"
BEGAN = datetime.now(UTC) - timedelta(days=20)
SPEC = FeatureSpec(entity=("id",), time="at", ttl_s=86_400.0 * 30)
FILE = "in/b%20 a.csv"


HIDDEN = (
    "/artifacts/people",
    "/artifacts/people/2",
    "/artifacts/people/2/look",
    "/artifacts/people/2/look?csv=rows",
    "/artifacts/people/diff?from=1&to=2",
    "/artifacts/people/diff/rows?from=1&to=2",
    "/artifacts/pictures/1/media/dot.svg",
    "/lineage?of=people@2",
    "/lineage?of=file:in/b",
    "/features/habits",
    "/features/habits/values?entity=7",
    "/artifacts/people/rejected/a-1",
)
MADE_UP = (
    "/artifacts/nothing",
    "/artifacts/people/99",
    "/artifacts/people/diff?from=1&to=99",
    "/artifacts/people/diff",
    "/lineage?of=nothing@1",
    "/lineage?of=prediction:answers/none",
    "/lineage?of=prediction:../x/y",
    "/lineage?of=prediction:",
    "/lineage?of=service:none",
    "/lineage?of=run:none",
    "/lineage?of=file:%25",
    "/lineage?of=" + "x" * 5000,
    "/features/pictures",
    "/artifacts?token=made-up",
    "/artifacts?order=colour",
    "/artifacts/pictures/1/file/none",
    "/artifacts/people/2/file/x",
    "/artifacts/people/rejected/..",
    "/artifacts/people/sha256:00",
    "/artifacts/people/2/look?columns=99999999999999999999",
)


class Shop(NamedTuple):
    """The server, what records and stores for it, and where."""

    up: Up
    history: History
    store: Any
    folder: Path

    def makes(self, name: str, value: Any, kind: Any = "table", inputs: dict[str, Input] | None = None, **more: Any) -> Version:
        """A version with its bytes, made by a step of that name."""
        spec = more.pop("spec", None)
        done = self.history.done(name, **more)
        head = self.up.catalog.artifacts.head(name)
        made = self.store.save(Save(kind=kind, artifact=name, value=value, attempt=done.attempt.id, prior=head, spec=spec))
        return self.up.catalog.commit([msgspec.structs.replace(done, drafts=(made,), inputs=inputs or {})])[0][0]


def people(count: int, spent: float) -> pl.DataFrame:
    times = [BEGAN + timedelta(hours=number % 400) for number in range(count)]
    return pl.DataFrame(
        {"id": range(count), "at": times, "spent": [spent + number % 7 for number in range(count)], "town": [ODD, "Oslo"] * (count // 2)}
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A project of a file, two versions of a table, features, files and a prediction; every text in it is hostile."""
    folder = tmp_path_factory.mktemp("artifacts")
    with in_thread(folder) as up:
        made = Shop(up, History(up.catalog, SystemClock()), open_store(resolve(folder / "project.py", {}, {}), pickles=False), folder)
        filled(made)
        yield made


def filled(shop: Shop) -> None:
    read = {"source": (Entry(FILE, "/x", 10, "s1"), Entry(ODD, "/y", 20, "s2"))}
    shop.makes("people", people(100, 1.0), source_entries=read)
    newer = people(120, 1.0).with_columns(spent=pl.when(pl.col("id") == 7).then(99.5).otherwise("spent"))
    table = shop.makes("people", newer, source_entries=read, moves_head=True)
    given = Input(artifact="people", view="polars", version=table)
    keyed = shop.makes("habits", table_of(newer), inputs={"people": given}, spec=SPEC)
    looked = Input(artifact="habits", view="features", version=keyed)
    parts = KeyParts(code=(), settings={"features habits": {"entity": ["id"], "time": "at", "ttl_s": SPEC.ttl_s}})
    done = shop.history.done("model", draft("model", 1, "model"))
    step = msgspec.structs.replace(done.step, key_parts=parts)
    shop.up.catalog.commit([msgspec.structs.replace(done, step=step, inputs={"people": given, "habits": looked})])
    shop.makes("pictures", pictures(shop.folder), "files", inputs={"people": given})
    shop.store.log("predictions/answers").append(predictions())


def table_of(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("id", "at", "spent")


def pictures(folder: Path) -> Path:
    found = folder / "pictures"
    found.mkdir()
    (found / "dot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='9' height='9'/></svg>")
    (found / "evil.png").write_text(f"{ODD}<script>alert(1)</script>")
    (found / "rows.csv").write_text(f"a,b\n1,{ODD}\n")
    return found


def predictions() -> pl.DataFrame:
    looked = msgspec.json.encode({"habits": {"features": "habits@1", "entity": [7], "time": None}}).decode()
    return pl.DataFrame(
        {
            "prediction_id": ["p-1"],
            "request_id": ["q-1"],
            "at": [BEGAN + timedelta(days=19)],
            "latency_ms": [1.5],
            "status": [200],
            "error": [None],
            "models": ['{"model": 1}'],
            "looked": [looked],
            "result": [0.5],
            "features": [{"habits": {"spent": 99.5}}],
        },
        schema_overrides={"error": pl.String},
    )


def test_artifacts_are_found_sorted_and_opened(shop: Shop, tab: Tab) -> None:
    """The list narrows by a part of a name, sorts by its heads, and leads to the artifact with its versions and who uses it."""
    page = tab(shop.up.url, shop.up.token)
    page.goto("/artifacts")
    page.locator("main").get_by_role("link", name="Size").click()
    assert page.locator("tbody tr").first.locator("td").first.inner_text() == "people"
    page.fill("#q", "PEO")
    page.get_by_role("button", name="Find").click()
    assert page.locator("tbody tr").count() == 1
    page.locator("tbody").get_by_role("link", name="people").click()
    expect(page.locator("#table-versions tbody tr")).to_have_count(2)
    expect(page.locator("#table-uses")).to_contain_text("habits@1")
    expect(page.locator("#chart-rows canvas")).to_be_visible()
    assert "people,made," in shop.up.ask("GET", "/artifacts?csv=artifacts").body.decode()


def test_a_table_is_looked_into_by_a_few_of_its_rows(shop: Shop, tab: Tab) -> None:
    """Columns with how values are spread, the first rows and others by chance; texts are texts, whatever is in them."""
    page = tab(shop.up.url, shop.up.token)
    page.goto("/artifacts/people/2")
    look = page.locator("#look")
    expect(look).to_contain_text("Told by 120 of its 120 rows")
    expect(look.locator(".hist")).to_have_count(3)
    expect(look.locator(".tops")).to_contain_text("<img src=x onerror")
    look.get_by_role("button", name="Others, by chance").click()
    expect(look).to_contain_text("By chance")
    csv = page.request.get(look.locator("a[download]").last.get_attribute("href") or "").text()
    assert csv.startswith("id,at,spent,town")


def test_two_versions_are_compared_row_by_row(shop: Shop, tab: Tab) -> None:
    """What was added and what changed under the key that was found, with the cells; and a key that names no row is refused in words."""
    page = tab(shop.up.url, shop.up.token)
    page.goto("/artifacts/people")
    page.get_by_role("link", name="what changed").first.click()
    rows = page.locator("#rows")
    expect(rows).to_contain_text("under id")
    expect(rows.locator("#table-changes tbody tr")).to_have_count(1)
    expect(rows.locator("#table-changes")).to_contain_text("99.5")
    page.fill("#key", "town")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#rows")).to_contain_text("does not name a row")


def test_lineage_leads_from_a_file_to_a_prediction_and_back(shop: Shop, tab: Tab) -> None:
    """Box by box and line by line: the file, the table, the features, the model; from the prediction up to the file again."""
    page = tab(shop.up.url, shop.up.token)
    page.goto("/lineage")
    page.fill("#of", f"file:{FILE}")
    page.get_by_role("button", name="Look").click()
    page.locator("#graph-lineage a[data-id='people@2']").click()
    expect(page.locator("h1")).to_contain_text("people@2")
    page.locator("#table-lineage").get_by_role("link", name="habits@1").click()
    expect(page.locator("#graph-lineage a[data-id='model@1']")).to_be_visible()
    page.goto("/lineage?of=run:r-1")
    expect(page.locator("#graph-lineage a[data-id='habits@1']")).to_be_visible()
    page.goto("/lineage?of=prediction:answers/p-1")
    lines = page.locator("#table-lineage tbody tr")
    expect(lines.filter(has_text="chosen")).to_contain_text("habits@1")
    lines.get_by_role("link", name=FILE).click()
    expect(page.locator("h1")).to_contain_text(FILE)


def test_features_say_how_fresh_they_are_and_what_an_entity_was(shop: Shop, tab: Tab) -> None:
    """How the view is keyed as a step was told, its age against what it is worth, an entity's values, and both distributions."""
    page = tab(shop.up.url, shop.up.token)
    page.goto("/features")
    expect(page.locator(".pairs")).to_contain_text("fresh")
    page.locator("#table-features").get_by_role("link", name="habits").click()
    expect(page.locator("#values")).to_contain_text("over time")
    page.fill("#entity", "7")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#table-now")).to_contain_text("99.5")
    expect(page.locator("#chart-values-0 canvas")).to_be_visible()
    expect(page.locator("#chart-spread-0 svg")).to_be_visible()
    page.get_by_role("button", name="Compare now").click()
    expect(page.locator("#table-parity tbody tr")).to_contain_text("equal")
    page.goto("/features/habits?entity=nobody")
    expect(page.locator("#values")).to_contain_text("None of the rows read is of that entity")


def test_a_file_is_only_shown_as_what_it_is(shop: Shop, tab: Tab) -> None:
    """A picture is small in the list and runs nothing; a page that is named as a picture is none, and told so."""
    page = tab(shop.up.url, shop.up.token)
    page.goto("/artifacts/pictures/1")
    expect(page.locator("#look .pictures img")).to_have_count(1)
    page.locator("#table-files").get_by_role("link", name="evil.png").click()
    expect(page.locator(".preview .wrong")).to_be_visible()
    assert shop.up.ask("GET", "/artifacts/pictures/1/media/evil.png").status == 415
    picture = shop.up.ask("GET", "/artifacts/pictures/1/media/dot.svg")
    assert (picture.headers["content-type"], "sandbox" in picture.headers["content-security-policy"]) == ("image/svg+xml", True)
    assert shop.up.ask("GET", "/artifacts/pictures/1/download/rows.csv").headers["content-disposition"].startswith("attachment")


def test_bytes_that_are_gone_are_told_and_the_record_stays(shop: Shop, tab: Tab) -> None:
    """A version whose bytes were collected has its page; what cannot be read is said in its place."""
    lost = shop.makes("lost", people(10, 0.0))
    shutil.rmtree(shop.store.root / lost.uri)
    page = tab(shop.up.url, shop.up.token)
    page.goto("/artifacts/lost/1")
    expect(page.locator("#look")).to_contain_text("collected or gone")


def test_who_may_not_see_the_project_sees_nothing_of_it(shop: Shop) -> None:
    """No page, part of a page, picture or CSV; and the lists of artifacts and features are empty."""
    shop.up.ask("POST", f"{API}/users/create", {"username": "eve", "password": PASSPHRASE})
    known = {"Authorization": "Basic " + base64.b64encode(f"eve:{PASSPHRASE}".encode()).decode()}
    with Line(shop.up.url) as line:
        for path in HIDDEN:
            answer = line.ask("GET", path, headers=known)
            assert answer.status in (403, 404), path
            assert b"Oslo" not in answer.body, path
        shown = [line.ask("GET", path, headers=known).body for path in ("/artifacts", "/features", "/lineage")]
    assert not any(name in one for name in (b"people", b"habits") for one in shown)
    assert b"No artifacts yet" in shown[0]


def test_what_is_not_there_is_refused_in_words(shop: Shop) -> None:
    """A made-up name, number, key, order or token is the asker's mistake, never ours."""
    for path in MADE_UP:
        assert shop.up.ask("GET", path).status in (400, 404), path


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_can_be_read_by_everybody(shop: Shop, tab: Tab, scheme: str, width: int) -> None:
    """axe finds nothing serious, and nothing is wider than the window."""
    page = tab(shop.up.url, shop.up.token, viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path, there in (
        ("/artifacts", "table"),
        ("/artifacts/people", "#chart-rows canvas"),
        ("/artifacts/people/2", ".columns"),
        ("/artifacts/people/diff?from=1&to=2", "#table-changes"),
        ("/artifacts/pictures/1", ".pictures"),
        ("/lineage", "table"),
        ("/lineage?of=model@1", "#graph-lineage svg"),
        ("/features", ".pairs .state"),
        ("/features/habits", "#chart-spread-0 svg"),
        ("/artifacts/pictures/1/file/rows.csv", ".preview"),
    ):
        page.goto(path)
        page.locator(there).first.wait_for()
        assert axe(page) == [], path
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, path
