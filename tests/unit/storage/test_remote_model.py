"""A model that another server has, with a server made of a function: what is read from it, sent to it, tried again, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bedplate.core.errors import CorruptError, StepError, UserError, WorldError
from bedplate.core.model import Model, Remote, RowPredictor
from bedplate.core.records import Draft
from bedplate.planner.batching.breaker import Trust
from bedplate.storage.backends.remote_caller import Caller
from bedplate.storage.far import Kept
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save

URL = "http://there:8000/v2/models/sum"
Said = tuple[int, dict[str, str], bytes]


def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


class Server:
    """Sums the columns of each row, as JSON or raw; `troubles` are what it answers first."""

    def __init__(self, inputs: list[Any], outputs: list[Any], *, binary: bool = True) -> None:
        self.inputs, self.outputs, self.binary = inputs, outputs, binary
        self.troubles: list[Said | WorldError] = []
        self.questions: list[tuple[dict[str, Any], bytes]] = []
        self.version = "1"
        self.answers: Callable[[Any], dict[str, Any]] = lambda rows: {"total": rows.sum(axis=1)}

    def __call__(
        self, method: str, url: str, time_s: float, *, body: bytes = b"", headers: Mapping[str, str] | None = None, token: str = ""
    ) -> Said:
        assert time_s > 0
        if method == "GET":
            if url == "http://there:8000/v2":
                return 200, {}, json.dumps({"extensions": ["binary_tensor_data"] if self.binary else []}).encode()
            told = {"name": "sum", "platform": "here", "versions": [self.version], "inputs": self.inputs, "outputs": self.outputs}
            return (200, {}, json.dumps(told).encode()) if url == URL else (404, {}, b'{"error": "no such model"}')
        if self.troubles:
            trouble = self.troubles.pop(0)
            if isinstance(trouble, WorldError):
                raise trouble
            return trouble
        return self.infer(body, headers or {})

    def infer(self, body: bytes, headers: Mapping[str, str]) -> Said:
        cut = int(headers.get("Inference-Header-Content-Length", len(body)))
        head, rest = json.loads(body[:cut]), body[cut:]
        self.questions.append((head, rest))
        parts = []
        for one in head["inputs"]:
            if "data" in one:
                values = np.array(one["data"], dtype=object if one["datatype"] == "BYTES" else np.float64)
            else:
                size = one["parameters"]["binary_data_size"]
                values = np.frombuffer(rest[:size], dtype={"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "BOOL": "?"}[one["datatype"]])
                rest = rest[size:]
            parts.append(values.reshape(one["shape"][0], -1))
        made = self.answers(np.column_stack(parts))
        told = [{"name": name, "datatype": "FP64", "shape": list(np.shape(v)), "data": np.ravel(v).tolist()} for name, v in made.items()]
        return 200, {}, json.dumps({"model_name": "sum", "model_version": self.version, "outputs": told}).encode()


def matrix(binary: bool = True) -> Server:
    return Server([tensor("x", "FP64", -1, 3)], [tensor("total", "FP64", -1)], binary=binary)


def stored(server: Server, folder: Path, **about: Any) -> tuple[ModelShelf, Draft]:
    shelf = ModelShelf(folder, ask=server)
    return shelf, shelf.save(Save(kind="model", artifact="late", value=Model.at(URL, **about), attempt="a-1"))


def loaded(server: Server, folder: Path, **about: Any) -> Any:
    shelf, draft = stored(server, folder, **about)
    return shelf.load(draft, "model", None)


@pytest.mark.parametrize("binary", [True, False])
def test_a_matrix_is_columns_and_answers_are_rows(binary: bool, tmp_path: Path) -> None:
    """Raw bytes where the server takes them, JSON where not; the same numbers, missing ones too, and nothing is asked without rows."""
    server = matrix(binary)
    model = loaded(server, tmp_path)
    assert [field.name for field in model.signature.inputs] == ["x_0", "x_1", "x_2"]
    assert isinstance(model.predictor, RowPredictor)
    assert model.is_remote
    assert server.questions == []
    assert model.predict({"x_0": 1, "x_1": 2.5, "x_2": 3}) == 6.5
    assert bool(server.questions[0][1]) is binary
    made = model.predictor.rows(np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]]))
    assert np.array_equal(made, [np.nan, 15.0], equal_nan=True)
    asked = len(server.questions)
    assert model.predictor.rows(np.empty((0, 3))).shape == (0,)
    assert len(server.questions) == asked


def test_the_example_names_the_columns_and_is_answered_once(tmp_path: Path) -> None:
    """What the server answers to it says how wide the outputs are where the server itself does not."""
    server = Server([tensor("x", "FP32", -1, -1)], [], binary=True)
    server.answers = lambda rows: {"total": rows.sum(axis=1), "both": np.column_stack([rows[:, 0], rows[:, 1]])}
    model = loaded(server, tmp_path, example=[{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}])
    assert len(server.questions) == 1
    assert [field.name for field in model.signature.inputs] == ["a", "b"]
    assert [field.name for field in model.signature.outputs] == ["total", "both_0", "both_1"]
    assert np.array_equal(model.predict([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]), [[3, 1, 2], [7, 3, 4]])
    only = loaded(server, tmp_path, example=[{"a": 1.0, "b": 2.0}], output="total")
    assert np.array_equal(only.predict([{"a": 1.0, "b": 2.0}]), [3.0])


def test_columns_of_text_and_whole_numbers_are_sent_as_they_are(tmp_path: Path) -> None:
    """A fraction for a whole number is refused, not cut off; a text that is missing is null."""
    server = Server([tensor("word", "BYTES", -1), tensor("n", "INT64", -1, 1)], [tensor("total", "FP64", -1, 1)])
    server.answers = lambda rows: {"total": np.array([[len(word or "") + float(n)] for word, n in rows])}
    model = loaded(server, tmp_path)
    assert not isinstance(model.predictor, RowPredictor)
    assert model.predict([{"word": "drei", "n": 3}, {"word": None, "n": 4}]).tolist() == [7.0, 4.0]
    assert server.questions[-1][0]["inputs"][1]["shape"] == [2, 1]
    with pytest.raises(UserError, match="whole numbers"):
        model.predict({"word": "x", "n": 0.5})
    with pytest.raises(UserError, match="takes text"):
        model.predict({"word": 3, "n": 1})


@pytest.mark.parametrize(
    ("inputs", "outputs", "about", "said"),
    [
        ([], [tensor("t", "FP64", -1)], {}, "does not say what the model takes"),
        ([tensor("x", "FP64", -1, 3, 8, 8)], [], {}, "rows of any number"),
        ([tensor("x", "FP64", 1, 3)], [], {}, "rows of any number"),
        ([tensor("x", "BF16", -1, 3)], [], {}, "known types"),
        ([tensor("x", "FP64", -1, 9999)], [], {}, "9,999 columns"),
        ([tensor("x", "FP64", -1, -1)], [], {}, "how many columns"),
        ([tensor("x", "FP64", -1)], [tensor("a", "FP64", -1), tensor("b", "BYTES", -1)], {}, "do not go together"),
        ([tensor("x", "FP64", -1)], [tensor("a", "FP64", -1)], {"output": "b"}, "gives no b"),
        ([tensor("x", "FP64", -1)], [tensor("total", "FP64", -1)], {"example": [{"y": 1.0, "z": 2.0}]}, "example does not fit"),
    ],
)
def test_what_is_no_table_is_refused_when_the_version_is_made(
    inputs: list[Any], outputs: list[Any], about: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """With what would help."""
    with pytest.raises(UserError) as refused:
        stored(Server(inputs, outputs), tmp_path, **about)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "url", ["there/v2/models/x", "http://there/models/x", "http://there/v2/models/", "http://a/v2/models/x/infer", f"{URL}?a"]
)
def test_an_address_of_another_form_is_refused(url: str, tmp_path: Path) -> None:
    """Before anybody is asked."""
    with pytest.raises(UserError, match="no address of a model"):
        ModelShelf(tmp_path, ask=matrix()).save(Save(kind="model", artifact="late", value=Model.at(url), attempt="a-1"))


def test_another_signature_there_is_another_version_here(tmp_path: Path) -> None:
    """An equal one is the earlier version; a new version of the model there is a new one here, as its predictions are others."""
    server = matrix()
    shelf, first = stored(server, tmp_path)
    assert stored(server, tmp_path)[1].digest == first.digest
    server.version = "2"
    assert stored(server, tmp_path)[1].digest != first.digest
    shelf.verify(first)


def test_a_changed_signature_is_said_when_it_is_loaded_and_when_it_answers(tmp_path: Path) -> None:
    """What it took, what it takes now, and what to do; nothing is predicted with the wrong columns."""
    server = matrix()
    shelf, draft = stored(server, tmp_path)
    model = shelf.load(draft, "model", None)
    assert model.predict({"x_0": 1, "x_1": 2, "x_2": 3}) == 6
    server.inputs, server.version = [tensor("x", "FP64", -1, 4)], "2"
    with pytest.raises(WorldError, match="is another model than when it was stored") as changed:
        model.predict({"x_0": 1, "x_1": 2, "x_2": 3})
    assert "it took x FP64 [-1, 3], and says x FP64 [-1, 4] now" in str(changed.value)
    with pytest.raises(WorldError, match="is another model"):
        shelf.load(draft, "model", None)
    server.troubles = [(400, {}, b'{"error": "4 columns"}')]
    with pytest.raises(WorldError, match="is another model"):
        model.predict({"x_0": 1, "x_1": 2, "x_2": 3})


def test_an_answer_of_another_form_is_no_prediction(tmp_path: Path) -> None:
    """Too few rows, another output, more columns, no JSON: said, never guessed at."""
    server = matrix()
    model = loaded(server, tmp_path)
    row = {"x_0": 1, "x_1": 2, "x_2": 3}
    for answers in (lambda rows: {"total": np.ones(7)}, lambda rows: {"other": rows[:, 0]}, lambda rows: {"total": rows}):
        server.answers = answers
        with pytest.raises(WorldError):
            model.predict(row)
    for body in (b"<html>", b'{"outputs": [{"name": "total", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}]}'):
        server.troubles = [(200, {"inference-header-content-length": str(len(body))}, body)]
        with pytest.raises(WorldError, match="no answer that can be read"):
            model.predict(row)


def test_whose_mistake_it_is_is_told_apart(tmp_path: Path) -> None:
    """Rows that are refused are the caller's, a model that fails is its own, a door that is shut is the world's."""
    server = matrix()
    model = loaded(server, tmp_path)
    row = {"x_0": 1, "x_1": 2, "x_2": 3}
    for status, kind in ((400, UserError), (500, StepError), (401, WorldError), (404, WorldError), (302, WorldError)):
        server.troubles = [(status, {}, b'{"error": "thirteen"}')]
        with pytest.raises(kind):
            model.predict(row)
    assert model.predict(row) == 6


class Hours:
    """A clock that only pauses move, and an `ask` of told troubles."""

    def __init__(self, *troubles: Said | WorldError) -> None:
        self.now = 0.0
        self.server = matrix()
        self.server.troubles = list(troubles)

    def timer(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def caller(self, timeout: str = "10 s") -> tuple[Caller, Kept]:
        remote = Model.at(URL, timeout=timeout).native
        caller = Caller(remote, self.server, timer=self.timer, pause=self.pause, trust=Trust(most=2, pause_s=1.0))
        told = caller.metadata()
        return caller, Kept(remote=remote, inputs=told.inputs, outputs=told.outputs, takes=told.inputs, gives=told.outputs)

    def asks(self, caller: Caller, kept: Kept) -> float:
        return float(caller.predict(kept, [(kept.takes[0], np.ones((1, 3)))], 1)["total"][0, 0])


GONE = WorldError("there did not answer")


def test_a_lost_question_is_asked_again_and_no_more_than_twice() -> None:
    """After a short pause, or as long as the server wants; never beyond the timeout."""
    hours = Hours(GONE, (503, {"retry-after": "2"}, b""))
    caller, kept = hours.caller()
    assert hours.asks(caller, kept) == 3.0
    assert hours.now == pytest.approx(0.05 + 2.0)
    hours = Hours(GONE, GONE, GONE)
    caller, kept = hours.caller()
    with pytest.raises(WorldError, match="did not answer"):
        hours.asks(caller, kept)
    assert hours.server.troubles == []
    hours = Hours((429, {"retry-after": "60"}, b'{"error": "too many"}'))
    caller, kept = hours.caller("5 s")
    with pytest.raises(WorldError, match="answered 429"):
        hours.asks(caller, kept)
    assert hours.now == 0.0


def test_who_fails_again_and_again_is_left_alone_for_growing_pauses() -> None:
    """Two failures open the breaker: nobody asks for a second, then two; an answer closes it."""
    hours = Hours(*[GONE] * 9)
    caller, kept = hours.caller()
    for _ in range(2):
        with pytest.raises(WorldError):
            hours.asks(caller, kept)
    left = len(hours.server.troubles)
    assert caller.wait_s() == pytest.approx(1.0)
    with pytest.raises(WorldError, match="is not asked now"):
        hours.asks(caller, kept)
    assert len(hours.server.troubles) == left
    hours.now += 1.0
    with pytest.raises(WorldError):
        hours.asks(caller, kept)
    assert caller.wait_s() == pytest.approx(2.0)
    hours.now += 2.0
    assert hours.asks(caller, kept) == 3.0
    assert caller.wait_s() == 0.0


def test_a_shelf_without_a_way_out_and_a_broken_file_are_told(tmp_path: Path) -> None:
    """No server is asked by who was not given a client, and what is kept is read as it is or not at all."""
    shelf, draft = stored(matrix(), tmp_path)
    with pytest.raises(UserError, match="cannot be asked here"):
        ModelShelf(tmp_path).load(draft, "model", None)
    file = next(
        path
        for path in (tmp_path / "blobs").rglob("*")
        if path.is_file() and b'"remote"' in path.read_bytes()[:9000] and b"takes" in path.read_bytes()
    )
    file.chmod(0o600)
    file.write_bytes(b"{}")
    with pytest.raises(CorruptError):
        shelf.load(draft, "model", None)


DEEP = b"[" * 100_000


@pytest.mark.parametrize("said", [DEEP, b'{"error": ' + DEEP])
def test_a_server_that_nests_without_end_is_one_that_failed(said: bytes, tmp_path: Path) -> None:
    """In what it says of itself, of the model, and of an error."""
    server = matrix()
    rows = loaded(server, tmp_path).predictor.rows
    for status, kind in ((400, UserError), (500, StepError)):
        server.troubles = [(status, {}, said)]
        with pytest.raises(kind):
            rows(np.ones((2, 3)))
    caller = Caller(Remote(url=URL), lambda *_a, **_k: (200, {}, said))
    caller.meet()
    assert caller.speech.binary is False
    with pytest.raises(WorldError, match="does not speak"):
        caller.metadata()


@pytest.mark.parametrize(("datatype", "data"), [("INT64", [1.5, 2]), ("INT64", ["1", "2"]), ("BOOL", ["x", 2]), ("BOOL", [2, 1])])
def test_a_value_that_is_not_of_its_type_is_no_prediction(datatype: str, data: list[Any], tmp_path: Path) -> None:
    """Nothing is cut off: 1.5 is not 1, and a text is not true."""
    server = matrix()
    rows = loaded(server, tmp_path).predictor.rows
    told = {"outputs": [{"name": "total", "datatype": datatype, "shape": [2], "data": data}]}
    server.troubles = [(200, {}, json.dumps(told).encode())]
    with pytest.raises(WorldError, match="no answer that can be read"):
        rows(np.ones((2, 3)))
