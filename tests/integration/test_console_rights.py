"""Every address of the console, asked by people who may not see what it is about: as if there were nothing, and not a word of it.

The table says how each address is asked. A page that is not in it fails here: whoever adds one says how it is asked.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote, unquote

import pytest
from depot import Depot
from up_site import API, Answer, Line

from bedplate.interfaces.http.up.table import endpoints

OURS = "/api/bedplate"
PASSWORD = "plover quartz tandem 41"
NAMES: Final = ("mona", "stan", "vera")
OTHERS: Final = re.compile(r"(?i)ember-[a-z]+")
"""What only those may read who may see the other experiment."""
HUSHED: Final = re.compile(rf"{OTHERS.pattern}|transit|arrives_in|parcels|distance_km|close_enough|day_1")
"""The same and words of the project."""

GETS: Final[dict[str, tuple[str, ...]]] = {
    "/": ("", "step=transit", "skipped=1", "csv=steps", "step=transit&csv=versions"),
    "/project/graph": ("", "step=transit"),
    "/project/parts": ("step=transit", "step=transit&csv=parts"),
    "/runs": (
        "", "csv=runs", "experiment={experiment}", "experiment={experiment}&csv=runs", "parent={run}", "parent={run}&csv=runs",
        "children=1",
        "filter=attributes.run_name+LIKE+'%25mb%25'&csv=runs", "filter=params.`ember-key`+%3D+'ember-value'",
        "columns=params.ember-key&csv=runs",
        "order=metrics.ember-metric+DESC", "stage=all", "stage=deleted",
    ),
    "/runs/complete": (
        "text=em", "text=metrics.em", "text=params.em", "text=tags.em", "what=column&text=em", "text=em&experiment={experiment}",
        "what=column&text=params.em&experiment={experiment}",
    ),
    "/runs/{id}": (
        "", "tab=metrics", "tab=system", "tab=log", "tab=log&find=ember-", "tab=files", "tab=files&file=ember-file.csv", "tab=inside",
        "tab=metrics&csv=metrics", "tab=overview&csv=params", "tab=files&model={logged}", "tab=files&csv=files",
    ),
    "/runs/{id}/curve": ("key=ember-metric", "key=ember-metric&csv=1"),
    "/runs/{id}/log": ("",),
    "/runs/{id}/log/download": ("",),
    "/runs/{id}/media": ("path=ember-file.csv", "path=ember-file.csv&model={logged}"),
    "/runs/{id}/file": ("path=ember-file.csv", "path=ember-file.csv&model={logged}"),
    "/compare": (
        "runs={runs}", "runs={runs}&csv=values", "runs={runs}&csv=origins", "runs={runs}&csv=data", "runs={runs}&csv=differences",
        "runs={runs}&base={run}", "runs={runs}&across=params.ember-key&up=metrics.ember-metric",
    ),
    "/compare/curve": ("runs={runs}&key=ember-metric", "runs={runs}&key=ember-metric&csv=1"),
    "/artifacts": ("", "q=em", "csv=artifacts", "order=versions", "kind=model", "stage=train", "order=made&csv=artifacts"),
    "/artifacts/{name}": ("", "csv=versions", "csv=uses", "csv=failed", "csv=services", "csv=growth", "before=5"),
    "/artifacts/{name}/diff": ("from=1&to=1", "from=1&to=1&csv=facts"),
    "/artifacts/{name}/diff/rows": ("from=1&to=1", "from=1&to=1&key=kind&csv=changes"),
    "/artifacts/{name}/{number}": ("", "csv=schema", "csv=inputs", "csv=sources", "csv=uses"),
    "/artifacts/{name}/{number}/look": ("", "seed=1", "csv=rows", "csv=columns", "start=1"),
    "/artifacts/{name}/{number}/file/{file...}": ("", "csv=rows"),
    "/artifacts/{name}/{number}/media/{file...}": ("",),
    "/artifacts/{name}/{number}/download/{file...}": ("",),
    "/artifacts/{name}/rejected/{attempt}": ("", "csv=rows"),
    "/features": ("", "csv=features"),
    "/features/{name}": ("", "csv=uses", "entity=1"),
    "/features/{name}/fresh": ("",),
    "/features/{name}/values": ("", "entity=1", "csv=now", "csv=kept"),
    "/features/{name}/spread": ("",),
    "/features/{name}/parity": ("", "csv=parity"),
    "/lineage": (
        "", "csv=heads", "of={model}@1", "of={model}@1&csv=lineage", "of=run:{run}", "of=file:day_1.csv", "of=service:arrives_in",
        "of=prediction:arrives_in/{prediction}", "of={table}@1&up=12&down=12", "of={model}@production",
    ),
    "/models": ("", "q=em", "csv=models", "q=trans&csv=models", "token={token}"),
    "/models/{name}": ("", "csv=versions", "csv=history", "csv=figures"),
    "/models/{name}/{number}": ("", "against=1", "csv=differences", "csv=inputs", "csv=figures", "csv=signature"),
    "/models/{name}/{number}/card": ("",),
    "/serving": ("", "csv=services"),
    "/serving/{name}": ("", "csv=servers", "like={prediction}"),
    "/serving/{name}/traffic": ("", "span=all", "csv=by-version", "csv=messages", "csv=latency"),
    "/serving/{name}/report": ("", "csv=drift", "csv=parity"),
    "/serving/{name}/predictions": ("", "version={model}@1", "csv=predictions", "wrong=yes"),
    "/serving/{name}/predictions/{id}": ("", "csv=request", "csv=features"),
    "/plan": ("", "csv=planned", "csv=record", "csv=off-by"),
    "/size": ("", "question=cost"),
    "/money": ("", "csv=runs", "csv=steps", "csv=stages", "month=2026-01", "since=0001-01-01"),
    "/schedule": ("", "csv=decisions", "csv=standing", "csv=days", "status=done"),
    "/events": ("", "csv=events", "subject=transit@1", "kind=catalog.migrated"),
    "/audit": ("", "csv=audit", "actor=admin"),
    "/settings": ("", "csv=tokens"),
    "/settings/accounts": ("", "account=admin", "csv=accounts"),
    "/settings/webhooks": ("", "csv=webhooks", "webhook=1"),
    "/settings/targets": ("", "now=1", "csv=targets"),
    "/settings/server": ("", "csv=servers", "csv=heads"),
    "/assets/{digest}/{name...}": (),
}  # fmt: skip
"""Each address, and the queries that it is asked with; `{...}` in them are what the other's things are called."""
POSTS: Final[dict[str, dict[str, Any]]] = {
    "/project/run": {"names": [], "reason": "mine now"},
    "/project/due": {"reason": "mine now"},
    "/project/cancel": {"run": "{project_run}", "reason": "mine now"},
    "/models/{name}/promote": {"version": 1, "reason": "mine now", "seen": {"production": 1}},
    "/models/{name}/rollback": {"to": 1, "reason": "mine now", "seen": {"production": 1}},
    "/settings/targets/test": {"target": "default"},
    "/settings/examine": {},
}
OWN: Final = {"/views/save": {"room": "runs", "name": "mine", "address": "order=x"}, "/views/drop": {"room": "runs", "name": "shared"}}
"""Each address that changes something for others, or of one's own alone, and what is sent."""


