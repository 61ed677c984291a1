"""ONNX models: served by onnxruntime as scikit-learn predicted, columns side by side or each by its name, mistakes named."""

from __future__ import annotations

import numpy as np
import onnx
import polars as pl
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from bedplate import Model
from bedplate.core.errors import CorruptError, UserError
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def shelf(tmp_path):
    return ModelShelf(tmp_path)


def save(shelf, model):
    return shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1"))


def table(rows: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"a": rng.random(rows).astype(np.float32), "b": rng.random(rows).astype(np.float32)})


def test_probabilities_are_those_of_the_estimator_whatever_form_they_are_converted_in(shelf):
    """With and without skl2onnx's map of labels; one row, and many."""
    x = table()
    native = LogisticRegression().fit(x.to_numpy(), (x["a"] > x["b"]).to_numpy())
    expected = native.predict_proba(x.to_numpy())[:, 1]
    for options in ({"zipmap": False}, {"zipmap": True}):
        proto = to_onnx(native, x.to_numpy()[:1], options={id(native): options})
        loaded = shelf.load(save(shelf, Model(proto, example=x)), "model", None)
        assert np.allclose(loaded.predict(x), expected, atol=1e-6)
        assert loaded.predict(x.row(3, named=True)) == pytest.approx(expected[3], abs=1e-6)


def test_a_class_each_gives_a_column_each_and_a_regression_a_number(shelf):
    x = table()
    forest = RandomForestClassifier(5, random_state=0).fit(x.to_numpy(), np.arange(len(x)) % 3)
    loaded = shelf.load(save(shelf, Model(to_onnx(forest, x.to_numpy()[:1], options={"zipmap": False}), example=x)), "model", None)
    assert np.allclose(loaded.predict(x), forest.predict_proba(x.to_numpy()), atol=1e-6)
    line = LinearRegression().fit(x.to_numpy(), (x["a"] * 2 + x["b"]).to_numpy())
    loaded = shelf.load(save(shelf, Model(to_onnx(line, x.to_numpy()[:1]), example=x)), "model", None)
    assert np.allclose(loaded.predict(x), line.predict(x.to_numpy()), atol=1e-5)


def test_inputs_by_name_take_text(shelf):
    """A pipeline with an input for each column gets each by its name, text as text."""
    x = pl.DataFrame({"carrier": ["UA", "AA", "DL"] * 40, "distance": np.linspace(0, 1, 120).astype(np.float32)})
    frame = x.to_pandas()
    native = make_pipeline(
        ColumnTransformer([("c", OneHotEncoder(sparse_output=False), ["carrier"]), ("d", "passthrough", ["distance"])]),
        LogisticRegression(),
    ).fit(frame, (x["carrier"] == "UA").to_numpy())
    types = [("carrier", StringTensorType([None, 1])), ("distance", FloatTensorType([None, 1]))]
    proto = to_onnx(native, initial_types=types, options={"zipmap": False})
    loaded = shelf.load(save(shelf, Model(proto, example=x)), "model", None)
    assert np.allclose(loaded.predict(x), native.predict_proba(frame)[:, 1], atol=1e-6)
    with pytest.raises(UserError, match="not those that the model takes"):
        save(shelf, Model(proto, example=x.rename({"carrier": "airline"})))


def test_the_file_is_onnx_own_and_equal_models_are_one_version(shelf, tmp_path):
    """onnx's own checker takes the stored bytes; the same graph stored again has the same digest."""
    x = table()
    proto = to_onnx(LinearRegression().fit(x.to_numpy(), x["a"].to_numpy()), x.to_numpy()[:1])
    first, again = save(shelf, Model(proto, example=x)), save(shelf, Model(proto.SerializeToString(), example=x, flavour="onnx"))
    assert first.digest == again.digest
    largest = max(
        (path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and b"skl2onnx" in path.read_bytes()),
        key=lambda p: p.stat().st_size,
    )
    onnx.checker.check_model(onnx.load_from_string(largest.read_bytes()))
    with pytest.raises(CorruptError, match="no ONNX model"):
        save(shelf, Model(b"not a model", example=x, flavour="onnx"))
