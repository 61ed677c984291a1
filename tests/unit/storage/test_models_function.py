"""A project's own model: parameters and arrays in open files, its function by name, and every reason to refuse it."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bedplate import Model
from bedplate.core.errors import CorruptError, UserError
from bedplate.storage import flavours
from bedplate.storage.models import ModelShelf, stored_of
from bedplate.storage.shelf import Save

EXAMPLE = [{"distance": 1.0, "carrier": "UA", "stops": 0}, {"distance": 2.0, "carrier": None, "stops": 1}]


def linear(params, columns):
    """Predicts."""
    known = np.array([1.0 if carrier == "UA" else 0.0 for carrier in columns["carrier"]])
    return columns["distance"] * params["weights"][0] + known * params["weights"][1] + params["bias"]["all"]


def one_value(params, columns):
    return 0.5


def zeros(params, columns):
    return np.zeros(2)


def nothing(params, columns):
    return None


@pytest.fixture
def shelf(tmp_path):
    return ModelShelf(tmp_path)


def as_given(params, columns):
    return columns["stops"]


def save(shelf, model, prior=None):
    return shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1", prior=prior))


def trained(weights=(2.0, 0.5)) -> Model:
    return Model.of(linear, {"weights": np.array(weights), "bias": {"all": np.float64(1.0)}}, example=EXAMPLE, metrics={"auc": 0.7})


@pytest.mark.parametrize("value", [217.9, 100.4, -0.5, 1e300, 2.0**63, 3])
def test_a_number_is_the_number_that_was_sent_though_training_had_whole_ones(shelf, value):
    """One row, a frame and a mapping of columns alike: nothing is cut to the training column's type, nothing overflows."""
    loaded = shelf.load(save(shelf, Model.of(as_given, {}, example=[{"stops": 1}])), "model", None)
    assert loaded.predict({"stops": value}) == value
    assert loaded.predict({"stops": [1, value, None]}).tolist()[:2] == [1, value]
    assert loaded.predict(pl.DataFrame({"stops": [float(value), 1.0]})).tolist() == [value, 1]


def test_whole_numbers_stay_whole_numbers(shelf):
    """A function may use them as places in an array."""
    loaded = shelf.load(save(shelf, Model.of(as_given, {}, example=[{"stops": 1}])), "model", None)
    assert (loaded.predict({"stops": [2.0, 1]}).dtype, loaded.predict({"stops": [2.0, 1]}).tolist()) == (np.int64, [2, 1])


def test_a_stored_model_predicts_as_its_function_does(shelf):
    """For rows, columns and one row; the signature comes from the example, the metrics stay with it."""
    draft = save(shelf, trained())
    loaded = shelf.load(draft, "model", None)
    assert loaded.predict(EXAMPLE).tolist() == [3.5, 5.0]
    assert loaded.predict({"distance": [1, 2.5], "carrier": ["AA", "UA"], "stops": [0, 0]}).tolist() == [3.0, 6.5]
    assert loaded.predict({"distance": 3, "carrier": "UA", "stops": 0}) == 7.5
    assert [(field.name, field.datatype) for field in loaded.signature.inputs] == [
        ("distance", "FP64"),
        ("carrier", "BYTES"),
        ("stops", "INT64"),
    ]
    assert loaded.metrics == {"auc": 0.7}
    assert loaded.example == EXAMPLE
    assert draft.meta["describe"]["function"].endswith("test_models_function.linear")


def test_the_digest_is_of_parameters_signature_and_code_alone(shelf):
    """Metrics and further example rows change nothing; a weight does; equal content keeps the files."""
    first = save(shelf, trained())
    again = trained()
    again.metrics = {"auc": 0.1}
    again.example = EXAMPLE * 2
    assert save(shelf, again, prior=first).digest == first.digest
    assert save(shelf, trained((2.0, 0.6))).digest != first.digest
    shelf.verify(first)
    assert set(shelf.keeps(first)) == {
        first.uri,
        *(f"blobs/sha256/{file.digest[7:9]}/{file.digest[7:]}" for file in stored_of(first).files.values()),
    }


def test_the_digest_is_equal_in_another_process(shelf):
    """Saved by a fresh interpreter."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_models_function as t
print(t.save(t.ModelShelf(Path(sys.argv[1])), t.trained()).digest)
"""
    ran = subprocess.run([sys.executable, "-c", code, str(shelf.root / "other")], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == save(shelf, trained()).digest


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"w": float("nan")}, "params\\['w'\\] is nan"),
        ({"w": [1, {"f": object()}]}, "params\\['w'\\]\\[1\\]\\['f'\\] is a object"),
        ({"w": np.array([object()])}, "an array of objects"),
        ({1: 2}, "other keys than text"),
    ],
)
def test_what_json_and_arrays_do_not_know_is_refused_by_its_path(shelf, params, said):
    """Nothing is pickled instead."""
    with pytest.raises(UserError, match=said):
        save(shelf, Model.of(zeros, params, example=EXAMPLE))


