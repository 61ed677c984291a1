"""The record as tables for a warehouse: `bedplate sql` hands these columns to DuckDB.

Every table is described in `TABLES`, so that an empty one still has typed columns. Times come as aware UTC datetimes, booleans as bool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from bedplate.core.clock import parse

from .database import Database

Type = Literal["text", "integer", "real", "boolean", "time"]


class Column(msgspec.Struct, frozen=True):
    """A column of a warehouse table."""

    name: str
    type: Type


def _columns(text: str) -> tuple[Column, ...]:
    """`"id seconds:real"` -> columns; text where no type is given."""
    pairs = [word.partition(":") for word in text.split()]
    return tuple(Column(name, msgspec.convert(kind or "text", Type)) for name, _, kind in pairs)


TABLES: dict[str, tuple[Column, ...]] = {
    "artifacts": _columns("name kind head:integer last:integer"),
    "versions": _columns(
        "artifact number:integer kind digest uri table_version:integer rows:integer size_bytes:integer created_at:time attempt "
        "run is_head:boolean"
    ),
    "runs": _columns(
        "id project target command started_at:time ended_at:time status settings moves_heads:boolean git_commit git_dirty:boolean host"
    ),
    "steps": _columns("run name part stage status why cache_key result started_at:time ended_at:time"),
    "attempts": _columns("id run step part number:integer started_at:time ended_at:time status cause message log"),
    "metrics": _columns("run step part attempt name at_step:integer value:real"),
    "params": _columns("run step part attempt name value"),
    "tags": _columns("run step part attempt name value"),
    "inputs": _columns("attempt parameter artifact number:integer view"),
    "outputs": _columns("attempt artifact number:integer"),
    "verdicts": _columns("check_name check_version:integer model model_version:integer passed:boolean promotes at:time attempt"),
    "promotions": _columns("model alias version:integer before:integer moved_by reason at:time check_name check_version:integer actor"),
    "services": _columns("name url pid:integer host models started_at:time heartbeat:time"),
    "costs": _columns(
        "run step part attempt started_at:time wall_s:real cpu_s:real peak_bytes:integer energy_joules:real energy_basis cost_usd:real"
    ),
    "forecasts": _columns("run step part quantity middle:real low:real high:real basis samples:integer actual:real"),
    "events": _columns("id:integer kind subject at:time data"),
    "occurrences": _columns("step kind mark due_at:time status reason run tries:integer decided_at:time ended_at:time"),
    "spending": _columns("spender kind hour:time usd:real held_usd:real up_s:real busy_s:real energy_joules:real energy_basis"),
    "deliveries": _columns("id:integer webhook event status tries:integer next_ms:integer answer"),
}
"""Table -> its columns in order; the query `export_<table>` gives them in this order."""

_FROM: dict[Type, Callable[[Any], Any]] = {"time": parse, "boolean": bool}


def export(database: Database, table: str) -> dict[str, list[Any]]:
    """A table of the record, column by column, all of equal length. Raises KeyError for an unknown table."""
    columns = TABLES[table]
    rows = database.rows(f"export_{table}")
    kept = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return {column.name: _values(column, values) for column, values in zip(columns, kept, strict=True)}


def _values(column: Column, kept: tuple[Any, ...]) -> list[Any]:
    change = _FROM.get(column.type)
    return list(kept) if change is None else [None if value is None else change(value) for value in kept]
