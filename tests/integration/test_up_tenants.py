"""Two accounts on one server: what one names of the other's, beside what is his own, changes nothing there and tells nothing of it.

And what a token that is limited, short or stolen can make of itself: nothing more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from up_site import API, Answer, Line, Up, in_thread

from bedplate.core.clock import parse

GOOD = "plover quartz tandem 41"
OTHER = "marmot velvet cascade 86"
OURS = "/api/bedplate"
NAMES = itertools.count()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("tenants")) as server:
        yield server


class Tenant:
    """An account with an experiment, a run with a file, a logged model and a registered one."""

    def __init__(self, up: Up) -> None:
        self.name = f"tenant{next(NAMES)}"
        self.url = up.url
        assert up.ask("POST", f"{OURS}/accounts", {"name": self.name}).status == 200
        catalog = up.catalog
        bits = itertools.count(hash(self.name))
        self.token = catalog.credentials.add_token(
            self.name, "test", catalog.database.clock.now(), lambda n: hash((next(bits), n)) % (1 << n)
        ).text
        self.experiment = str(self.post("experiments/create", name=self.name).json["experiment_id"])
        self.run = str(self.post("runs/create", experiment_id=self.experiment).json["run"]["info"]["run_id"])
        self.put(f"{self.experiment}/{self.run}/artifacts/m/f")
        self.logged = str(self.post("logged-models", experiment_id=self.experiment).json["model"]["info"]["model_id"])
        self.put(f"{self.experiment}/models/{self.logged}/artifacts/f")
        self.model = f"model of {self.name}"
        assert self.post("registered-models/create", name=self.model).status == 200

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Answer:
        with Line(self.url, token or self.token) as line:
            return line.ask(method, path, body)

    def post(self, path: str, **body: Any) -> Answer:
        return self.ask("POST", f"{API}/{path}", body)

    def put(self, address: str) -> None:
        assert self.ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{address}", b"bytes").status == 200

    def register(self, source: str, **more: str) -> Answer:
        return self.post("model-versions/create", name=self.model, source=source, **more)

    def told(self) -> Any:
        """What the logged model is said to be."""
        return self.ask("GET", f"{API}/logged-models/{self.logged}").json["model"]


@pytest.fixture
def ann(up: Up) -> Tenant:
    return Tenant(up)


@pytest.fixture
def bob(up: Up) -> Tenant:
    return Tenant(up)


def grant(ann: Tenant, bob: Tenant, role: str) -> None:
    assert ann.ask("PUT", f"{OURS}/experiments/{ann.experiment}/grants", {"account": bob.name, "role": role}).status == 200


@pytest.mark.parametrize(("role", "writes", "reads"), [("", 404, 404), ("viewer", 403, 200), ("contributor", 200, 200)])
def test_anothers_logged_model_takes_nothing_from_runs_of_who_may_not_write_there(
    ann: Tenant, bob: Tenant, role: str, writes: int, reads: int
) -> None:
    """Metrics alone, in a batch, and outputs need the right to write where the model is; to take it as an input needs the right to read."""
    if role:
        grant(ann, bob, role)
    point = {"key": "loss", "value": 9.0, "timestamp": 1, "model_id": ann.logged}
    before = ann.told()
    assert bob.post("runs/log-metric", run_id=bob.run, **point).status == writes
    assert bob.post("runs/log-batch", run_id=bob.run, metrics=[point]).status == writes
    assert bob.post("runs/outputs", run_id=bob.run, models=[{"model_id": ann.logged, "step": 1}]).status == writes
    assert bob.post("runs/log-inputs", run_id=bob.run, models=[{"model_id": ann.logged}]).status == reads
    assert (ann.told() == before) == (writes != 200)
    own = {**point, "model_id": bob.logged}
    assert bob.post("runs/log-metric", run_id=bob.run, **own).status == 200


def outputs_of(up: Up, run: str) -> list[str]:
    """What the record says that a run made."""
    return [
        f"{row[0]}@{row[1]}"
        for row in up.catalog.database.composed("SELECT artifact, number FROM outputs WHERE attempt = :run", {"run": run})
    ]


def test_a_version_is_no_output_of_a_run_that_its_maker_may_not_write_to(up: Up, ann: Tenant, bob: Tenant) -> None:
    """Named where it may not be seen, a run is not there; where it may only be read, it is named and stays as it was."""
    own = f"models:/{bob.logged}"
    assert bob.register(own, run_id=ann.run).status == 404
    assert bob.register("runs:/" + bob.run + "/m", model_id=ann.logged).status == 404
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    assert bob.post("model-versions/create", name=bob.model, source="prompt-template", tags=prompt, run_id=ann.run).status == 404
    grant(ann, bob, "viewer")
    made = bob.register(f"runs:/{ann.run}/m", run_id=ann.run)
    assert made.json["model_version"]["run_id"] == ann.run
    assert outputs_of(up, ann.run) == []
    grant(ann, bob, "contributor")
    assert bob.register(f"runs:/{ann.run}/m", run_id=ann.run, description="another").status == 200
    assert len(outputs_of(up, ann.run)) == 1


def test_names_of_models_that_may_not_be_seen_are_not_told(ann: Tenant, bob: Tenant) -> None:
    """Who may read a logged model may register it; its owner is not told under which name of somebody else's."""
    grant(ann, bob, "viewer")
    assert bob.register(f"models:/{ann.logged}").status == 200
    assert ann.told()["info"]["registrations"] == []


