"""Who may do what over HTTP: MLflow's API for users and permissions by its own client, tenants apart, and every act in the audit log."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow_clients import Client
from up_site import API, Answer, Line, Up, in_thread

from bedplate.catalog.keys import Keys

GOOD = "plover quartz tandem 41"
OTHER = "marmot velvet cascade 86"
OURS = "/api/bedplate"
NAMES = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("accounts")


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Up]:
    with in_thread(folder) as server:
        yield server


class Person:
    """An account with a token."""

    def __init__(self, up: Up) -> None:
        self.name = f"person{next(NAMES)}"
        assert up.ask("POST", f"{OURS}/accounts", {"name": self.name}).status == 200
        catalog, clock = up.catalog, up.catalog.database.clock
        self.token = catalog.credentials.add_token(self.name, "test", clock.now(), lambda bits: hash((self.name, bits)) % (1 << bits)).text
        self._up = up

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        line = Line(self._up.url, self.token)
        try:
            return line.ask(method, path, body)
        finally:
            line.drop()


@pytest.fixture
def ann(up: Up) -> Person:
    return Person(up)


@pytest.fixture
def bob(up: Up) -> Person:
    return Person(up)


@pytest.fixture
def experiment(ann: Person) -> str:
    """Ann's."""
    return str(ann.ask("POST", f"{API}/experiments/create", {"name": f"of {ann.name}"}).json["experiment_id"])


def given(up: Up, person: Person, experiment: str, role: str) -> None:
    assert up.ask("PUT", f"{OURS}/experiments/{experiment}/grants", {"account": person.name, "role": role}).status == 200


@pytest.mark.parametrize(
    ("role", "read", "write", "delete", "share"),
    [("", 404, 404, 404, 404), ("viewer", 200, 403, 403, 403), ("contributor", 200, 200, 403, 403), ("maintainer", 200, 200, 200, 200)],
)
def test_each_role_does_what_it_may_over_http(
    up: Up, bob: Person, experiment: str, role: str, read: int, write: int, delete: int, share: int
) -> None:
    """What may not be seen is not there, what may be seen but not done is refused (TN-01, TN-02)."""
    if role:
        given(up, bob, experiment, role)
    run = up.ask("POST", f"{API}/runs/create", {"experiment_id": experiment}).json["run"]["info"]["run_id"]
    reads = (
        f"{API}/runs/get?run_id={run}",
        f"{API}/experiments/get?experiment_id={experiment}",
        f"/ajax-api/2.0/mlflow/runs/get?run_id={run}",
    )
    assert {bob.ask("GET", path).status for path in reads} == {read}
    writes = (
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1}),
        ("runs/set-tag", {"key": "k", "value": "v"}),
        ("runs/log-parameter", {"key": "k", "value": "v"}),
    )
    assert {bob.ask("POST", f"{API}/{path}", {"run_id": run, **body}).status for path, body in writes} == {write}
    assert bob.ask("PUT", f"{OURS}/experiments/{experiment}/grants", {"account": bob.name, "role": "contributor"}).status == share
    if role:
        given(up, bob, experiment, role)
    assert bob.ask("POST", f"{API}/runs/delete", {"run_id": run}).status == delete
    seen = bob.ask("POST", f"{API}/experiments/search", {"max_results": 1000}).json["experiments"]
    assert (experiment in {one["experiment_id"] for one in seen}) == (read == 200)


def test_nobody_lifts_himself(up: Up, ann: Person, experiment: str) -> None:
    """A maintainer gives maintainer at most, and only of what is hers; grants over everything are an admin's."""
    for role in ("operator", "admin"):
        assert ann.ask("PUT", f"{OURS}/experiments/{experiment}/grants", {"account": ann.name, "role": role}).status in (400, 403)
    assert ann.ask("PUT", f"{OURS}/grants", {"account": ann.name, "role": "operator"}).status == 403
    assert ann.ask("PUT", f"{OURS}/experiments/0/grants", {"account": ann.name, "role": "viewer"}).status == 404
    assert ann.ask("GET", f"{OURS}/audit").status == 403
    assert ann.ask("GET", f"{OURS}/accounts").status == 403
    assert ann.ask("GET", f"{API}/users/get?username=admin").status == 404
    assert up.ask("PUT", f"{OURS}/grants", {"account": ann.name, "role": "admin"}).status == 400


