"""Datasets for evaluation over HTTP: MLflow's third client, who sees and changes them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow_clients import Client
from trackers import Tracker, tracker
from up_site import Answer, Line, Up, in_thread

__all__ = ["tracker"]

AT = "/api/3.0/mlflow/datasets"
OURS = "/api/bedplate"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("evaluation")) as server:
        yield server


class Account:
    """An account of its own, with an experiment."""

    def __init__(self, up: Up, name: str) -> None:
        self.name, self.url = name, up.url
        assert up.ask("POST", f"{OURS}/accounts", {"name": name}).status == 200
        now = up.catalog.database.clock.now()
        self.token = up.catalog.credentials.add_token(name, "test", now, lambda n: hash((name, n)) % (1 << n)).text
        made = self.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": f"of {name}"})
        self.experiment = str(made.json["experiment_id"])

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        with Line(self.url, self.token) as line:
            return line.ask(method, path, body)

    def lets(self, other: Account, role: str) -> None:
        grant = {"account": other.name, "role": role}
        assert self.ask("PUT", f"{OURS}/experiments/{self.experiment}/grants", grant).status == 200

    def make(self, *experiments: str) -> str:
        made = self.ask("POST", f"{AT}/create", {"name": "questions", "experiment_ids": list(experiments)})
        assert made.status == 200
        return str(made.json["dataset"]["dataset_id"])

    def finds(self) -> list[str]:
        return [one["dataset_id"] for one in self.ask("POST", f"{AT}/search", {}).json.get("datasets", [])]

    def adds(self, dataset: str) -> int:
        return self.ask("POST", f"{AT}/{dataset}/records", {"records": json.dumps([{"inputs": {"q": 1}}])}).status


@pytest.mark.slow
def test_what_a_client_keeps_to_evaluate_on_comes_back(tracker: Callable[..., Tracker]) -> None:
    """Proves that MLflow's own client makes, fills, merges, shares, tags, finds and deletes datasets unchanged."""
    up = tracker()
    told = Client("mlflow-3-frameworks").says("evaluating", up.url, up.token)
    assert told["inputs"] == [{"q": "one"}, {"q": "two", "deep": {"n": [1, None]}}]
    assert told["outputs"] == [["i"], None]
    assert told["expectations"] == [{"right": True, "short": False}, {"score": 0.5}]
    assert (told["tags"], told["profile"], told["fields"]) == (["hard", "seen"], {"num_records": 2}, ["right", "score", "short"])
    assert (told["of"], told["of both"], told["of second"]) == (True, 2, True)
    assert (told["by tag"], told["by none"], told["recent"]) == (1, 0, ["questions"])
    assert (told["deleted"], told["left"], told["after"]) == (1, [{"q": "two", "deep": {"n": [1, None]}}], 0)


def test_who_sees_one_experiment_sees_it_and_who_writes_all_changes_it(up: Up) -> None:
    """Proves that a dataset is as its experiments are: unseen is not there, seen is not changed without the right in each."""
    ann, bob = Account(up, "eva"), Account(up, "bob")
    dataset = ann.make(ann.experiment)
    assert (bob.finds(), bob.ask("GET", f"{AT}/{dataset}").status, bob.adds(dataset)) == ([], 404, 404)
    assert bob.ask("POST", f"{AT}/create", {"name": "x", "experiment_ids": [ann.experiment]}).status == 404
    ann.lets(bob, "viewer")
    assert (bob.finds(), bob.ask("GET", f"{AT}/{dataset}").status, bob.adds(dataset)) == ([dataset], 200, 403)
    assert bob.ask("POST", f"{AT}/create", {"name": "x", "experiment_ids": [ann.experiment]}).status == 403
    ann.lets(bob, "contributor")
    assert (bob.adds(dataset), bob.ask("DELETE", f"{AT}/{dataset}").status) == (200, 403)
    assert bob.ask("POST", f"{AT}/{dataset}/add-experiments", {"experiment_ids": [bob.experiment]}).status == 200
    assert (ann.adds(dataset), bob.adds(dataset)) == (403, 200)
    assert ann.ask("GET", f"{AT}/{dataset}/experiment-ids").json == {"experiment_ids": [ann.experiment]}


def test_one_without_an_experiment_is_its_makers(up: Up) -> None:
    """Proves that a grant of its own says whose it is, until it has an experiment, and that searches of experiments still work."""
    ann, bob = Account(up, "iris"), Account(up, "carl")
    dataset = ann.make()
    assert (ann.adds(dataset), ann.finds(), bob.finds(), bob.adds(dataset)) == (200, [dataset], [], 404)
    found = ann.ask("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 10})
    assert [one["experiment_id"] for one in found.json["experiments"]] == [ann.experiment]
    assert ann.ask("POST", f"{AT}/{dataset}/add-experiments", {"experiment_ids": [ann.experiment]}).status == 200
    assert ann.ask("POST", f"{AT}/{dataset}/remove-experiments", {"experiment_ids": [ann.experiment]}).status == 200
    assert (ann.adds(dataset), ann.ask("DELETE", f"{AT}/{dataset}").status, ann.finds()) == (200, 200, [])


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("create", {"name": ""}, "name"),
        ("create", {"name": "x" * 501}, "name"),
        ("create", {"name": "x", "tags": "[1]"}, "tags"),
        ("search", {"max_results": 1001}, "max_results"),
        ("search", {"filter_string": "size > 3"}, "size"),
        ("search", {"order_by": ["tags.a"]}, "order_by"),
        ("{}/records", {"records": "no"}, "records"),
        ("{}/records", {"records": json.dumps([{"inputs": [1]}])}, "records[0].inputs"),
        ("{}/records", {"records": json.dumps([{"inputs": {}, "tags": {"a": 1}}])}, "records[0].tags"),
        ("{}/records", {"records": json.dumps([{"inputs": {}, "source": {"source_type": "X"}}])}, "records[0].source"),
        ("{}/records", {"records": json.dumps([{"inputs": {"q": "x" * 1_000_001}}])}, "records"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(path: str, body: dict[str, Any], field: str, up: Up) -> None:
    """Proves that each limit is told with the name of what was too much or wrong."""
    dataset = up.ask("POST", f"{AT}/create", {"name": "limits"}).json["dataset"]["dataset_id"]
    answer = up.ask("POST", f"{AT}/{path.format(dataset)}", body)
    assert answer.status == 400
    assert field in answer.json["message"]
