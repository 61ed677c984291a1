"""Files and models through MLflow's own clients of both lines: sent, registered, found, loaded back; autologging of five frameworks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mlflow_clients import LINES, Client
from trackers import Tracker

FRAMEWORKS = ("sklearn", "lightgbm", "xgboost", "lightning", "transformers")


@pytest.fixture(scope="module", params=LINES)
def framework_client(request: pytest.FixtureRequest) -> Client:
    """Both lines of the client, with the frameworks beside them."""
    return Client(f"{request.param}-frameworks")


def test_files_come_back_as_they_were_sent_and_are_frozen_with_their_run(client: Client, tracker: Callable[..., Tracker]) -> None:
    up = tracker()
    seen = client.says("files", up.url, up.token)
    assert seen.pop("run")
    assert seen == {
        "root": [["a.txt", False, 5], ["all", True, None], ["big", True, None], ["deep", True, None]],
        "sub": [["all/sub/שלום x.bin", 100_000]], "of a file": [], "same": [True] * 4, "dict": {"a": [1]}, "late": "frozen",
    }  # fmt: skip
    log = (up.folder / "up.log").read_text()
    assert "mistake" not in log


@pytest.mark.slow
def test_models_of_five_frameworks_are_registered_and_loaded_back(framework_client: Client, tracker: Callable[..., Tracker]) -> None:
    """Aliases, stages, tags, searches, copies; the refusals by their codes; pickled flavours say that they cannot be served."""
    up = tracker()
    seen = framework_client.says("registers", up.url, up.token)
    native = ["1", "READY", False, True, True]
    opaque = ["1", "READY", True, True, True]
    assert {name: seen[name] for name in ("linear", "trees", "boosted", "net", "open")} == {
        "linear": opaque, "trees": native, "boosted": native, "net": opaque, "open": native,
    }  # fmt: skip
    assert {name: seen[name] for name in ("pyfunc", "alias", "said", "stage", "models", "tagged", "of run", "copied")} == {
        "pyfunc": True, "alias": ["1", "1"], "said": ["a forest", "the first", "v"], "stage": ["Staging"],
        "models": ["trees", "open", "net", "linear", "boosted"], "tagged": [["trees"], ["trees"]], "of run": ["trees"], "copied": True,
    }  # fmt: skip
    assert seen["refused"] == [
        "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS",
        "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE",
    ]  # fmt: skip
    assert seen["no alias"] == "INVALID_PARAMETER_VALUE"
    if "logged" in seen:
        assert seen["logged"] == ["READY", "1", [0.7], [True]]
        assert seen["prompt"] == "Say hello to Ann"


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_training_script_is_logged_by_itself(framework: str, framework_client: Client, tracker: Callable[..., Tracker]) -> None:
    """One line turns autologging on: params, metrics and a model that loads back, from the environment's address alone."""
    up = tracker()
    seen: dict[str, Any] = framework_client.says("autologs", up.url, up.token, framework)
    assert seen["status"] == "FINISHED"
    assert seen["params"] > 0
    assert seen["metrics"] > 0
    assert seen["same"] is True
    assert "mistake" not in (up.folder / "up.log").read_text()