def test_functions_that_could_not_be_found_again_are_refused(shelf):
    """A lambda, a nested function, something that is none."""

    def nested(params, columns):
        return np.zeros(2)

    for function, said in ((lambda p, c: np.zeros(2), "<lambda>"), (nested, "nested"), (np.zeros_like, "zeros_like")):
        with pytest.raises(UserError, match=said):
            save(shelf, Model.of(function, {}, example=[{"a": 1}, {"a": 2}]))


@pytest.mark.parametrize(
    ("function", "said"), [(one_value, "one_value returned one value for 2 rows"), (nothing, "nothing returned one value for 2 rows")]
)
def test_a_function_that_does_not_answer_for_each_row_is_refused(shelf, function, said):
    """Said when it is stored, not when it serves."""
    with pytest.raises(UserError, match=said):
        save(shelf, Model.of(function, {}, example=EXAMPLE))


def test_wrong_inputs_are_named(shelf):
    """Text for numbers, numbers for text, missing and unequal columns."""
    predictor = shelf.load(save(shelf, trained()), "model", None)
    row = EXAMPLE[0]
    for rows, said in (
        (row | {"distance": "far"}, "'distance' takes numbers"),
        (row | {"carrier": 3}, "'carrier' takes text"),
        ({"distance": 1.0, "stops": 0}, "needs carrier"),
        ({"distance": [1.0, 2.0], "carrier": ["UA"], "stops": [0, 0]}, "not of equal length"),
    ):
        with pytest.raises(UserError, match=said):
            predictor.predict(rows)


PROJECT = """
import numpy as np

def predict(params, columns):
    # a comment
    return columns["a"] * {factor}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder on the path, and a way to rewrite its file and import it again."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text: str, reload: bool = True):
        (folder / "own_model_project.py").write_text(text)
        importlib.invalidate_caches()
        if reload:
            sys.modules.pop("own_model_project", None)
            return importlib.import_module("own_model_project")
        return None

    yield write
    sys.modules.pop("own_model_project", None)


def test_a_changed_comment_is_the_same_function_and_changed_code_is_refused(shelf, project):
    """The old version is not answered for by new code."""
    module = project(PROJECT.format(factor=2))
    draft = save(shelf, Model.of(module.predict, {}, example=[{"a": 1.0}]))
    project(PROJECT.format(factor=2).replace("# a comment", '"""A docstring."""\n\n    # another'))
    assert shelf.load(draft, "model", None).predict({"a": 4.0}) == 8.0
    project(PROJECT.format(factor=3))
    with pytest.raises(UserError, match=r"own_model_project\.predict has changed since the model was stored"):
        shelf.load(draft, "model", None)
    project("")
    with pytest.raises(UserError, match=r"own_model_project\.predict is gone"):
        shelf.load(draft, "model", None)


def test_a_file_edited_under_a_running_process_is_noticed(shelf, project):
    """A server that still has the old function does not take a new model's word for the new one."""
    module = project(PROJECT.format(factor=2))
    project(PROJECT.format(factor=3), reload=False)
    with pytest.raises(UserError, match="not what this process runs"):
        save(shelf, Model.of(module.predict, {}, example=[{"a": 1.0}]))


def test_a_pickled_array_is_refused(shelf, tmp_path):
    """An .npy file of objects is a pickle inside."""
    draft = save(shelf, trained())
    described = stored_of(draft)
    files = {
        name: shelf.root / Path(kept) for name, kept in zip(described.files, [k for k in shelf.keeps(draft) if k != draft.uri], strict=True)
    }
    for content in (pickle.dumps([1.0]), None):
        path = tmp_path / "evil.npy"
        path.write_bytes(content) if content else np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(CorruptError, match=r"array 0\.npy"):
            flavours.find("function").load({**files, "0.npy": path}, described)


def test_an_object_that_no_flavour_keeps_is_refused_with_the_way_out(shelf):
    """Named by its class, nothing pickled."""
    with pytest.raises(UserError, match="no flavour keeps a pathlib") as caught:
        save(shelf, Model(Path(), example=EXAMPLE))
    assert "Model.of" in caught.value.next
    with pytest.raises(UserError, match="no flavour 'jax'"):
        save(shelf, Model(1, flavour="jax", example=EXAMPLE))


def test_a_loaded_array_cannot_be_changed_for_the_next_caller(shelf):
    """Parameters are read-only."""
    loaded = shelf.load(save(shelf, Model.of(spoil, {"w": np.array([1.0])}, example=[{"a": 1.0}])), "model", None)
    with pytest.raises(ValueError, match="read-only"):
        loaded.predict({"a": 2.0})


def spoil(params, columns):
    if columns["a"][0] == 2.0:
        params["w"][0] = 9.0
    return columns["a"]
