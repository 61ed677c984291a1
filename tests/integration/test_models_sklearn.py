"""scikit-learn models: skops only, digests of content, frames as they were fitted, classes of strangers refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bedplate import Model
from bedplate.core.errors import CorruptError, UserError
from bedplate.stages.train import handler
from bedplate.storage import flavours
from bedplate.storage.foreign import Foreign
from bedplate.storage.models import ModelShelf, stored_of
from bedplate.storage.shelf import Save


@pytest.fixture
def shelf(tmp_path):
    return ModelShelf(tmp_path)


def save(shelf, model, prior=None):
    return shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1", prior=prior))


def table(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"distance": rng.random(rows) * 100, "hour": rng.integers(0, 24, rows), "carrier": rng.choice(["UA", "AA", "DL"], rows)}
    )
    return frame.astype({"carrier": object})


def labels(frame: pd.DataFrame) -> np.ndarray:
    return ((frame["distance"] > 50) ^ (frame["carrier"] == "UA")).to_numpy()


def mixed(estimator):
    encode = ColumnTransformer([("n", StandardScaler(), ["distance", "hour"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["carrier"])])
    return make_pipeline(encode, estimator)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), RandomForestClassifier(5, random_state=0), LinearRegression()], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_pipeline_with_text_predicts_as_it_did_before_it_was_stored(shelf, estimator, library):
    """Equal predictions, for a whole frame and for one row, with the text as the request carries it."""
    x = table()
    fitted = mixed(estimator).fit(x if library == "pandas" else pl.DataFrame(x.to_dict("list")), labels(x))
    example = x.head(5) if library == "pandas" else pl.DataFrame(x.head(5).to_dict("list"))
    loaded = shelf.load(save(shelf, Model(fitted, example=example)), "model", None)
    assert loaded.native.get_params().keys() == fitted.get_params().keys()
    given = x if library == "pandas" else pl.DataFrame(x.to_dict("list"))
    expected = fitted.predict_proba(given)[:, 1] if hasattr(fitted, "predict_proba") else fitted.predict(given)
    assert np.array_equal(loaded.predict(x), expected)
    assert loaded.predict(x.iloc[0].to_dict()) == pytest.approx(expected[0], rel=1e-12)


def test_a_loaded_model_is_not_stored_again_under_another_name(shelf):
    """It knows the first rows of its example only; its native object may be stored with an example of its own."""
    x = table()[["distance", "hour"]]
    kept = save(shelf, Model(LinearRegression().fit(x, x["hour"]), example=x))
    loaded = shelf.load(kept, "model", None)
    with pytest.raises(UserError, match="which is stored already"):
        save(shelf, loaded)
    assert save(shelf, Model(loaded.native, example=x)).digest == kept.digest


def test_an_estimator_fitted_on_a_matrix_is_fed_a_matrix(shelf):
    """No warning about feature names, and several classes come as a column each."""
    x = table()[["distance", "hour"]]
    fitted = HistGradientBoostingClassifier(max_iter=3).fit(x.to_numpy(), x["hour"].to_numpy() % 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = shelf.load(save(shelf, Model(fitted, example=x.to_dict("records"))), "model", None)
        got = loaded.predict(x)
    assert got.shape == (300, 3)
    assert np.array_equal(got, fitted.predict_proba(x.to_numpy()))
    assert loaded.signature.outputs[0].categories == ("0", "1", "2")


def test_the_digest_is_of_the_content_and_equal_content_keeps_the_first_files(shelf):
    """skops writes other bytes each time; the digest is equal, and with the prior given no new blob is made."""
    x = table()
    model = Model(mixed(LogisticRegression()).fit(x, labels(x)), example=x.head(5))
    first = save(shelf, model)
    files = sorted(path.name for path in shelf.root.rglob("*") if path.is_file())
    second = save(shelf, model, prior=first)
    assert first.digest == second.digest
    assert first.schema == second.schema
    assert files == sorted(path.name for path in shelf.root.rglob("*") if path.is_file())
    other = Model(mixed(LogisticRegression(C=0.5)).fit(x, labels(x)), example=x.head(5))
    assert save(shelf, other).digest != first.digest


_PROCESS = """
import sys, numpy as np
from pathlib import Path
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from bedplate import Model
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save
x = np.array([["a"], ["b"], ["c"], ["a"]], dtype=object)
fitted = make_pipeline(OneHotEncoder(categories=[["a", "b", "c"]]), LogisticRegression(random_state=1)).fit(x, [0, 1, 0, 1])
model = Model(fitted, example=[{"letter": "a"}])
model.native.extra_ = {"some", "words", "in", "a", "set"}
print(ModelShelf(Path(sys.argv[1])).save(Save(kind="model", artifact="m", value=model, attempt="a")).digest)
"""


def test_the_digest_is_equal_in_another_process(tmp_path):
    """Object ids, hash seeds and file names in the archive do not reach it."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _PROCESS, str(tmp_path / seed)], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


