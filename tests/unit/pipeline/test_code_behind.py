"""A model of the project's own is its parameters and all the code that its function reaches."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.errors import UserError

FLOW = """
import helper
FACTOR = 1.0

def pred(params, columns):
    return helper.scale(columns["x"]) * params["k"] * FACTOR

@p.train
def m() -> Model:
    return Model.of(pred, {"k": 1.0}, example=[{"x": 1.0}, {"x": 2.0}])

@p.check(promotes="production")
def good(m: Model) -> Check:
    return Check.at_most("v", float(m.predict({"x": 1.0})), 10.0)
"""
HELPER = "def scale(x):\n    '''Scales.'''\n    return x\n\ndef idle():\n    return 1\n"


@pytest.mark.parametrize(("where", "old", "new"), [("helper", "return x", "return x * 1000"), ("flow", "FACTOR = 1.0", "FACTOR = 1000.0")])
def test_what_a_models_function_reaches_cannot_change_past_the_gate(house: Any, where: str, old: str, new: str) -> None:
    """Production refuses to predict with other code, naming it; the next run makes another version, which the check holds back."""
    assert house.open(FLOW, helper=HELPER).run().ok
    texts = {"flow": FLOW, "helper": HELPER}
    texts[where] = texts[where].replace(old, new)
    edited = house.open(texts["flow"], helper=texts["helper"])
    with pytest.raises(UserError, match=rf"the code behind m@1 has changed since it was stored: {where}\.py:(scale|FACTOR)"):
        edited["m"].load("production")
    edited.run()
    assert edited["m"].load().ref == "m@2"
    assert edited.catalog.models.history("m", "production")[-1].version == 1


def test_what_it_does_not_reach_leaves_the_model_alone(house: Any) -> None:
    assert house.open(FLOW, helper=HELPER).run().ok
    edited = house.open(f"# a note\n{FLOW}", helper=HELPER.replace("Scales", "Scales x").replace("return 1\n", "return 2\n"))
    assert edited["m"].load("production").predict({"x": 2.0}) == 2.0
    assert {step.status for step in edited.run().steps} == {"skipped"}


def test_a_comment_written_while_a_model_is_trained_costs_nothing(house: Any) -> None:
    """The code that trained is what is kept, not what the file says since."""
    flow = house.folder / "flow.py"
    edit = "from pathlib import Path\n\ndef edit():\n    file = Path(__file__)\n"
    edit += "    file.write_text('# a note' + chr(10) + file.read_text())\n\n"
    slow = FLOW.replace("    return Model.of", "    edit()\n    return Model.of").replace("@p.train", f"{edit}@p.train")
    summary = house.open(slow, helper=HELPER).run("m", only=True)
    assert flow.read_text().startswith("# a note")
    assert summary.ok, summary.failures
