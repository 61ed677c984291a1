"""From a served prediction to a watched one: a project is run, served and asked over HTTP, then told the truth and watched."""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from serve_site import serving_project

import bedplate
from bedplate.core.errors import NotFound
from bedplate.core.records import Event
from bedplate.interfaces import cli
from bedplate.pipeline.served import LOST
from bedplate.pipeline.workspace import Workspace

PROJECT = """
import numpy as np
import polars as pl

from bedplate import Check, Model, Project

taxis = Project("taxis")


@taxis.prepare
def rides() -> pl.DataFrame:
    n = 2000
    km = [(i * 7 % 100) / 10 for i in range(n)]
    return pl.DataFrame({"km": km, "zone": ["north" if i % 3 else "south" for i in range(n)], "fare": [3 + 2 * one for one in km]})


def line(params, columns):
    return params["base"] + params["slope"] * columns["km"]


@taxis.train
def price(rides: pl.DataFrame) -> Model:
    slope, base = np.polyfit(rides["km"].to_numpy(), rides["fare"].to_numpy(), 1)
    return Model.of(line, {"slope": round(float(slope), 6), "base": round(float(base), 6)}, example=rides.select("km", "zone"))


@taxis.service(p95="5 s")
def quote(price: Model, km: float, zone: str) -> float:
    return float(price.predict({"km": km, "zone": zone}))


@taxis.service
def unasked(price: Model, km: float) -> float:
    return 0.0


@taxis.watch(every="1 day")
def close(quote: pl.DataFrame) -> Check:
    known = quote.drop_nulls("label")
    return Check.at_most("error", float((known["label"] - known["result"]).abs().mean() or 0.0), 0.5)


@taxis.watch
def asked_at_all(unasked: pl.LazyFrame) -> Check:
    return Check.at_least("rows", unasked.collect().height, 1)


@taxis.watch
def either(quote: pl.DataFrame, unasked: pl.DataFrame | None) -> Check:
    return Check.at_least("rows", quote.height + (0 if unasked is None else unasked.height), 1)
"""
N = 300


def ask(url: str, n: int) -> list[dict[str, Any]]:
    """Ask for `n` quotes of longer rides than the model was trained on; what was answered."""
    answers = []
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)) as connection:
        for i in range(n):
            body = {"km": 5 + (i * 7 % 50) / 10, "zone": "north" if i % 3 else "south"}
            status, headers = post(connection, body)
            assert status == 200
            answers.append({"prediction_id": headers["X-Prediction-Id"], "request_id": headers["X-Request-Id"], **body})
        assert post(connection, {"km": "far"})[0] in (400, 422)
    return answers