def test_a_models_grants_follow_its_name_and_end_with_it(ann: Person, bob: Person) -> None:
    """Who makes another model of that name later shares nothing with whom the first was shared."""
    name, later = f"model-{ann.name}", f"renamed-{ann.name}"
    assert ann.ask("POST", f"{API}/registered-models/create", {"name": name}).status == 200
    assert ann.ask("PUT", f"{OURS}/models/{name}/grants", {"account": bob.name, "role": "viewer"}).status == 200
    assert bob.ask("GET", f"{API}/registered-models/get?name={name}").status == 200
    assert ann.ask("POST", f"{API}/registered-models/rename", {"name": name, "new_name": later}).status == 200
    assert bob.ask("GET", f"{API}/registered-models/get?name={later}").status == 200
    assert ann.ask("DELETE", f"{API}/registered-models/delete", {"name": later}).status == 200
    assert ann.ask("POST", f"{API}/registered-models/create", {"name": later}).status == 200
    assert bob.ask("GET", f"{API}/registered-models/get?name={later}").status == 404


def test_mlflows_client_makes_users_and_shares(up: Up, client: Client) -> None:
    """The client of either line: accounts, passwords, admins, permissions; and what each of them may then not do."""
    names = [f"{client.line}-{next(NAMES)}" for _ in range(2)]
    assert client.says("sharing", up.url, up.token, *names) == {
        "made": names, "again": "RESOURCE_ALREADY_EXISTS", "weak": "INVALID_PARAMETER_VALUE", "unseen": "RESOURCE_DOES_NOT_EXIST",
        "no admin": "PERMISSION_DENIED", "twice": "RESOURCE_ALREADY_EXISTS", "read": "READ", "seen": 1.0,
        "not changed": "PERMISSION_DENIED", "old password": "UNAUTHENTICATED", "new password": "done", "admin": True,
        "gone": "RESOURCE_DOES_NOT_EXIST", "out": "UNAUTHENTICATED",
    }  # fmt: skip


def test_the_old_routes_of_permissions_answer_as_mlflows(up: Up, ann: Person, bob: Person, experiment: str) -> None:
    """What a client of the line 2.x sends: once, read, changed, taken away, and told so where it is not as asked."""
    for place, about in (
        (f"{API}/experiments/permissions", {"experiment_id": experiment}),
        (f"{API}/registered-models/permissions", {"name": f"m{ann.name}"}),
    ):
        if "name" in about:
            assert ann.ask("POST", f"{API}/registered-models/create", about).status == 200
        asked = {"username": bob.name, **about}
        query = "&".join(f"{key}={value}" for key, value in asked.items())
        made = ann.ask("POST", f"{place}/create", {**asked, "permission": "READ"})
        assert [one["permission"] for one in made.json.values()] == ["READ"]
        assert ann.ask("POST", f"{place}/create", {**asked, "permission": "READ"}).json["error_code"] == "RESOURCE_ALREADY_EXISTS"
        assert ann.ask("POST", f"{place}/create", {**asked, "permission": "OWN"}).status == 400
        assert ann.ask("PATCH", f"{place}/update", {**asked, "permission": "MANAGE"}).json == {}
        assert "MANAGE" in str(ann.ask("GET", f"{place}/get?{query}").json)
        assert ann.ask("DELETE", f"{place}/delete", asked).json == {}
        assert ann.ask("GET", f"{place}/get?{query}").json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
        assert bob.ask("POST", f"{place}/create", {**asked, "permission": "READ"}).status == 404


