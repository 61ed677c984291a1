"""How runtimes are measured: with a clock of numbers, and predictors that take as long as they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bedplate.core.model import Field, Remote, Signature
from bedplate.stages.deploy.runtime import MANY, measured
from bedplate.storage.flavours import Stored
from bedplate.storage.runtimes import Source

SIGNATURE = Signature(inputs=(Field("a", "FP64"), Field("b", "FP64")), outputs=(Field("output", "FP64"),))


class Remembering:
    """Takes 10 us a row, and 1 us for rows that it was asked among its last few calls; its clock is its own."""

    signature = SIGNATURE
    native: Any = None
    is_remote = False

    def __init__(self, call_s: float = 0.0) -> None:
        self.now = 0.0
        self.call_s = call_s
        self.last: list[bytes] = []

    def matrix(self, columns: dict[str, Any]) -> Any:
        return np.column_stack([np.asarray(columns[name], dtype=np.float64) for name in ("a", "b")])

    def predict(self, columns: dict[str, Any]) -> Any:
        return self.rows(self.matrix(columns))

    def rows(self, matrix: Any) -> Any:
        self.now += self.call_s + (1e-6 if matrix.tobytes() in self.last else 10e-6 * len(matrix))
        self.last = [*self.last[-2:], matrix.tobytes()]
        return matrix.sum(axis=1)

    def timer(self) -> float:
        return self.now


def asked(predictor: Remembering, tmp_path: Path) -> Any:
    stored = Stored(flavour="function", library="rows", signature=SIGNATURE, example=[{"a": 1.0, "b": 2.0}])
    return measured(Source(stored=stored, files={}, predictor=predictor), tmp_path, tolerance=0.0, timer=predictor.timer)[0]


def test_what_a_runtime_remembers_of_its_last_calls_makes_it_no_quicker(tmp_path: Path) -> None:
    """Rows change from call to call, one by one and in batches: what is measured is what those cost that come."""
    choice = asked(Remembering(), tmp_path)
    assert round(choice.best.one_us, 6) == 10.0
    assert round(choice.best.many_us, 6) == 10.0 * MANY
    assert choice.place == "loop"


def test_a_heavy_model_is_known_by_what_it_takes(tmp_path: Path) -> None:
    """3 ms a row is more than the loop bears, 60 ms too, which is measured by one call only."""
    for seconds in (0.003, 0.06):
        choice = asked(Remembering(seconds), tmp_path)
        assert choice.place == "workers"
        assert choice.best.one_us >= seconds * 1e6


def test_a_remote_model_is_waited_for_wherever_it_is_quick(tmp_path: Path) -> None:
    """Its figures are those of the way there and back; it is never the loop's, and says where it is."""
    predictor = Remembering()
    predictor.native = Remote(url="http://there/v2/models/late")
    predictor.is_remote = True
    choice = asked(predictor, tmp_path)
    assert (choice.runtime, choice.place, choice.note) == ("remote", "threads", "http://there/v2/models/late")
    assert choice.best.one_us > 0
    assert choice.line() == "remote (http://there/v2/models/late), waited for in threads, requests together"
