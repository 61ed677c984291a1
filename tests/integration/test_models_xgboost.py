"""XGBoost models: the library's own UBJSON, equal predictions, text as categories, mistakes named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import xgboost as xgb

from bedplate import Model
from bedplate.core.errors import CorruptError, UserError
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save

QUIET = {"nthread": 1, "seed": 1}


@pytest.fixture
def shelf(tmp_path):
    return ModelShelf(tmp_path)


def save(shelf, model):
    return shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1"))


def table(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    carrier = [None if at % 50 == 0 else str(c) for at, c in enumerate(rng.choice(["UA", "AA", "DL"], rows))]
    distance = [None if at % 30 == 0 else d for at, d in enumerate(rng.random(rows).tolist())]
    return pl.DataFrame({"carrier": pl.Series(carrier, dtype=pl.Enum(["UA", "AA", "DL"])), "distance": pl.Series(distance)})


def labels(x: pl.DataFrame) -> np.ndarray:
    return ((x["carrier"].cast(pl.String) == "UA").fill_null(False) ^ (x["distance"] > 0.5).fill_null(False)).to_numpy().astype(int)


def matrix(x: pl.DataFrame) -> np.ndarray:
    return Model.codes(x).to_numpy().astype(float)


def booster(x: pl.DataFrame) -> xgb.Booster:
    data = xgb.DMatrix(matrix(x), labels(x), feature_names=x.columns, feature_types=["c", "float"], enable_categorical=True)
    return xgb.train({"objective": "binary:logistic", **QUIET}, data, 10)


def test_a_stored_booster_predicts_as_trained_for_frames_lists_and_single_rows(shelf):
    """The raw category, in any shape of request, gives the booster's own prediction on codes, missing values included."""
    x = table()
    native = booster(x)
    loaded = shelf.load(save(shelf, Model(native, example=x.head(5))), "model", None)
    expected = native.inplace_predict(matrix(x), validate_features=False).astype(float)
    assert np.array_equal(loaded.predict(x), expected)
    assert np.array_equal(loaded.predict(x.to_dicts()), expected)
    assert [loaded.predict(row) for row in x.head(60).to_dicts()] == expected[:60].tolist()
    row = x.row(1, named=True)
    assert loaded.predict(row | {"carrier": "ZZ"}) == loaded.predict(row | {"carrier": None})


def test_a_booster_trained_on_the_frame_itself_takes_the_text(shelf):
    """XGBoost's own reading of Enum columns gives the same codes."""
    x = table()
    data = xgb.DMatrix(x, labels(x), enable_categorical=True)
    native = xgb.train({"objective": "binary:logistic", **QUIET}, data, 10)
    loaded = shelf.load(save(shelf, Model(native, example=x)), "model", None)
    assert np.array_equal(loaded.predict(x), native.predict(data).astype(float))


def test_equal_training_gives_an_equal_digest_and_another_another(shelf):
    """Trained again, it is the same version; trained on other labels, another."""
    x = table()
    first, again = save(shelf, Model(booster(x), example=x)), save(shelf, Model(booster(x), example=x))
    other = xgb.train(QUIET, xgb.DMatrix(matrix(x), 1 - labels(x), feature_names=x.columns), 3)
    assert first.digest == again.digest != save(shelf, Model(other, example=x)).digest
    shelf.verify(first)


def test_a_wrapper_keeps_its_classes_and_its_best_round(shelf):
    """Early stopping: the stored model predicts as the classifier does, not with the rounds after the best."""
    x = table()
    given = matrix(x)
    native = xgb.XGBClassifier(n_estimators=50, n_jobs=1, early_stopping_rounds=2)
    native.fit(given, labels(x), eval_set=[(given[:100], labels(x)[:100] ^ (np.arange(100) % 3 == 0))], verbose=False)
    assert native.best_iteration + 1 < native.get_booster().num_boosted_rounds()
    loaded = shelf.load(save(shelf, Model(native, example=x)), "model", None)
    assert np.array_equal(loaded.predict(x), native.predict_proba(given)[:, 1].astype(float))
    assert loaded.signature.outputs[0].categories == ("0", "1")


def test_several_classes_give_a_column_for_each(shelf):
    x = table()
    native = xgb.XGBClassifier(n_estimators=4, n_jobs=1).fit(matrix(x), np.arange(len(x)) % 3)
    loaded = shelf.load(save(shelf, Model(native, example=x)), "model", None)
    assert np.array_equal(loaded.predict(x), native.predict_proba(matrix(x)).astype(float))


def test_other_columns_an_untrained_one_and_plain_text_are_named(shelf):
    """What no booster can take is refused when it is stored, with what to do."""
    x = table()
    with pytest.raises(UserError, match="not those that the booster was trained on"):
        save(shelf, Model(booster(x), example=x.select("distance", "carrier")))
    with pytest.raises(UserError, match="is not trained"):
        save(shelf, Model(xgb.XGBClassifier(), example=x))
    with pytest.raises(UserError, match="text without categories"):
        save(shelf, Model(booster(x), example=x.cast({"carrier": pl.String})))


def test_bytes_that_are_no_booster_are_refused(shelf, tmp_path):
    """A changed blob is never read as a model."""
    x = table()
    draft = save(shelf, Model(booster(x), example=x))
    blob = next(
        path
        for path in (tmp_path / "blobs").rglob("*")
        if path.is_file() and path.stat().st_size > 3000 and b"learner" in path.read_bytes()
    )
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-9] + b"123456789")
    with pytest.raises(CorruptError):
        shelf.load(draft, "model", None)
