"""What a function may return as a table, as a schema and a stream of Polars frames.

Polars frames (a lazy one is run here, as a stream, keeping its order), pandas frames, Arrow tables and DuckDB relations, and anything
else that speaks the Arrow C stream interface. Errors of a lazy frame's own query pass through: they are the step's.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import chain
from typing import Any

import polars as pl

from bedplate.core.errors import UserError

from .parquet import MOST_BYTES, MOST_ROWS

_ROWS = 65_536


def source(value: Any) -> tuple[pl.Schema, Iterator[pl.DataFrame]]:
    """The schema and the rows of a frame of any kind. Raises UserError for what is no frame."""
    package = type(value).__module__.split(".")[0]
    if isinstance(value, pl.LazyFrame):
        return _stream(value)
    if isinstance(value, pl.DataFrame):
        return value.schema, value.iter_slices(_rows_of_a_file(value))
    if package == "pandas":
        value = importlib.import_module(".pandas_view", __package__).to_polars(value)
        return source(value)
    if hasattr(value, "__arrow_c_stream__"):
        return source(_from_arrow(value))
    raise UserError(
        f"a {type(value).__name__} is not a table",
        why="the function is annotated to return a frame",
        next="return a Polars, pandas, Arrow or DuckDB frame, or change the return annotation",
    )


def _rows_of_a_file(frame: pl.DataFrame) -> int:
    """A frame that is in memory already is taken by as many rows as one file holds: pieces of it would have to be put together again."""
    row = frame.estimated_size() / max(frame.height, 1)
    return max(1, min(MOST_ROWS, int(MOST_BYTES / row))) if row else MOST_ROWS


def _stream(frame: pl.LazyFrame) -> tuple[pl.Schema, Iterator[pl.DataFrame]]:
    """A lazy frame's batches. The first batch says the schema, as a function mapped over a frame may not tell the truth beforehand."""
    promised = frame.collect_schema()
    batches = iter(frame.collect_batches(chunk_size=_ROWS, maintain_order=True, engine="streaming"))
    first = next(batches, None)
    if first is None:
        return promised, iter(())
    return first.schema, _same(chain([first], batches), first.schema)


def _same(batches: Iterator[pl.DataFrame], schema: pl.Schema) -> Iterator[pl.DataFrame]:
    for batch in batches:
        if batch.schema != schema:
            changed = [name for name in {**schema, **batch.schema} if schema.get(name) != batch.schema.get(name)]
            raise UserError(
                f"column '{changed[0]}' changed its type while the frame was read",
                why=f"from {schema.get(changed[0])} to {batch.schema.get(changed[0])}",
                next=f"cast '{changed[0]}' in the step",
            )
        yield batch


def _from_arrow(value: Any) -> pl.DataFrame:
    try:
        return pl.DataFrame(value)
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        raise UserError(
            f"this {type(value).__name__} cannot be kept as a table", why=str(error), next="rename or cast its columns"
        ) from error
