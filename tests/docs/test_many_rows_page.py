"""The project on the page about services of arrays and frames is one: it is linted, made and asked as the page says."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import bedplate
from bedplate.core.model import Model
from bedplate.stages.deploy.lines import Answering, Counted, run
from bedplate.stages.deploy.site import site_of

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "answer-many-rows-at-once.md").read_text()
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ASKED = re.findall(r"/(\w+) -H 'content-type: application/json' -d '(.*?)'\n(.*)\n", PAGE)


def test_what_the_page_asks_is_answered_as_it_says(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    (tmp_path / "homes.py").write_text(CODE)
    (tmp_path / "bedplate.toml").write_text('compute = "inline"\n')
    workspace = bedplate.open(tmp_path)
    workspace.run()
    assert [name for name, _, _ in ASKED] == ["worth", "offers"]
    for name, body, said in ASKED:
        rows, expected = (value if isinstance(value, list) else [value] for value in (json.loads(body), json.loads(said)))
        answering, out = Answering(site_of(workspace.parts), name), io.BytesIO()
        answering.open()
        run(answering, io.BytesIO("\n".join(map(json.dumps, rows)).encode()), out, Counted())
        answering.close()
        answered = [json.loads(line)["result"] for line in out.getvalue().splitlines()]
        assert answered == [one["result"] for one in expected]


def test_its_functions_stay_plain_functions(tmp_path: Path) -> None:
    """As in a unit test of a project: arrays in, an array out."""
    path = tmp_path / "plain_homes.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("plain_homes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["plain_homes"] = module
    spec.loader.exec_module(module)

    class Price(Model):
        """Twice the area."""

        def predict(self, rows: object) -> object:
            """For columns."""
            assert isinstance(rows, dict | pl.DataFrame)
            return np.asarray(rows["area"]) * 2

    assert module.worth(Price(), np.array([1.0, -2.0]), np.array([1, 2])).tolist() == [2.0, 0.0]
    homes = pl.DataFrame({"area": [4.0], "rooms": [None], "city": ["Bern"]}, schema_overrides={"rooms": pl.Int64})
    assert module.offers(Price(), homes).rows() == [(8.0, "BERN")]
