"""Views of a table: the committed rows as Polars, lazy Polars, pandas, Arrow, DuckDB or features."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from bedplate.core.errors import InternalError, UserError
from bedplate.core.features import FeatureSpec
from bedplate.core.kinds import View
from bedplate.core.records import Draft
from bedplate.storage.blobs import corrupt

from . import parquet
from .table_types import Codec


def load(version: Draft, paths: list[Path], view: View, spec: dict[str, Any] | None, indexes: Path) -> Any:
    """The version, whose files are `paths` in order, as `view`; feature indexes are kept in `indexes`."""
    lazy = scan(version, paths)
    match view:
        case "polars.lazy":
            return lazy
        case "polars":
            return collect(lazy, version, paths)
        case "pandas" | "arrow":
            frame = collect(lazy, version, paths)
            return getattr(importlib.import_module(".pandas_view", __package__), f"as_{view}")(frame)
        case "duckdb":
            return importlib.import_module(".warehouse", __package__).relation(version.artifact, paths, version.schema)
        case "features":
            if not spec:
                raise UserError(
                    f"{version.artifact} is not a features table",
                    why="it does not say by which entity and time it is keyed",
                    next="declare it with @project.features(entity=..., time=...)",
                )
            features = importlib.import_module(".features_view", __package__)
            return features.TableFeatures(lazy, msgspec.convert(spec, FeatureSpec, strict=False), version.artifact, home=indexes)
    raise InternalError(f"no view '{view}' of a table")


def scan(version: Draft, paths: list[Path]) -> pl.LazyFrame:
    """The version as a lazy frame of its logical types, in stored order."""
    return Codec.read(version.schema).decode(parquet.scan(paths))


def collect(lazy: pl.LazyFrame, version: Draft, paths: list[Path]) -> pl.DataFrame:
    """Read everything. Raises CorruptError for files that are not Parquet any more."""
    with parquet.guard("read", paths[0].parent):
        try:
            return lazy.collect()
        except pl.exceptions.PolarsError as error:
            raise corrupt(paths[0], f"{version.artifact} cannot be read: {error}") from error
