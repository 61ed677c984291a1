"""The page of runs in a real browser: filters with completion, columns, order, views, chosen rows and what is done to them, children."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Tab, axe
from playwright.sync_api import Page, expect
from up_site import API, Up, in_thread

HOSTILE = "<img src=x onerror=alert(1)> \u202e" + "x" * 300


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Sixty runs, each tenth with two children, one of a hostile name; one more in an experiment that only the administrator sees."""
    with in_thread(tmp_path_factory.mktemp("runs")) as server:
        with server.line() as line:
            for number in range(60):
                run = line.new_run(run_name=HOSTILE if number == 59 else f"run {number}", start_time=1_000 + number)
                said = {"metrics": [{"key": "val/acc", "value": number / 100, "timestamp": 1, "step": 0}]}
                said |= {"params": [{"key": "my depth", "value": str(number % 7)}], "tags": [{"key": HOSTILE[:200], "value": HOSTILE}]}
                line.ask("POST", f"{API}/runs/log-batch", {"run_id": run, **said})
                for child in range(2 if number % 10 == 0 else 0):
                    tags = [{"key": "mlflow.parentRunId", "value": run}]
                    line.new_run(run_name=f"child {number}.{child}", tags=tags, start_time=1_000 + number)
            secret = line.ask("POST", f"{API}/experiments/create", {"name": "secret"}).json["experiment_id"]
            line.ask("POST", f"{API}/runs/create", {"experiment_id": secret, "run_name": "unseen", "start_time": 1})
        yield server


def rows(page: Page) -> list[str]:
    """The names of the runs that are shown."""
    return [text.strip() for text in page.locator("#table-runs tbody td:nth-child(2) > a:not(.count)").all_inner_texts()]


def test_a_filter_is_completed_by_keyboard_and_answered(site: Up, tab: Tab) -> None:
    """Keys, comparators and AND come as suggestions that arrows and Enter take; the runs that match are shown, in the order asked."""
    page = tab(site.url, site.token)
    page.goto("/runs")
    field = page.locator("#filter")
    written = (
        ("metrics.ac", "metrics.val/acc"), (">", ">"), ("0.5 ", "AND"), ("params.", "params.`my depth`"), ("=", "="), ("'2'", ""),
    )  # fmt: skip
    for typed, wanted in written:
        field.press_sequentially(typed)
        if wanted:
            expect(page.get_by_role("option").first).to_have_text(wanted)
            field.press("ArrowDown")
            field.press("Enter")
    assert field.input_value() == "metrics.val/acc > 0.5 AND params.`my depth` = '2'"
    field.press("Enter")
    page.wait_for_url("**/runs?filter=*")
    assert rows(page) == ["run 58", "run 51"]
    page.goto("/runs?order=metrics.%60val%2Facc%60+ASC")
    assert rows(page)[:2] == ["run 0", "run 1"]
    page.locator("th a", has_text="val/acc").click()
    page.wait_for_url("**DESC")
    assert rows(page)[1] == "run 58"


def test_a_wrong_filter_is_told_beside_its_field(site: Up, tab: Tab) -> None:
    """In the grammar's words; nothing is searched, and the field keeps what was written."""
    page = tab(site.url, site.token)
    page.goto("/runs?filter=metrics.acc+LIKE+'x'")
    assert "Invalid comparator 'LIKE' for metric 'acc'" in page.locator("#filter-wrong").inner_text()
    assert page.locator("#filter").get_attribute("aria-invalid") == "true"
    assert page.locator("#filter").input_value() == "metrics.acc LIKE 'x'"
    assert page.locator("#table-runs").count() == 0