class Stranger(TransformerMixin, BaseEstimator):
    """A transformer of the project's own."""

    def fit(self, x, y=None):
        return self

    def transform(self, x):
        return x


class Guess(ClassifierMixin, BaseEstimator):
    """A classifier of the project's own."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, x):
        return np.full(len(x), self.classes_[0])


@pytest.mark.parametrize("stranger", [make_pipeline(Stranger(), LogisticRegression()), Guess()], ids=["in a pipeline", "alone"])
def test_a_class_of_the_project_is_refused_when_saving(shelf, stranger):
    """What would not be loaded is not stored."""
    x = table()[["distance", "hour"]]
    with pytest.raises(UserError, match=r"made of .*(Stranger|Guess)") as caught:
        save(shelf, Model(stranger.fit(x, labels(table())), example=x.head(5)))
    assert "Model.of" in caught.value.next


def test_a_file_that_asks_for_a_stranger_is_refused_when_loading(shelf, tmp_path):
    """An archive whose schema names another class is not constructed."""
    x = table()[["distance"]]
    flavour = flavours.find("sklearn")
    model = Model(LinearRegression().fit(x, x["distance"]), example=x.head(5))
    described = stored_of(save(shelf, model))
    flavour.save(model, tmp_path)
    crafted = tmp_path / "crafted.skops"
    with zipfile.ZipFile(tmp_path / "model.skops") as source, zipfile.ZipFile(crafted, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b"sklearn.linear_model._base", b"subprocess").replace(b'"LinearRegression"', b'"Popen"'))
    with pytest.raises(UserError, match=r"subprocess\.Popen"):
        flavour.load({"model.skops": crafted}, described)


def test_a_pickle_is_never_loaded_as_a_model(shelf, tmp_path):
    """A pickle in place of the archive is refused without being read as one."""
    described = stored_of(save(shelf, Model(LinearRegression().fit([[1.0]], [1.0]), example=[{"a": 1.0}])))
    path = tmp_path / "model.skops"
    path.write_bytes(pickle.dumps(LinearRegression()))
    with pytest.raises(CorruptError, match="not a skops archive"):
        flavours.find("sklearn").load({"model.skops": path}, described)


def test_wrong_inputs_are_named(shelf):
    """Missing columns, text for numbers and values that the estimator refuses are the caller's mistakes."""
    x = table()[["distance", "hour"]]
    loaded = shelf.load(save(shelf, Model(LogisticRegression().fit(x, labels(table())), example=x.head(5))), "model", None)
    for rows, said in (
        ({"distance": 1.0}, "needs hour"),
        ({"distance": "far", "hour": 1}, "'distance' takes numbers"),
        ({"distance": None, "hour": 1}, "refused"),
    ):
        with pytest.raises(UserError, match=said):
            loaded.predict(rows)


def test_an_example_with_other_columns_is_refused(shelf):
    """The order and names of the example are those of the fit."""
    x = table()[["distance", "hour"]]
    with pytest.raises(UserError, match="not those that the estimator was fitted on"):
        save(shelf, Model(LogisticRegression().fit(x, labels(table())), example=x[["hour", "distance"]].head(5)))


def test_missing_labels_are_said_in_scikit_learns_words_that_the_train_handler_knows():
    """The handler turns exactly this into the user's own mistake."""
    x = table()[["distance", "hour"]]
    y = labels(table()).astype(float)
    y[0] = np.nan
    with pytest.raises(ValueError, match=handler._MISSING[0]) as caught:
        LogisticRegression().fit(x, y)
    assert "labels" in handler._unfit("late", str(caught.value)).what


def test_a_forged_archive_is_told_as_one(tmp_path):
    """An archive whose description says what skops does not expect: corrupt, never a bug of ours."""
    for number, schema in enumerate(('{"__class__": "system", "__module__": "os", "__loader__": "ObjectNode"}', "[]", "{")):
        path = tmp_path / f"{number}.skops"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", schema)
        with pytest.raises((CorruptError, UserError)):
            flavours.find("sklearn").opened(Foreign(path=path))
