"""The reference: a model whose example is its training table carries how that was distributed, and what it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from bedplate import Model
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.records import Draft, Version
from bedplate.storage.local import local_store
from bedplate.storage.models import ModelShelf, stored_of
from bedplate.storage.shelf import Save
from bedplate.storage.sketch import CategorySketch, NumericSketch
from bedplate.testing.serving import START


def half(params: Any, columns: Any) -> Any:
    return columns["distance"] * params["slope"]


def moody(params: Any, columns: Any) -> Any:
    if any(value is None for value in columns["carrier"]):
        raise ValueError("no carrier")
    return columns["distance"]


def wide(params: Any, columns: Any) -> Any:
    return np.stack([columns["distance"], columns["distance"]], axis=1)


def table(n: int = 400) -> pl.DataFrame:
    carriers = ["UA", "AA", "UA", "DL"]
    return pl.DataFrame(
        {
            "carrier": pl.Series([carriers[i % 4] for i in range(n)], dtype=pl.Enum(["AA", "DL", "UA"])),
            "distance": [float(i) for i in range(n)],
        }
    )


@pytest.fixture
def shelf(tmp_path: Path) -> ModelShelf:
    return ModelShelf(tmp_path)


def save(shelf: ModelShelf, example: Any, function: Any = half) -> Draft:
    model = Model.of(function, {"slope": 0.5}, example=example)
    return shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1"))


def test_the_training_table_becomes_the_reference_and_its_first_rows_the_example(shelf: ModelShelf) -> None:
    draft = save(shelf, table())
    found = shelf.reference(draft)
    assert found is not None
    assert stored_of(draft).example == table().head(5).to_dicts()
    assert found.profile.rows == 400
    carrier, distance = found.profile.columns["carrier"], found.profile.columns["distance"]
    assert isinstance(carrier, CategorySketch)
    assert carrier.counts == {"UA": 200, "AA": 100, "DL": 100}
    assert isinstance(distance, NumericSketch)
    assert (distance.low, distance.high) == (0.0, 399.0)
    assert isinstance(found.prediction, NumericSketch)
    assert (found.prediction.count, found.prediction.high, found.predicted) == (400, 199.5, 400)


def test_every_library_and_a_lazy_frame_give_the_same_reference(shelf: ModelShelf) -> None:
    pandas = pytest.importorskip("pandas")
    rows = table().to_dicts()
    frames = [table(), table().lazy(), table().with_columns(pl.col("carrier").cast(pl.String)), rows, pandas.DataFrame(rows)]
    found = {msgspec.json.encode(shelf.reference(save(shelf, frame))) for frame in frames}
    assert len(found) == 1


def test_pandas_missing_values_are_missing_in_the_reference(shelf: ModelShelf) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [{"carrier": None if i % 4 == 0 else "UA", "distance": float("nan") if i % 2 else 1.0} for i in range(200)]
    found = shelf.reference(save(shelf, pandas.DataFrame(rows)))
    assert found is not None
    assert [found.profile.columns[name].nulls for name in ("carrier", "distance")] == [50, 100]


def test_the_model_is_asked_about_evenly_spaced_rows_of_a_large_table(shelf: ModelShelf) -> None:
    found = shelf.reference(save(shelf, table(25_000)))
    assert found is not None
    assert found.profile.rows == 25_000
    assert found.predicted == 8334
    assert isinstance(found.prediction, NumericSketch)
    assert found.prediction.high == 12_499.5


def test_a_few_rows_are_an_example_and_no_reference(shelf: ModelShelf) -> None:
    draft = save(shelf, table(99))
    assert stored_of(draft).reference is None
    assert shelf.reference(draft) is None


def test_the_reference_is_not_part_of_the_models_identity_but_of_what_it_needs(shelf: ModelShelf) -> None:
    with_table, with_rows = save(shelf, table()), save(shelf, table(5))
    assert with_table.digest == with_rows.digest
    kept = stored_of(with_table).reference
    assert kept is not None
    path = next(name for name in shelf.keeps(with_table) if kept.digest.removeprefix("sha256:") in name)
    assert path not in shelf.keeps(with_rows)
    shelf.verify(with_table)
    (shelf.root / path).unlink()
    assert shelf.missing(with_table) == [path]
    assert shelf.missing(with_rows) == []


def test_a_corrupt_reference_is_named_not_believed(shelf: ModelShelf) -> None:
    draft = save(shelf, table())
    kept = stored_of(draft).reference
    assert kept is not None
    path = shelf._blobs.path(kept.digest)
    path.chmod(0o644)
    path.write_bytes(b"{}")
    with pytest.raises(CorruptError):
        shelf.reference(draft)
    with pytest.raises(CorruptError):
        shelf.verify(draft)


def test_a_model_that_cannot_predict_its_training_rows_keeps_their_distribution_and_the_reason(shelf: ModelShelf) -> None:
    rows = table().with_columns(carrier=pl.when(pl.int_range(pl.len()) > 100).then(pl.lit(None)).otherwise(pl.col("carrier")))
    found = shelf.reference(save(shelf, rows, moody))
    assert found is not None
    assert found.prediction is None
    assert found.profile.columns["carrier"].nulls == 299
    assert found.unpredicted == "the model could not predict its own training rows: ValueError: no carrier"


def test_several_values_per_row_have_no_distribution_in_one_dimension(shelf: ModelShelf) -> None:
    found = shelf.reference(save(shelf, table(), wide))
    assert found is not None
    assert (found.prediction, found.unpredicted) == (None, "the model gives several values per row")


def test_the_store_gives_the_reference_of_a_model_and_of_nothing_else(tmp_path: Path) -> None:
    store = local_store(tmp_path, {"model": ModelShelf(tmp_path)})
    draft = save(ModelShelf(tmp_path), table())
    version = Version(**msgspec.structs.asdict(draft), number=1, created_at=START, attempt="a-1")
    assert store.reference(version) is not None
    with pytest.raises(UserError, match="only a model has one"):
        store.reference(msgspec.structs.replace(version, kind="scalar"))