class Person(NamedTuple):
    """Somebody: his name, his token, and the words that no answer to him may have."""

    name: str
    token: str
    hushed: re.Pattern[str]


class Place(NamedTuple):
    """A server with the project, another experiment, and the people."""

    depot: Depot
    things: dict[str, str]
    people: dict[str, Person]

    def ask(self, token: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        with Line(self.depot.server.url, token) as line:
            return line.ask(method, path, body, headers)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The project ran, a service answered, an admin logged to `ember`; `vera` may read an experiment of her own making, `mona` the
    project, `stan` nothing.
    """
    depot = Depot(tmp_path_factory.mktemp("rights"))
    try:
        made = Place(depot, {}, {})
        admin = depot.server.token
        assert depot.asks(3)[0] == 3
        made.things.update(ember(made, admin), **of_the_project(made, admin))
        for name in NAMES:
            made.people[name] = Person(name, enters(made, name), OTHERS if name == "mona" else HUSHED)
        own = made.ask(made.people["vera"].token, "POST", f"{API}/experiments/create", {"name": "veras"}).json["experiment_id"]
        assert made.ask(made.people["vera"].token, "POST", f"{API}/runs/create", {"experiment_id": own}).status == 200
        grant = {"account": "mona", "role": "viewer"}
        assert made.ask(admin, "PUT", f"{OURS}/experiments/{made.things['project']}/grants", grant).status == 200
        yield made
    finally:
        depot.close()


def enters(place: Place, name: str) -> str:
    """A new account, and the token of its session."""
    admin, said = place.depot.server.token, {"username": name, "password": PASSWORD}
    assert place.ask(admin, "POST", f"{OURS}/accounts", {"name": name}).status == 200
    assert place.ask(admin, "PATCH", f"{API}/users/update-password", said).status == 200
    return str(place.ask("", "POST", "/login", said).json["token"])


def ember(place: Place, admin: str) -> dict[str, str]:
    """What an admin logs, every text of it with the word in it."""

    def post(path: str, **body: Any) -> Any:
        answer = place.ask(admin, "POST", f"{API}/{path}", body)
        assert answer.status == 200, (path, answer)
        return answer.json

    experiment = str(post("experiments/create", name="ember-experiment")["experiment_id"])
    run = post("runs/create", experiment_id=experiment, run_name="ember-run")["run"]["info"]["run_id"]
    child = {"key": "mlflow.parentRunId", "value": run}
    inner = post("runs/create", experiment_id=experiment, run_name="ember-child", tags=[child])["run"]["info"]["run_id"]
    points = [{"key": "ember-metric", "value": value, "timestamp": 1, "step": step} for step, value in enumerate((1.0, 2.0, 3.0))]
    said = [{"key": "ember-key", "value": "ember-value"}]
    for one in (run, inner):
        post("runs/log-batch", run_id=one, metrics=points, params=said, tags=said)
    dataset = {"name": "ember-data", "digest": "ember-digest", "source_type": "local", "source": "ember-source"}
    post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": []}])
    logged = post("logged-models", experiment_id=experiment, name="ember-logged", source_run_id=run)["model"]["info"]["model_id"]
    post("runs/outputs", run_id=run, models=[{"model_id": logged, "step": 1}])
    files = "/api/2.0/mlflow-artifacts/artifacts"
    for where in (f"{run}/artifacts", f"models/{logged}/artifacts"):
        assert place.ask(admin, "PUT", f"{files}/{experiment}/{where}/ember-file.csv", b"a,b\nember-cell,1\n").status == 200
    post("registered-models/create", name="ember-model", description="ember-note")
    post("model-versions/create", name="ember-model", source=f"runs:/{run}/ember-path", run_id=run, description="ember-words")
    post("registered-models/alias", name="ember-model", alias="ember-alias", version="1")
    post("runs/update", run_id=inner, status="FINISHED")
    saved = {"room": "runs", "name": "shared", "address": "filter=ember-view"}
    assert place.ask(admin, "POST", "/views/save", saved).status == 200
    return {"experiment": experiment, "run": run, "inner": inner, "logged": logged, "ember": "ember-model", "token": "ember"}


def of_the_project(place: Place, admin: str) -> dict[str, str]:
    """What the project's things are called."""

    found = place.ask(admin, "GET", f"{API}/experiments/get-by-name?experiment_name=parcels").json["experiment"]
    rows = place.ask(admin, "POST", f"{API}/runs/search", {"experiment_ids": [found["experiment_id"]]}).json["runs"]
    runs = [row["info"]["run_id"] for row in rows]
    run = next(one for one in runs if one.startswith("r-"))
    attempt = re.findall(r"/runs/(a-[0-9a-z-]+)", place.ask(admin, "GET", f"/runs/{run}").body.decode())[0]
    until, lines = time.monotonic() + 30, [""]
    while len(lines) < 2 and time.monotonic() < until:
        lines = place.ask(admin, "GET", "/serving/arrives_in/predictions?csv=predictions").body.decode().splitlines()
    return {
        "project": str(found["experiment_id"]), "project_run": run,
        "attempt": attempt, "model": "transit", "table": "delivered", "service": "arrives_in",
        "prediction": lines[1].partition(",")[0],
    }  # fmt: skip


def console() -> list[tuple[str, str]]:
    """Method and path of every address of the console."""
    return [(one.method, one.path) for one in endpoints() if ".http.console." in one.answer.__module__]


def test_every_address_is_in_the_table() -> None:
    """Whoever adds a page says here how it is asked: nothing else would look whether it tells what one may not see."""
    known = {("GET", path) for path in GETS} | {("POST", path) for path in (*POSTS, *OWN)}
    assert set(console()) == known


MEANS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "project": {
        "runs": ("project_run", "attempt"), "artifacts": ("table", "model"), "features": ("table",), "models": ("model",),
        "serving": ("service",),
    },
    "ember": {"runs": ("run", "inner"), "artifacts": ("ember",), "features": ("ember",), "models": ("ember",), "serving": ("ember",)},
}  # fmt: skip
"""By room, what the names in its addresses stand for: of the project, and of the other experiment."""

