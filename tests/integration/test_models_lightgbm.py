"""LightGBM models: text files, equal predictions without importing lightgbm, text as categories, mistakes named."""

from __future__ import annotations

import subprocess
import sys
import threading

import lightgbm as lgb
import msgspec
import numpy as np
import polars as pl
import pytest

from bedplate import Model
from bedplate.core.errors import CorruptError, UserError
from bedplate.storage import flavours
from bedplate.storage.models import ModelShelf, stored_of
from bedplate.storage.shelf import Save

QUIET = {"verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1, "min_data_per_group": 1}


@pytest.fixture
def shelf(tmp_path):
    return ModelShelf(tmp_path)


def save(shelf, model):
    return shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1"))


def table(rows: int = 500) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    carriers = pl.Enum(["UA", "AA", "DL"])
    return pl.DataFrame(
        {
            "carrier": pl.Series(
                [None if at % 50 == 0 else str(c) for at, c in enumerate(rng.choice(["UA", "AA", "DL"], rows))], dtype=carriers
            ),
            "distance": pl.Series([None if at % 30 == 0 else d for at, d in enumerate(rng.random(rows).tolist())]),
            "hour": pl.Series(rng.integers(0, 24, rows)),
            "weekend": pl.Series(rng.random(rows) > 0.7),
        }
    )


def labels(x: pl.DataFrame) -> np.ndarray:
    return ((x["carrier"].cast(pl.String) == "UA").fill_null(False) ^ (x["distance"] > 0.5).fill_null(False)).to_numpy()


def booster(x: pl.DataFrame, y: np.ndarray, **params) -> lgb.Booster:
    data = lgb.Dataset(Model.codes(x), label=y, categorical_feature=["carrier"])
    return lgb.train({"objective": "binary", **QUIET, **params}, data, num_boost_round=10)


def test_stored_text_predicts_as_trained_codes_for_frames_lists_and_single_rows(shelf):
    """The raw category, in any shape of request, gives the booster's own prediction on codes, missing values included."""
    x = table()
    native = booster(x, labels(x))
    loaded = shelf.load(save(shelf, Model(native, example=x.head(5))), "model", None)
    expected = native.predict(Model.codes(x))
    assert np.array_equal(loaded.predict(x), expected)
    assert np.array_equal(loaded.predict(x.lazy()), expected)
    assert np.array_equal(loaded.predict(x.to_dicts()), expected)
    assert np.array_equal(loaded.predict({name: x[name].to_list() for name in x.columns}), expected)
    assert np.array_equal(loaded.predict(x.to_pandas()), expected)
    assert [loaded.predict(row) for row in x.head(60).to_dicts()] == expected[:60].tolist()


def test_a_category_never_seen_is_missing(shelf):
    """A new carrier predicts as no carrier, for one row and for many."""
    x = table()
    loaded = shelf.load(save(shelf, Model(booster(x, labels(x)), example=x.head(5))), "model", None)
    row = x.row(1, named=True)
    missing = loaded.predict(row | {"carrier": None})
    assert loaded.predict(row | {"carrier": "ZZ"}) == missing
    assert loaded.predict([row | {"carrier": "ZZ"}] * 2).tolist() == [missing, missing]


def test_a_booster_trained_on_pandas_categories_takes_the_text(shelf):
    """Categories are those that the booster was given."""
    x = table().with_columns(pl.col("carrier").fill_null("UA")).to_pandas().astype({"carrier": "category"})
    native = lgb.train({"objective": "binary", **QUIET}, lgb.Dataset(x, label=labels(table())), num_boost_round=10)
    loaded = shelf.load(save(shelf, Model(native, example=x.head(5))), "model", None)
    assert loaded.signature.inputs[0].categories == tuple(x["carrier"].cat.categories)
    assert np.array_equal(loaded.predict(x), native.predict(x))


def test_a_wrapper_keeps_its_classes_and_gives_a_column_for_each(shelf):
    """LGBMClassifier with three classes: probabilities as it gives them, classes in the signature."""
    x = Model.codes(table()).drop_nulls()
    y = np.array(["early", "late", "never"])[x["hour"].to_numpy() % 3]
    native = lgb.LGBMClassifier(n_estimators=5, verbosity=-1, n_jobs=1).fit(x.to_pandas(), y)
    loaded = shelf.load(save(shelf, Model(native, example=x.head(5))), "model", None)
    assert np.array_equal(loaded.predict(x), native.predict_proba(x.to_pandas()))
    assert loaded.predict(x.row(0, named=True)).shape == (3,)
    assert loaded.signature.outputs[0].categories == ("early", "late", "never")


def test_the_best_iteration_is_what_is_kept(shelf):
    """After early stopping the stored model predicts as the booster does by default."""
    x, y = table(), labels(table())
    train = lgb.Dataset(Model.codes(x), label=y, categorical_feature=["carrier"])
    valid = train.create_valid(Model.codes(x.head(100)), label=y[:100] ^ (np.arange(100) % 3 == 0))
    native = lgb.train(
        {"objective": "binary", **QUIET},
        train,
        50,
        valid_sets=[valid],
        callbacks=[lgb.early_stopping(2, verbose=False)],
        keep_training_booster=True,
    )
    assert native.best_iteration < native.current_iteration()
    draft = save(shelf, Model(native, example=x.head(5)))
    assert np.array_equal(shelf.load(draft, "model", None).predict(x), native.predict(Model.codes(x)))


def test_the_file_is_lightgbms_own(shelf):
    """LightGBM opens it by path, without bedplate."""
    x = table()
    native = booster(x, labels(x))
    draft = save(shelf, Model(native, example=x.head(5)))
    (path,) = [shelf.root / kept for kept in shelf.keeps(draft) if kept != draft.uri]
    assert np.array_equal(lgb.Booster(model_file=path).predict(Model.codes(x)), native.predict(Model.codes(x)))
    assert draft.meta["describe"]["trees"] == 10
    assert draft.size_bytes == path.stat().st_size


_PROCESS = """
import sys
from pathlib import Path
import lightgbm as lgb, numpy as np
from bedplate import Model
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save
rng = np.random.default_rng(3)
x = rng.random((400, 3))
native = lgb.train({"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1}, lgb.Dataset(x, label=x[:, 0] > x[:, 1]), 5)
model = Model(native, example=[{"a": 0.1, "b": 0.2, "c": 0.3}])
shelf = ModelShelf(Path(sys.argv[1]))
print({shelf.save(Save(kind="model", artifact="m", value=model, attempt="a")).digest for _ in range(2)})
"""


def test_the_digest_is_equal_in_two_saves_and_two_processes(tmp_path):
    """Equal training gives an equal model: the wave stops there."""
    digests = {
        subprocess.run([sys.executable, "-c", _PROCESS, str(tmp_path / name)], capture_output=True, text=True, check=True).stdout
        for name in "ab"
    }
    assert len(digests) == 1
    assert digests.pop().count("sha256:") == 1


_SERVE = """
import sys
from pathlib import Path
import msgspec
from bedplate.core.records import Draft
from bedplate.storage.models import ModelShelf
model = ModelShelf(Path(sys.argv[1])).load(msgspec.json.decode(sys.stdin.read(), type=Draft), "model", None)
print(model.predict({"carrier": "UA", "distance": 0.4, "hour": 3, "weekend": True}))
print(sorted({"lightgbm", "sklearn", "pandas", "scipy", "polars", "pyarrow"} & set(sys.modules)))
"""


def test_loading_and_predicting_imports_neither_lightgbm_nor_a_frame_library(shelf):
    """A server starts without the training side."""
    x = table()
    native = booster(x, labels(x))
    draft = save(shelf, Model(native, example=x.head(5)))
    ran = subprocess.run(
        [sys.executable, "-c", _SERVE, str(shelf.root)],
        input=msgspec.json.encode(draft).decode(),
        capture_output=True,
        text=True,
        check=True,
    )
    value, modules = ran.stdout.splitlines()
    row = pl.DataFrame(
        {"carrier": ["UA"], "distance": [0.4], "hour": [3], "weekend": [True]}, schema_overrides={"carrier": x.schema["carrier"]}
    )
    assert float(value) == native.predict(Model.codes(row))[0]
    assert modules == "[]"


def test_wrong_inputs_are_named(shelf):
    """Text for a number, a code for a category, unequal and missing columns: each says which column."""
    x = table()
    predictor = shelf.load(save(shelf, Model(booster(x, labels(x)), example=x.head(5))), "model", None)
    row = x.row(1, named=True)
    for wrong, said in (
        ({"distance": "0.5"}, "'distance' takes numbers"),
        ({"distance": {}}, "'distance' takes numbers"),
        ({"carrier": 1}, "'carrier' takes its categories"),
        ({"carrier": 1.0}, "'carrier' takes its categories"),
        ({"distance": 10**400}, "'distance' takes numbers"),
    ):
        for rows in ([row | wrong], [row, row | wrong]):
            with pytest.raises(UserError, match=said):
                predictor.predict(rows)
    columns = {name: x[name].to_list() for name in x.columns}
    with pytest.raises(UserError, match="not of equal length"):
        predictor.predict(columns | {"hour": [1]})
    with pytest.raises(UserError, match="needs hour"):
        predictor.predict({name: values for name, values in columns.items() if name != "hour"})
    with pytest.raises(UserError, match="'hour' takes numbers"):
        predictor.predict(columns | {"hour": "12"})
    with pytest.raises(UserError, match="'hour' is not a column"):
        predictor.predict(columns | {"hour": [[1], [2, 3]] * 250})
    assert predictor.predict([]).shape == (0,)


def test_examples_that_do_not_fit_are_refused(shelf):
    """Other columns, text without categories, fewer categories than trained on, no example, not trained."""
    x = table()
    native = booster(x, labels(x))
    for example, said in (
        (x.select("distance", "carrier", "hour", "weekend").head(5), "not those that the booster was trained on"),
        (x.cast({"carrier": pl.String}).head(5), "text without categories"),
        (x.drop("carrier").insert_column(0, pl.Series("carrier", ["UA"] * 500, dtype=pl.Enum(["UA"]))), "has 1 categories in the example"),
        (None, "needs an example"),
        (np.zeros((2, 4)), "no example of a model's inputs"),
    ):
        with pytest.raises(UserError, match=said):
            save(shelf, Model(native, example=example))
    with pytest.raises(UserError, match="not trained"):
        save(shelf, Model(lgb.LGBMRegressor(), example=x.head(5)))


def test_a_tampered_blob_is_refused(shelf):
    """Bytes that are not what their digest says are not read as a model; verify says so too."""
    x = table()
    draft = save(shelf, Model(booster(x, labels(x)), example=x.head(5)))
    assert shelf.missing(draft) == []
    shelf.verify(draft)
    path = shelf.root / next(kept for kept in shelf.keeps(draft) if kept != draft.uri)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"leaf_value=", b"leaf_value=9", 1))
    for read in (shelf.verify, lambda version: shelf.load(version, "model", None)):
        with pytest.raises(CorruptError):
            read(draft)
    path.unlink()
    assert shelf.missing(draft) == [str(path.relative_to(shelf.root))]