def test_every_act_and_every_refusal_is_in_the_log(up: Up, folder: Path, ann: Person, bob: Person, experiment: str) -> None:
    """One entry for each change, one for a refusal, and the chain holds (AU-03)."""
    catalog = up.catalog
    before = catalog.audit.found(most=1)[0].id
    changes = (
        ("PUT", f"{OURS}/experiments/{experiment}/grants", {"account": bob.name, "role": "viewer"}),
        ("POST", f"{API}/experiments/set-experiment-tag", {"experiment_id": experiment, "key": "k", "value": "v"}),
        ("POST", f"{OURS}/me/tokens", {"name": "another"}),
        ("POST", f"{API}/experiments/delete", {"experiment_id": experiment}),
        ("POST", f"{API}/experiments/restore", {"experiment_id": experiment}),
    )
    for method, path, body in changes:
        assert ann.ask(method, path, body).status == 200, path
    assert bob.ask("POST", f"{API}/experiments/delete", {"experiment_id": experiment}).status == 403
    assert bob.ask("POST", f"{OURS}/accounts", {"name": "x"}).status == 403
    for _ in range(100):
        found = [one for one in catalog.audit.found(most=50) if one.id > before]
        if len(found) >= len(changes) + 2:
            break
        catalog.database.clock.sleep(0.02)
    said = [(one.actor, one.action, one.outcome) for one in reversed(found)]
    done = ("experiment.grant", "experiment.write", "me.write", "experiment.delete", "experiment.delete")
    assert said == [
        *((ann.name, action, "done") for action in done),
        (bob.name, "experiment.delete", "refused"), (bob.name, "account.write", "refused"),
    ]  # fmt: skip
    keys = Keys(folder / ".bedplate")
    assert catalog.audit.verify([keys.audit_public]) == []


def test_what_comes_by_the_thousand_has_one_entry_a_minute(up: Up, ann: Person, bob: Person, experiment: str) -> None:
    """For each account, route and experiment: metrics, parameters, files; so each of them is told of once, at once (AU-03)."""
    given(up, bob, experiment, "contributor")
    run = ann.ask("POST", f"{API}/runs/create", {"experiment_id": experiment}).json["run"]["info"]["run_id"]
    place = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts"
    for person in (ann, bob):
        for number in range(5):
            point = {"run_id": run, "key": "m", "value": number, "timestamp": number}
            assert person.ask("POST", f"{API}/runs/log-metric", point).status == 200
            assert person.ask("POST", f"{API}/runs/set-tag", {"run_id": run, "key": "k", "value": str(number)}).status == 200
            assert person.ask("PUT", f"{place}/{person.name}/{number}.txt", b"x").status == 200
    for person, more in ((ann, ["runs/create"]), (bob, [])):
        found = [one for one in up.catalog.audit.found(actor=person.name, resource=f"experiment:{experiment}") if "route" in one.data]
        routes = sorted("/".join(json.loads(one.data)["route"].split("/")[4:6]) for one in found)
        assert routes == sorted(["runs/log-metric", "runs/set-tag", "artifacts/{address...}", *more]), person.name


def test_a_log_that_cannot_be_written_closes_the_server(up: Up, bob: Person, experiment: str) -> None:
    """503, and the grant was not given (AU-02)."""
    catalog = up.catalog
    connection: Any = catalog.database
    with connection as raw:
        raw.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no space'); END")
    try:
        answer = up.ask("PUT", f"{OURS}/experiments/{experiment}/grants", {"account": bob.name, "role": "viewer"})
        assert answer.status in (500, 503)
        assert catalog.grants.of(bob.name) == []
    finally:
        with connection as raw:
            raw.execute("DROP TRIGGER full")
    given(up, bob, experiment, "viewer")


def test_why_is_answered_with_the_rule(up: Up, bob: Person, experiment: str) -> None:
    """To an admin, of anybody, of any action."""
    given(up, bob, experiment, "viewer")
    asked = f"{OURS}/audit/why?account={bob.name}&resource=experiment:{experiment}&action="
    assert up.ask("GET", f"{asked}run.read").json["allowed"] is True
    found = up.ask("GET", f"{asked}run.write").json
    assert (found["allowed"], found["role"]) == (False, "viewer")
    assert "granted on experiment:" in found["rule"]
    assert bob.ask("GET", f"{asked}run.read").status == 403


def test_an_account_that_is_off_is_out_at_once(up: Up, bob: Person) -> None:
    """Its tokens count again when it is let in again; the last admin is not put out."""
    assert bob.ask("GET", f"{OURS}/me").status == 200
    assert up.ask("PATCH", f"{OURS}/accounts/{bob.name}", {"active": False}).status == 200
    assert bob.ask("GET", f"{OURS}/me").status == 401
    assert up.ask("PATCH", f"{OURS}/accounts/{bob.name}", {"active": True}).status == 200
    assert bob.ask("GET", f"{OURS}/me").status == 200
    assert up.ask("PATCH", f"{OURS}/accounts/admin", {"active": False}).status == 400
    assert up.ask("DELETE", f"{API}/users/delete", {"username": "admin"}).status == 400
