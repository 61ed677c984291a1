"""Nobody types: a service drifts, the watch that is due finds it, and the model is trained again on the data that came since."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from typing import Any

import pytest
from conftest import serving

import bedplate

HUGE = {"species": "Gentoo", "bill_length_mm": 90.0, "bill_depth_mm": 40.0, "flipper_length_mm": 400.0}
"""No penguin that was ever measured."""


@pytest.fixture
def birds(someone: Any) -> Any:
    """Somebody in a new project whose model is trained nightly, and when its service drifts."""
    someone.types("new", "birds")
    someone.folder = someone.folder / "birds"
    someone.edits("penguins.py", "@penguins.train\n", '@penguins.train(every="1 day", on_drift="retrain")\n')
    someone.edits("penguins.py", '@penguins.watch(every="1 day")', '@penguins.watch(every="1 day", label_delay="1 s")')
    return someone


def ask(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(f"{url}/weigh", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def ended(someone: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """What `run --due` did: step and kind -> the occurrence."""
    return {(one["step"], one["kind"]): one for one in someone.events("run", "--due")[-1]["ended"]}


def test_drift_that_a_due_watch_finds_trains_the_model_again(birds: Any) -> None:
    """Between the nights: new data alone trains nothing, drift does, once."""
    assert ("mass", "schedule") in ended(birds)
    with serving(birds.folder) as server:
        for _ in range(250):
            ask(server.url, HUGE)
        time.sleep(2.0)
    data = birds.folder / "data"
    some = next(path for path in data.glob("*.csv"))
    shutil.copy(some, data / "more.csv")
    found = ended(birds)
    assert found["measured", "data"]["status"] == "done"
    assert found["still_right", "schedule"]["status"] == "done"
    assert "drift was found in what weigh was asked (" in found["mass", "drift"]["reason"]
    assert found["mass", "drift"]["status"] == "done"
    assert "made mass" in found["mass", "drift"]["reason"]
    catalog = bedplate.open(birds.folder).catalog
    assert [version.number for version in catalog.artifacts.versions("mass")] == [2, 1]
    assert ended(birds) == {}