def limited(person: Tenant, up: Up, token: str = "", **more: Any) -> str:
    """A token of a person that may do less."""
    made = person.ask("POST", f"{OURS}/me/tokens", {"name": "less", **more}, token)
    assert made.status == 200, made
    return str(made.json["token"])


def test_a_limited_token_sets_no_password(up: Up, ann: Tenant) -> None:
    """By MLflow's route as by ours: an account begins without a password, and whoever sets one may do all that the account may."""
    token = limited(ann, up, role="contributor")
    change = {"username": ann.name, "password": GOOD}
    assert ann.ask("PATCH", f"{API}/users/update-password", change, token).status == 403
    assert ann.ask("PATCH", f"{API}/users/update-password", change).status == 200
    assert ann.ask("PATCH", f"{API}/users/update-password", {**change, "password": OTHER}, token).status == 403
    assert ann.ask("PATCH", f"{API}/users/update-password", {**change, "password": OTHER, "current_password": GOOD}, token).status == 200


def test_who_guesses_the_password_of_now_waits_on_every_route(up: Up, ann: Tenant) -> None:
    """A token that was stolen finds no password out by MLflow's route for passwords."""
    assert ann.ask("PATCH", f"{API}/users/update-password", {"username": ann.name, "password": GOOD}).status == 200
    guess = {"username": ann.name, "password": OTHER, "current_password": "wrong"}
    answers = [ann.ask("PATCH", f"{API}/users/update-password", guess).status for _ in range(10)]
    assert answers[:5] == [403] * 5
    assert answers[-1] == 429


def test_a_token_makes_none_that_outlives_it(up: Up, ann: Tenant) -> None:
    """A token that was stolen for an hour is good for an hour."""
    short = limited(ann, up, days=1 / 24)
    for long in (limited(ann, up, short, days=3650), limited(ann, up, limited(ann, up, short), days=3650)):
        listed = {one.id: one for one in up.catalog.credentials.tokens(ann.name)}
        ends = listed[long.split("_")[1]].expires_at
        assert ends is not None
        assert parse(ends) - up.catalog.database.clock.now() <= timedelta(hours=1)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_numbers_that_no_column_holds_are_the_callers_mistake(ann: Tenant, number: int) -> None:
    """Wherever a version, an experiment or a time is named."""
    for method, path, body in (
        ("GET", f"{API}/model-versions/get?name={ann.model.replace(' ', '+')}&version={number}", None),
        ("GET", f"/model-versions/get-artifact?name={ann.model.replace(' ', '+')}&path=f&version={number}", None),
        ("POST", f"{API}/model-versions/create", {"name": ann.model, "source": f"models:/{ann.model}/{abs(number)}"}),
        ("POST", f"{API}/traces", {"experiment_id": ann.experiment, "timestamp_ms": number}),
        ("GET", f"{OURS}/experiments/{number}/grants", None),
    ):
        assert 400 <= ann.ask(method, path, body).status < 500, path


def test_what_a_client_wrote_into_tags_is_not_taken_for_ours(ann: Tenant) -> None:
    """A list that is none, an address that is no UTF-8, metadata that are none: told, and no mistake of the server's."""
    history = "mlflow.log-model.history"
    for said in ("5", "{", "{}"):
        assert ann.post("runs/set-tag", run_id=ann.run, key=history, value=said).status == 200
        logged = ann.post("runs/log-model", run_id=ann.run, model_json='{"artifact_path": "m", "flavors": {}, "run_id": "r"}')
        assert (logged.status, history in logged.json["message"]) == (400, True)
    assert ann.register("runs:/%ff/x").status == 400
    trace = ann.post("traces", experiment_id=ann.experiment, timestamp_ms=1).json["trace_info"]["request_id"]
    assert ann.ask("PATCH", f"{API}/traces/{trace}/tags", {"key": "mlflow.linkedPrompts", "value": "{"}).status == 200
    assert ann.post("traces/link-prompts", trace_id=trace, prompt_versions=[{"name": "p", "version": "1"}]).status == 400
    about = f"/api/3.0/mlflow/traces/{trace}/assessments"
    made = ann.ask("POST", about, {"assessment": {"assessment_name": "good", "feedback": {"value": True}, "metadata": {"a": "b"}}})
    one = f"{about}/{made.json['assessment']['assessment_id']}"
    assert ann.ask("PATCH", one, {"assessment": {"metadata": 5}, "update_mask": "metadata"}).status == 400


def test_names_that_nothing_has_are_not_kept(up: Up, ann: Tenant) -> None:
    """They are looked for in vain, and neither the audit log nor the memory of decisions keeps them."""
    answer = ann.ask("GET", f"{API}/registered-models/alias?name={'n' * 20_000}&alias=a")
    assert answer.status == 404
    assert not [one for one in up.catalog.audit.found(actor=ann.name) if "nnnn" in one.resource]
