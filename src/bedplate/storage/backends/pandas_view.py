"""pandas and Arrow views of tables: the extra `pandas`. Without it, Arrow tables come from arro3, which deltalake brings along."""

from __future__ import annotations

import importlib
from typing import Any

import polars as pl
from arro3.core import Table

from bedplate.core.errors import UserError


def to_polars(frame: Any) -> pl.DataFrame:
    """A pandas frame as Polars. A named index becomes columns; an unnamed one (row numbers) is dropped.

    Not-a-number becomes null, as it is what pandas writes for a missing value. Raises UserError.
    """
    _need("pyarrow", "keep a pandas frame")
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    doubled = [name for number, name in enumerate(names) if name in names[:number]]
    if doubled:
        raise UserError(f"two columns are named '{doubled[0]}'", why="a table needs one name per column", next=f"rename '{doubled[0]}'")
    columns: list[pl.Series] = []
    for number, name in enumerate(names):
        try:
            columns.append(pl.Series(name, pl.from_pandas(frame.iloc[:, number], nan_to_null=True)))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise UserError(
                f"column '{name}' cannot be kept", why=f"its values have no common type: {error}", next=f"convert '{name}' to one type"
            ) from error
    return pl.DataFrame(columns)


def as_pandas(frame: pl.DataFrame) -> Any:
    """A pandas frame, the consumer's own. Raises UserError without the extra."""
    _need("pandas", "hand over a pandas frame")
    _need("pyarrow", "hand over a pandas frame")
    return frame.to_pandas()


def as_arrow(frame: pl.DataFrame) -> Any:
    """A `pyarrow.Table` where pyarrow is installed, else an `arro3.core.Table`."""
    return frame.to_arrow() if importlib.util.find_spec("pyarrow") else Table.from_arrow(frame)


def _need(package: str, doing: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UserError(f"cannot {doing}", why=f"{package} is not installed", next="pip install 'bedplate[pandas]'")
