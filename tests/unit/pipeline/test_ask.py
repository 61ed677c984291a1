"""What a warehouse query may name, and what it is given for it."""

from __future__ import annotations

from typing import Any

from bedplate.pipeline.ask import known, tables

TEXT = """
@p.step
def size() -> int:
    return 3

@p.step
def runs() -> str:
    return "an artifact named like a table of the record"

@p.service
def tell(size: int, x: float) -> float:
    return x * size
"""


def asked(house: Any, *names: str) -> dict[str, Any]:
    workspace = house.open()
    return tables(names, workspace.catalog, workspace.store)


def test_a_value_is_a_row_with_its_version(house: Any) -> None:
    house.run(TEXT)
    row = asked(house, "size")["size"]
    assert (row["artifact"], row["number"], row["value"]) == (["size"], [1], ["3"])


def test_an_older_version_is_asked_for_by_number(house: Any) -> None:
    house.run(TEXT)
    house.run(TEXT.replace("return 3", "return 4"))
    found = asked(house, "size", "size@1")
    assert (found["size"]["value"], found["size@1"]["value"]) == (["4"], ["3"])


def test_the_record_is_there_and_an_artifact_of_its_name_hides_it(house: Any) -> None:
    house.run(TEXT)
    found = asked(house, "steps", "runs")
    assert "steps" in found
    assert found["runs"]["kind"] == ["scalar"]


def test_what_is_not_there_and_what_was_not_served_is_left_out(house: Any) -> None:
    house.run(TEXT)
    assert asked(house, "nothing", "size@9", "tell") == {}


def test_only_what_a_query_names_is_prepared(house: Any) -> None:
    house.run(TEXT)
    assert set(asked(house, "size")) == {"size"}


def test_everything_that_can_be_asked_is_listed_once(house: Any) -> None:
    house.run(TEXT)
    store = house.open().store
    assert "tell" not in known(house.open().catalog, store)["table"], "a service that has predicted nothing cannot be asked"
    store.log("predictions/tell").append({"result": [1.0]})
    listed = known(house.open().catalog, store)
    what = dict(zip(listed["table"], listed["what"], strict=True))
    assert what["size"] == "scalar artifact"
    assert what["tell"] == "predictions"
    assert what["runs"] == "scalar artifact"
    assert what["steps"] == "record"
    assert len(listed["table"]) == len(set(listed["table"]))