NOT_HERE: Final = frozenset({
    "/artifacts/{name}/{number}/file/{file...}", "/artifacts/{name}/{number}/media/{file...}",
    "/artifacts/{name}/{number}/download/{file...}", "/features/{name}/fresh", "/features/{name}/values", "/features/{name}/spread",
    "/features/{name}/parity", "/runs/{id}/media", "/runs/{id}/log/download", "/artifacts/{name}/rejected/{attempt}",
})  # fmt: skip
"""Addresses of what this project has none of: files of a version, keyed features, a picture, a log, rows that were left out."""


NEVER: Final = ("run", "inner", "ember", "prediction", "attempt", "model", "logged", "table", "project_run", "token", "experiment")
NOWHERE: Final = Place(cast("Depot", None), dict.fromkeys(NEVER, "never-there"), {})
"""Names of what there never was."""


def put(text: str, things: Mapping[str, str]) -> str:
    """A text with the names of things in it."""
    for name, thing in things.items():
        text = text.replace(f"{{{name}}}", quote(thing, safe=","))
    return text


def filled(place: Place, path: str, whose: str) -> Iterator[str]:
    """An address with the names of things in it."""
    things = place.things
    attempt = things["attempt" if whose == "project" else "run"]
    for name in MEANS[whose].get(path.split("/")[1], ("",)):
        thing = things.get(name, "")
        id = things["prediction"] if path.endswith("predictions/{id}") else thing
        yield put(path, {"name": thing, "id": id, "number": "1", "file...": "ember-file.csv", "attempt": attempt})