def test_columns_come_when_they_are_asked_for_and_a_view_keeps_them(site: Up, tab: Tab) -> None:
    """A column is suggested, shown and sorted by; the address is saved under a name, found again, and taken away."""
    page = tab(site.url, site.token)
    page.goto("/runs")
    page.locator("#columns summary").click()
    page.locator("#column").fill("user")
    page.get_by_role("option", name="attributes.user_id").click()
    page.locator("#columns").get_by_role("button", name="Apply").click()
    page.wait_for_url("**columns=attributes.user_id*")
    assert page.locator("th", has_text="user_id").count() == 1
    page.locator("summary", has_text="Views").click()
    page.get_by_role("button", name="Save this view…").click()
    page.fill("#view-name", "who & <b>what</b>")
    with page.expect_navigation():
        page.locator("#save-view button.main").click()
    page.goto("/runs")
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="who & <b>what</b>").click()
    assert page.locator("th", has_text="user_id").count() == 1
    page.locator("summary", has_text="Views").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Take away the view").click()
    page.get_by_text("No saved views yet").wait_for(state="attached")


def test_chosen_rows_stay_over_pages_and_lead_to_the_comparison(site: Up, tab: Tab) -> None:
    """What is ticked on one page is still chosen on the next; both runs are compared."""
    page = tab(site.url, site.token)
    page.goto("/runs")
    page.get_by_role("checkbox", name="Choose run 58").check()
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**token=*")
    page.get_by_role("checkbox", name="Choose run 3", exact=True).check()
    expect(page.locator("#chosen [data-count]")).to_have_text("2")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?runs=*")
    assert page.locator("h1").inner_text() == "Compare 2 runs"


def test_runs_are_deleted_with_a_reason_and_brought_back(site: Up, tab: Tab) -> None:
    """The reason stands in the audit log; the row goes without a reload and is found among the deleted."""
    page = tab(site.url, site.token)
    page.goto("/runs")
    page.get_by_role("checkbox", name="Choose run 57").check()
    page.get_by_role("button", name="Delete…").click()
    page.fill("#delete-reason", "it never was one")
    page.locator("#delete-runs button.danger").click()
    page.get_by_role("link", name="run 57").wait_for(state="detached")
    page.goto("/runs?stage=deleted")
    assert rows(page) == ["run 57"]
    page.get_by_role("button", name="Restore…").click()
    page.fill("#restore-reason", "it was")
    page.locator("#restore-runs button.main").click()
    page.get_by_text("No run matches.").wait_for()
    assert "it never was one" in str(site.catalog.audit.found(action="run.delete"))


def test_runs_at_the_top_come_first_and_children_on_demand(site: Up, tab: Tab) -> None:
    """Children are counted beside their parent, shown alone, or among all."""
    page = tab(site.url, site.token)
    page.goto("/runs?filter=run_name+LIKE+'%25ru%25n+50%25'")
    assert rows(page) == ["run 50"]
    page.get_by_role("link", name="2 children of run 50").click()
    page.wait_for_url("**parent=*")
    assert sorted(rows(page)) == ["child 50.0", "child 50.1"]
    page.goto("/runs?children=1")
    assert "child 50.0" in rows(page)


def test_nothing_shows_what_one_may_not_see(site: Up, tab: Tab) -> None:
    """A viewer of one experiment finds no other in the table, the count, the choice, the suggestions or the CSV, and no form to delete."""
    site.ask("POST", f"{API}/users/create", {"username": "vera", "password": "a long enough pass phrase"})
    site.ask("POST", f"{API}/experiments/permissions/create", {"experiment_id": "0", "username": "vera", "permission": "READ"})
    page = tab(site.url, site.token)
    page.context.clear_cookies()
    page.goto("/login")
    page.fill("#username", "vera")
    page.fill("#password", "a long enough pass phrase")
    page.click("button[type=submit]")
    page.wait_for_url("**/")
    page.goto("/runs")
    assert "60 runs" in page.locator("caption").inner_text()
    assert "secret" not in page.content()
    assert page.locator("#delete-runs").count() == 0
    assert page.get_by_role("button", name="Delete…").count() == 0
    assert "unseen" not in page.request.get("/runs?csv=runs&experiment=1").text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_runs_can_be_read_by_everybody(site: Up, tab: Tab, scheme: str) -> None:
    """axe finds nothing serious with menus and suggestions open, and nothing is wider than a phone."""
    page = tab(site.url, site.token, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto("/runs?children=1")
    page.get_by_role("checkbox", name="Choose run 58").check()
    page.locator("#columns summary").click()
    page.locator("#column").press("ArrowDown")
    page.get_by_role("option").first.wait_for()
    assert axe(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