def post(connection: http.client.HTTPConnection, body: Any) -> tuple[int, Mapping[str, str]]:
    connection.request("POST", "/quote", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    return response.status, response.headers


def serve_and_ask(workspace: Workspace, n: int) -> list[dict[str, Any]]:
    with serving_project(workspace) as url:
        return ask(url, n)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A project that was run, served and asked; its folder, and what was answered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEDPLATE_COMPUTE", "inline")
        folder = tmp_path_factory.mktemp("taxis")
        (folder / "taxis.py").write_text(PROJECT)
        workspace = bedplate.open(folder)
        assert workspace.run().ok
        return folder, serve_and_ask(workspace, N)


class Person:
    """Somebody at a terminal in a project's folder; commands run in this process."""

    def __init__(self, folder: Path, answers: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.answers = answers
        self._capsys = capsys

    def types(self, *words: str) -> tuple[int, str]:
        """The exit code, and everything printed."""
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        said = self._capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    def reads(self, *words: str) -> tuple[int, Any]:
        code, text = self.types(*words, "--json")
        return code, json.loads(text)

    def writes(self, name: str, rows: list[dict[str, Any]]) -> str:
        pl.DataFrame(rows).write_csv(self.folder / name)
        return name

    def truth(self, off: float = 0.0) -> list[dict[str, Any]]:
        """What each ride cost in the end: the model's own line, and `off` more."""
        return [{"prediction_id": one["prediction_id"], "label": 3 + 2 * one["km"] + off} for one in self.answers]


@pytest.fixture
def person(
    served: tuple[Path, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Person:
    folder = tmp_path / "taxis"
    shutil.copytree(served[0], folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BEDPLATE_COMPUTE", "inline")
    return Person(folder, served[1], capsys)


def test_watch_says_what_was_served_and_finds_the_drift_against_the_training_table(person: Person) -> None:
    code, said = person.reads("watch", "quote")
    report = said["reports"][0]
    assert (report["predictions"], report["answered"], report["refused"]) == (N + 1, N, 1)
    assert report["reference"] == "the 2,000 rows that price@1 was trained on"
    assert report["prediction_reference"] == "what price@1 says of 2,000 of them"
    assert {one["column"]: bool(one["reasons"]) for one in report["drift"]} == {"km": True, "zone": False}
    assert report["prediction"]["reasons"]
    assert any("'km' has drifted" in line and "4.95" in line for line in report["findings"])
    assert report["goal_p95_ms"] == 5000
    assert (code, said["watches"][0]["status"]) == (0, "done")


def test_labels_reach_the_report_and_the_projects_own_watch(person: Person) -> None:
    code, said = person.reads("labels", person.writes("truth.csv", person.truth(off=0.25)), "quote")
    assert (code, said["added"], said["labelled"], said["predictions"]) == (0, N, N, N + 1)
    code, said = person.reads("watch", "quote")
    report = said["reports"][0]
    assert code == 0
    assert report["labels"]["predictions"] == N
    assert report["quality"]["metrics"]["mae"] == pytest.approx(0.25, abs=1e-5)
    finding = said["watches"][0]["check"]["findings"][0]
    assert (finding["name"], finding["value"]) == ("error", pytest.approx(0.25, abs=1e-5))


def test_a_watch_whose_check_does_not_pass_ends_with_6_and_runs_again_only_for_new_predictions_or_labels(person: Person) -> None:
    person.types("labels", person.writes("truth.csv", person.truth(off=2)), "quote")
    code, text = person.types("watch", "quote")
    assert code == 6
    assert "FAIL error = 2 (<= 0.5)" in text
    code, said = person.reads("watch", "quote")
    assert (code, said["watches"][0]["status"]) == (6, "skipped")
    assert "close: FAIL error = 2 (<= 0.5), as found when it last ran" in person.types("watch", "quote")[1]
    person.types("labels", person.writes("better.csv", person.truth()), "quote")
    code, said = person.reads("watch", "quote")
    assert (code, said["watches"][0]["status"]) == (0, "done")
    assert "input quote: quote@" in said["watches"][0]["why"]


def test_the_same_file_twice_adds_nothing_and_the_latest_label_counts(person: Person) -> None:
    first, second = person.writes("first.csv", person.truth(off=1)), person.writes("second.csv", person.truth())
    assert person.reads("labels", first, "quote")[1]["added"] == N
    again = person.reads("labels", first, "quote")[1]
    assert (again["added"], again["known"], again["labelled"]) == (0, N, N)
    assert person.reads("labels", second, "quote")[1]["added"] == N
    assert person.reads("labels", first, "quote")[1]["added"] == N
    report = person.reads("watch", "quote")[1]["reports"][0]
    assert report["quality"]["metrics"]["mae"] == pytest.approx(1, abs=1e-5)


def test_labels_are_counted_against_what_was_served(person: Person) -> None:
    rows = [*person.truth(), *person.truth()[:7], {"prediction_id": "p-nobody", "label": 1.0}, {"prediction_id": "p-x", "label": None}]
    code, text = person.types("labels", person.writes("truth.csv", rows), "quote")
    assert code == 0
    assert f"{N:>9,}  belong to what was served" in text
    assert f"{7:>9,}  were replaced by a later row" in text
    assert f"{1:>9,}  name no prediction that is known" in text
    assert f"{1:>9,}  say nothing" in text


def test_labels_by_request_and_by_prediction_come_together(person: Person) -> None:
    by_request = [{"request_id": one["request_id"], "label": 1.0} for one in person.answers]
    person.types("labels", person.writes("by_request.csv", by_request), "quote")
    person.types("labels", person.writes("by_prediction.csv", person.truth()[:10]), "quote")
    frame = bedplate.open(person.folder)["quote"].load()
    assert frame["label"].null_count() == 1
    assert (frame["label"] == 1.0).sum() == N - 10


@pytest.mark.parametrize("view", ["polars", "polars.lazy", "pandas", "arrow", "duckdb"])
def test_predictions_are_handed_over_as_the_view_asked_for(person: Person, view: Any) -> None:
    loaded = bedplate.open(person.folder)["quote"].load(view=view)
    rows = loaded.collect().height if view == "polars.lazy" else loaded.shape[0] if view == "duckdb" else len(loaded)
    assert rows == N + 1


def test_drift_leaves_one_event_for_one_state_of_affairs(person: Person) -> None:
    workspace = bedplate.open(person.folder)
    for _ in range(2):
        person.types("watch", "quote")
    events = [event for _, event in workspace.catalog.events.since(0) if event.kind == "drift.found"]
    assert [event.subject for event in events] == ["quote"]
    assert set(events[0].data["columns"]) == {"km", "prediction"}
    assert events[0].data["versions"] == {"price@1": N}


def test_answers_that_could_not_be_recorded_are_told_first(person: Person) -> None:
    """Of this service and this window; else the figures would pass for the whole."""
    workspace = bedplate.open(person.folder)
    at = workspace.clock.now()
    for subject, count, days in (("quote", 80_001, 0), ("quote", 2, 9), ("unasked", 7, 0)):
        workspace.catalog.events.add(Event(kind=LOST, subject=subject, at=at - timedelta(days=days), data={"count": count, "why": "full"}))
    ever = person.reads("watch", "quote")[1]["reports"][0]
    lately = person.reads("watch", "quote", "--since", "1 day")[1]["reports"][0]
    assert (ever["lost"], lately["lost"]) == (80_003, 80_001)
    assert ever["findings"][0].startswith("80,003 answers are not in the record")


def test_the_page_is_written_and_its_place_said(person: Person) -> None:
    _, text = person.types("watch", "quote")
    written = person.folder / ".bedplate" / "reports" / "quote.html"
    assert "reports/quote.html" in text
    assert "'km' has drifted" in written.read_text().replace("&#x27;", "'")
    person.types("watch", "quote", "--html", "mine.html")
    assert (person.folder / "mine.html").read_text().startswith("<!doctype html>")


def test_the_terminal_shows_traffic_drift_quality_and_findings(person: Person) -> None:
    person.types("labels", person.writes("truth.csv", person.truth()), "quote")
    _, text = person.types("watch", "quote")
    for part in ("traffic", "goal 5e+03 ms + met", "What stands out", "! 'km' has drifted", "x  km", "Drift", "Quality", "mae"):
        assert part in text
    assert "the page:" in text
    assert re.search(r"^ [+=] close .*\n +pass ", text, re.MULTILINE)


def test_run_leaves_watches_out_unless_one_is_named(person: Person) -> None:
    code, text = person.types("run")
    assert (code, "close" in text) == (0, False)
    code, text = person.types("run", "close")
    assert (code, "close" in text) == (0, True)
    lineage = person.types("lineage", "close")[1]
    assert "quote@" in lineage


def test_a_window_may_begin_later_and_be_sliced_by_a_time_of_the_labels(person: Person) -> None:
    rows = [{**one, "driven": f"2026-0{1 + i % 9}-01T00:00:00"} for i, one in enumerate(person.truth())]
    person.types("labels", person.writes("truth.csv", rows), "quote")
    report = person.reads("watch", "quote", "--by", "driven")[1]["reports"][0]
    assert report["sliced_by"] == "driven"
    assert sum(one["labelled"] for one in report["slices"]) == N
    late = person.reads("watch", "quote", "--since", "2199-01-01")[1]["reports"][0]
    assert (late["predictions"], late["findings"]) == (0, ["Nothing was served in this window."])
    code, text = person.types("watch", "quote", "--by", "zone")
    assert (code, "cannot slice by 'zone'" in text, "it holds String, not times" in text) == (2, True, True)
    code, text = person.types("watch", "quote", "--by", "nope")
    assert (code, "neither the request, the features nor the labels" in text, "next: --by driven" in text) == (2, True, True)
    code, text = person.types("watch", "quote", "--since", "lately")
    assert (code, "--since lately is neither" in text) == (2, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no labels file"),
        ("", "cannot be read as csv"),
        ("prediction_id,label\n", "brings no label"),
        ("prediction_id,label\np-1,\n", "none of its 1 rows has a label"),
        ("prediction_id,truth\np-1,1\n", "no column 'label'"),
        ("id,label\np-1,1\n", "neither 'prediction_id' nor 'request_id'"),
    ],
)
def test_a_bad_labels_file_is_named_with_what_to_do(person: Person, content: str | None, said: str) -> None:
    if content is not None:
        (person.folder / "bad.csv").write_text(content)
    code, text = person.types("labels", "bad.csv", "quote")
    assert code == 2
    assert said in text
    assert "next:" in text
    assert not bedplate.open(person.folder).store.log("labels/quote").files()


def test_a_service_that_served_nothing_is_said_and_its_watch_is_blocked(person: Person) -> None:
    code, text = person.types("watch", "unasked")
    assert code == 2
    assert "unasked served nothing yet" in text
    assert "bedplate serve unasked" in text
    code, text = person.types("run", "asked_at_all")
    assert code == 1
    assert "'unasked' has predicted nothing yet" in text
    with pytest.raises(NotFound, match="predicted nothing yet"):
        bedplate.open(person.folder)["unasked"].load()
    code, said = person.reads("watch")
    assert [report["service"] for report in said["reports"]] == ["quote"]
    assert [(one["name"], one["status"]) for one in said["watches"]] == [("close", "done"), ("either", "done")]


@pytest.mark.parametrize("verb", [("watch",), ("labels", "truth.csv")])
def test_an_unknown_service_and_what_is_none_are_refused_by_name(person: Person, verb: tuple[str, ...]) -> None:
    code, text = person.types(*verb, "quot")
    assert (code, "did you mean 'quote'?" in text) == (2, True)
    code, text = person.types(*verb, "price")
    assert (code, "price is no service" in text) == (2, True)


def test_labels_ask_which_service_where_there_are_several(person: Person) -> None:
    code, text = person.types("labels", person.writes("truth.csv", person.truth()))
    assert (code, "taxis has 2 services" in text) == (2, True)


def test_one_page_is_not_written_for_two_services(person: Person) -> None:
    store = bedplate.open(person.folder).store
    store.log("predictions/unasked").append(store.log("predictions/quote").scan().collect())
    code, text = person.types("watch", "--html", "both.html")
    assert (code, "--html both.html is one page" in text) == (2, True)


def test_a_table_given_as_the_example_later_brings_the_reference_to_the_version_that_is_there(person: Person) -> None:
    source = person.folder / "taxis.py"
    text = source.read_text()
    source.write_text(text.replace('select("km", "zone"))', 'select("km", "zone").head(5))'))
    workspace = bedplate.open(person.folder)
    workspace.run()
    assert workspace.store.reference(workspace.catalog.artifacts.get("price")) is None
    assert any("give price its training table" in note for note in person.reads("watch", "quote")[1]["reports"][0]["notes"])
    source.write_text(text)
    workspace = bedplate.open(person.folder)
    workspace.run(fresh=True)
    version = workspace.catalog.artifacts.get("price")
    assert (version.number, workspace.store.reference(version) is not None) == (1, True)
    workspace.store.verify(version)