def asked(place: Place, path: str, whose: str) -> Iterator[str]:
    """The addresses of a row of the table."""
    runs = ",".join(place.things[name] for name in ("run", "inner", "project_run", "attempt"))
    for query in GETS[path]:
        for address in filled(place, path, whose):
            yield address + (f"?{put(query, {**place.things, 'runs': runs})}" if query else "")


def told(person: Person, address: str, answer: Answer) -> set[str]:
    """What an answer says that the person may not read, and did not say himself."""
    said = (answer.body + repr(sorted(answer.headers.items())).encode()).decode("utf-8", "replace")
    return {one.lower() for one in person.hushed.findall(said)} - {one.lower() for one in person.hushed.findall(unquote(address))}


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_has_a_word_of_what_one_may_not_see(place: Place, name: str) -> None:
    """Pages, parts of pages, CSV, JSON, files and refusals, as browsers and as programs ask them."""
    person, wrong = place.people[name], []
    for path in GETS:
        for address in dict.fromkeys(one for whose in MEANS for one in asked(place, path, whose)):
            for accept in ("text/html", "*/*"):
                answer = place.ask(person.token, "GET", address, Accept=accept)
                if found := told(person, address, answer):
                    wrong.append(f"{address} ({answer.status}): {sorted(found)}")
                if answer.status >= 500:
                    wrong.append(f"{address}: {answer.status}")
    assert not wrong, "\n".join(wrong)