def test_other_bytes_are_refused_before_the_library_sees_them(shelf, tmp_path):
    """A pickle offered as model.txt."""
    x = table()
    described = stored_of(save(shelf, Model(booster(x, labels(x)), example=x.head(5))))
    path = tmp_path / "model.txt"
    path.write_bytes(b"\x80\x05K\x01.")
    with pytest.raises(CorruptError, match="not a LightGBM model"):
        flavours.find("lightgbm").load({"model.txt": path}, described)


def test_threads_share_a_loaded_model(shelf):
    """Each thread gets its own answers."""
    x = table()
    loaded = shelf.load(save(shelf, Model(booster(x, labels(x)), example=x.head(5))), "model", None)
    expected, rows, wrong = loaded.predict(x).tolist(), x.to_dicts(), []

    def work(start: int) -> None:
        wrong.extend(at for at in range(start, len(rows), 4) if loaded.predict(rows[at]) != expected[at])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(("flavour", "blocked"), [("lightgbm", "lightgbm"), ("sklearn", "skops")])
def test_a_missing_library_says_what_to_install(flavour, blocked):
    """A stored model whose library is not installed: one message with the command."""
    code = f"""
import sys
sys.modules[{blocked!r}] = None
from bedplate.core.errors import UserError
from bedplate.core.model import Signature
from bedplate.storage import flavours
try:
    stored = flavours.Stored(flavour={flavour!r}, library="rows", signature=Signature((), ()))
    flavours.find({flavour!r}).load({{"model.txt": __import__("pathlib").Path("/dev/null")}}, stored)
except UserError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f"needs the package {blocked}" in said
    assert f"pip install 'bedplate[{flavour}]'" in said


def test_missing_labels_are_refused_where_lightgbm_would_take_them_for_zeros():
    """Why `Model.labels` is there: without it a booster learns the same from a missing label as from a zero."""
    x, y = table(), labels(table()).astype(float)
    y[::7] = np.nan
    assert booster(x, y).model_to_string() == booster(x, np.nan_to_num(y)).model_to_string()
    with pytest.raises(UserError, match="72 of 500 labels are missing"):
        booster(x, Model.labels(pl.Series("late", y)))
