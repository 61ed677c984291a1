"""What a decorator expects of a table, checked before a row of it is kept: a pandera model or schema.

Choices: the frame is checked whole and in memory, because uniqueness and the like are said of all rows; every expectation is tried, not
only the first that fails. The rows that break one are kept as Parquet under `rejected/`, each with what it breaks, and counted; `gc`
collects them when they are old. Where pandera coerces types, what it gives back is what is kept.
Limits: of a table that is appended to, only what comes is checked; a table larger than memory is expected of row by row in the step.
"""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from bedplate.core.errors import UserError
from bedplate.storage import disk, tables

_SHOWN = 5
_WHY = "breaks"


def checked(root: Path, artifact: str, attempt: str, frame: pl.DataFrame, expects: Any) -> pl.DataFrame:
    """The frame, where it is as expected. Raises UserError with the expectations that are broken, how often, and where the rows are."""
    failures: Any = importlib.import_module("pandera.errors")
    try:
        good: pl.DataFrame = expects.validate(frame, lazy=True)
    except failures.SchemaErrors as error:
        raise _broken(root, artifact, attempt, frame, error.failure_cases) from error
    return good


def _broken(root: Path, artifact: str, attempt: str, frame: pl.DataFrame, cases: pl.DataFrame) -> UserError:
    told = cases.select(pl.format("{}: {}", pl.col("column").fill_null(artifact), pl.col("check")).alias(_WHY), "failure_case", "index")
    counts = Counter(told[_WHY].to_list())
    listed = [f"{what} ({count:,} time{'s' if count > 1 else ''})" for what, count in counts.most_common(_SHOWN)]
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    rows = told.drop_nulls("index").group_by("index", maintain_order=True).agg(pl.col(_WHY).unique(maintain_order=True).str.join("; "))
    if rows.is_empty():
        return UserError(
            f"{artifact} is not what is expected", why=f"{', '.join(listed)}{more}", next="mend the data, or what is expected of it"
        )
    path = root / tables.REJECTED / artifact / f"{attempt}.parquet"
    kept = frame.with_row_index("row").join(rows.select(pl.col("index").cast(pl.UInt32).alias("row"), _WHY), on="row")
    with disk.guard("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        kept.write_parquet(path)
    return UserError(
        f"{kept.height:,} of {frame.height:,} rows of {artifact} are not what is expected",
        why=f"{', '.join(listed)}{more}",
        next=f"look at them: {path}",
    )