def test_an_admin_reads_at_every_address(place: Place) -> None:
    """The table asks for what is there: otherwise nothing above would be proved. Some things a record has not, and is said not to have."""
    admin = place.depot.server.token
    for path in (path for path, queries in GETS.items() if queries):
        statuses = {place.ask(admin, "GET", one).status for whose in MEANS for one in asked(place, path, whose)}
        assert 200 in statuses or path in NOT_HERE, (path, statuses)
    whole = b"".join(
        place.ask(admin, "GET", one).body
        for path in ("/runs", "/runs/{id}", "/models", "/models/{name}")
        for one in asked(place, path, "ember")
    )
    assert {"ember-run", "ember-child", "ember-metric", "ember-key", "ember-value", "ember-model", "ember-alias"} <= set(
        OTHERS.findall(whole.decode())
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_may_not_be_seen_is_not_there(place: Place, name: str) -> None:
    """The answer about somebody else's thing is that about a thing that there never was: the same status, the same words."""
    person, hidden = place.people[name], ("ember",) if name == "mona" else tuple(MEANS)
    for path in (path for path in GETS if "{" in path and GETS[path]):
        never = {place.ask(person.token, "GET", address).status for address in asked(NOWHERE, path, "ember")}
        for address in (one for whose in hidden for one in asked(place, path, whose)):
            answer = place.ask(person.token, "GET", address)
            assert {answer.status} == never, (address, answer.status, never)
            assert answer.status == (403 if path.startswith("/serving") and answer.status == 403 else 404), (address, answer.status)


def test_nobody_is_told_nothing(place: Place) -> None:
    """Without an account every address is one answer, whether it is about something or not; a browser is led to the login."""
    for method, path in console():
        address = next(filled(place, path, "project")) if GETS.get(path) or path in POSTS else path
        answer = place.ask("", method, address, {} if method == "POST" else None)
        assert answer.status == 401, (method, address, answer.status)
        assert not HUSHED.findall(answer.body.decode()), address
    answer = place.ask("", "GET", "/models/transit", Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=/models/transit")


@pytest.mark.parametrize(("name", "role"), [("nina", ""), ("otto", "viewer")])
def test_who_may_not_change_anything_is_refused_and_that_is_on_record(place: Place, name: str, role: str) -> None:
    """What operators and maintainers do, sent by others: nothing begins, nothing moves, and the audit log says who tried."""
    admin = place.depot.server.token
    person = Person(name, enters(place, name), OTHERS)
    if role:
        grant = {"account": name, "role": role}
        assert place.ask(admin, "PUT", f"{OURS}/experiments/{place.things['project']}/grants", grant).status == 200
    before = place.ask(admin, "GET", "/models/transit?csv=history").body
    for path, body in POSTS.items():
        address = path.replace("{name}", "transit")
        sent = {key: value.format(**place.things) if isinstance(value, str) else value for key, value in body.items()}
        answer = place.ask(person.token, "POST", address, sent)
        assert answer.status in (403, 404), (address, answer)
        assert not told(person, address, answer)
    assert place.ask(admin, "GET", "/models/transit?csv=history").body == before
    until, wanted, seen = time.monotonic() + 20, {"project.run", "due.run", "model.promote", "target.test"}, set[str]()
    while not wanted <= seen and time.monotonic() < until:
        lines = csv.reader(place.ask(admin, "GET", f"/audit?actor={name}&csv=audit").body.decode().splitlines())
        seen = {line[3].partition(":")[0] for line in lines if line[5] == "refused"}
    assert wanted <= seen


def test_no_get_changes_anything_and_no_other_page_sends_a_form(place: Place) -> None:
    """A session's change needs the text of that session, from this server's own pages, as JSON; and POST."""
    admin = Line(place.depot.server.url)
    entered = admin.ask("POST", "/login", {"username": "mona", "password": PASSWORD})
    cookie, csrf = entered.headers["set-cookie"].partition(";")[0], str(entered.json["csrf"])
    other = str(place.ask("", "POST", "/login", {"username": "vera", "password": PASSWORD}).json["csrf"])
    body, json_type = b'{"room": "runs", "name": "mine", "address": ""}', {"Content-Type": "application/json"}
    good = {"Cookie": cookie, "X-CSRF-Token": csrf, **json_type}
    for headers in (
        {"Cookie": cookie, **json_type}, {**good, "X-CSRF-Token": other}, {**good, "X-CSRF-Token": ""},
        {**good, "Content-Type": "application/x-www-form-urlencoded"}, {**good, "Content-Type": "text/plain"},
        {**good, "Origin": "http://evil.example"}, {**good, "Origin": "null"}, {**good, "Host": "evil.example"},
        {**good, "Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
    ):  # fmt: skip
        assert 400 <= admin.ask("POST", "/views/save", body, headers).status < 500, headers
    assert b"mine" not in admin.ask("GET", "/runs", headers={"Cookie": cookie}).body.partition(b"<nav")[0]
    for path in (*POSTS, *OWN):
        address = path.replace("{name}", "transit")
        assert admin.ask("GET", f"{address}?room=runs&name=mine&reason=mine", headers={"Cookie": cookie}).status in (404, 405), path
    assert admin.ask("POST", "/views/save", body, good).status == 200
    admin.drop()


def test_a_saved_view_is_ones_own_and_leads_nowhere_else(place: Place) -> None:
    """A view of another account is neither shown nor taken away; whatever its address is, it is one of the table of runs."""
    vera, admin = place.people["vera"].token, place.depot.server.token
    assert place.ask(vera, "POST", "/views/drop", {"room": "runs", "name": "shared"}).status in (200, 404)
    assert b"ember-view" in place.ask(admin, "GET", "/runs").body
    for number, address in enumerate(("javascript:alert(1)", "//evil.example", "/\\\\evil.example", "http://evil.example", "#\\n<script>")):
        answer = place.ask(vera, "POST", "/views/save", {"room": "runs", "name": f"v{number}", "address": address})
        assert answer.status in (200, 400), answer
    page = place.ask(vera, "GET", "/runs").body.decode()
    for link in re.findall(r'href="([^"]*)"', page):
        assert re.match(r"/(?!/)|\\?|#", link), link
    assert "<script>" not in page.replace('<script src="', "")


def test_a_token_for_something_unseen_tells_nothing_of_it(place: Place) -> None:
    """One may write any number into a token of one's own; the page of one's tokens does not say what that experiment is called."""
    for name in ("vera", "stan", "mona"):
        person = place.people[name]
        made = place.ask(person.token, "POST", f"{OURS}/me/tokens", {"name": "t", "resource": f"experiment:{place.things['experiment']}"})
        assert made.status in (200, 403, 404), made
        for address in ("/settings", "/settings?csv=tokens"):
            assert not told(person, address, place.ask(person.token, "GET", address))
