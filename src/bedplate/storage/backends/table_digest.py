"""The content digest of a table, version `t1`: over its schema and its rows in stored order, and nothing else.

The same for any chunking, batching, compression, offsets and bytes under nulls, so that equal tables have equal digests whoever wrote
them. Rows are taken in blocks of 65,536; the digests of the blocks form a chain:

    chain(0) = SHA-256("bedplate t1" + newline + canonical JSON of [name, type] per column)
    chain(n) = SHA-256(chain(n - 1) + rows of the block as u64 + digest of each column's node in the block)
    digest   = SHA-256(last chain + all rows as u64)

A table is appended to without reading it whole: `Mark` keeps the chain after the last full block, and the rows after it are read again.
A node is SHA-256 over: its row count, the positions of its nulls (u64), and of the rows that are not null

    numbers, dates and times   little-endian values (Decimal and 128 bit: low words, then high words)
    booleans                   a byte each
    String, Binary             lengths (u32), then the bytes one after the other; Enum and Categorical as their strings
    List, Array, Map           lengths (u64), then the node of the items (a Map's are structs of key and value)
    Struct                     the nodes of its fields

Floats are taken bit by bit: 0.0 and -0.0 differ, and so do two NaN of different bits; only a Float16 NaN is made the quiet one, as it
does not keep its bits in storage.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import polars as pl

from bedplate.core import digests

from .table_types import children, describe

ALGORITHM = "t1"
BLOCK = 65_536
_WORD = 1 << 64


class Mark(msgspec.Struct, frozen=True):
    """Where a digest can be continued: the chain (hex) after the last full block, and how many rows that covers."""

    chain: str
    rows: int


class TableDigest:
    """Takes frames of one schema, in order; memory does not grow with the rows."""

    def __init__(self, schema: pl.Schema, mark: Mark | None = None) -> None:
        """Start anew, or go on from a mark: the rows after it are to be given again."""
        self._schema = schema
        self._columns = [_Node(dtype) for dtype in schema.values()]
        self._chain = bytes.fromhex(mark.chain) if mark else _seed(schema)
        self._full = mark.rows if mark else 0
        self._open = 0

    @property
    def rows(self) -> int:
        """How many rows the digest covers."""
        return self._full + self._open

    def update(self, frame: pl.DataFrame) -> None:
        """Take the next rows."""
        start = 0
        while start < frame.height:
            taken = min(BLOCK - self._open, frame.height - start)
            part = frame if taken == frame.height else frame.slice(start, taken)
            for node, name in zip(self._columns, self._schema, strict=True):
                node.update(part.get_column(name))
            start += taken
            self._open += taken
            if self._open == BLOCK:
                self._chain = self._close()
                self._full += BLOCK
                self._open = 0

    def finish(self) -> tuple[str, Mark]:
        """The digest of all rows taken, and the mark to go on from. The object is spent."""
        mark = Mark(self._chain.hex(), self._full)
        chain = self._close() if self._open else self._chain
        return digests.of_bytes(chain, _word(self.rows)), mark

    def _close(self) -> bytes:
        parts = b"".join(node.close() for node in self._columns)
        return hashlib.sha256(self._chain + _word(self._open) + parts).digest()


class _Node:
    """One column, or the items or a field inside one, within the block."""

    def __init__(self, dtype: pl.DataType) -> None:
        self._dtype = dtype
        inner = children(dtype)
        self._many = isinstance(dtype, pl.List | pl.Array | pl.Map)
        if isinstance(dtype, pl.Map):
            self._inner = [_Node(pl.Struct({"key": inner[0], "value": inner[1]}))]
        else:
            self._inner = [_Node(child) for child in inner]
        self._reset()

    def _reset(self) -> None:
        self._count = 0
        self._nulls, self._first, self._second = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()

    def update(self, values: pl.Series) -> None:
        if values.null_count():
            where = np.flatnonzero(values.is_null().to_numpy()) + self._count
            self._nulls.update(_little(where, "<u8"))
            self._count += len(values)
            values = values.drop_nulls()
        else:
            self._count += len(values)
        if len(values):
            self._take(values)

    def close(self) -> bytes:
        """The node's digest; it starts anew for the next block."""
        parts = [_word(self._count), self._nulls.digest(), self._first.digest(), self._second.digest()]
        parts += [node.close() for node in self._inner]
        self._reset()
        return hashlib.sha256(b"".join(parts)).digest()

    def _take(self, values: pl.Series) -> None:
        if self._many:
            items, lengths = _items(values)
            self._first.update(_little(lengths, "<u8"))
            self._inner[0].update(items)
        elif isinstance(self._dtype, pl.Struct):
            for node, field in zip(self._inner, self._dtype.fields, strict=True):
                node.update(values.struct.field(field.name))
        else:
            first, second = _leaf(values, self._dtype)
            self._first.update(first)
            if second is not None:
                self._second.update(second)


def _leaf(values: pl.Series, dtype: pl.DataType) -> tuple[Any, Any]:
    match dtype:
        case pl.Null():
            return b"", None
        case pl.Boolean():
            return _little(values.cast(pl.UInt8).to_numpy(), "u1"), None
        case pl.String() | pl.Binary() | pl.Enum() | pl.Categorical():
            text = values if isinstance(dtype, pl.Binary) else values.cast(pl.String).cast(pl.Binary)
            items = text.cast(pl.List(pl.UInt8)).explode(empty_as_null=False)
            return _little(text.bin.size().to_numpy(), "<u4"), _little(items.to_numpy(), "u1")
        case pl.Decimal() | pl.Int128() | pl.UInt128():
            return _words(values.to_physical())
        case pl.Float16():
            numbers = values.to_numpy(writable=True)
            numbers[np.isnan(numbers)] = np.nan
            return _little(numbers, "<f2"), None
    numbers = values.to_physical().to_numpy()
    return _little(numbers, numbers.dtype.newbyteorder("<")), None


def _items(values: pl.Series) -> tuple[pl.Series, Any]:
    if isinstance(values.dtype, pl.Array):
        return values.explode(empty_as_null=False), np.full(len(values), values.dtype.size, dtype="<u8")
    if isinstance(values.dtype, pl.Map):
        values = values.map.entries()
    return values.explode(empty_as_null=False), values.list.len().to_numpy()


def _words(values: pl.Series) -> tuple[Any, Any]:
    """The low and the high 64 bits of 128-bit integers."""
    dtype = values.dtype
    low = (values & pl.Series([_WORD - 1], dtype=dtype)).cast(pl.UInt64)
    largest, least = values.max(), values.min()
    if isinstance(largest, int) and isinstance(least, int) and largest < _WORD and least >= -_WORD:
        high = -(values < 0).cast(pl.Int8).cast(pl.Int64)
    else:
        signed = pl.UInt64 if dtype == pl.UInt128 else pl.Int64
        high = (values // pl.Series([_WORD], dtype=dtype)).cast(signed)
    return _little(low.to_numpy(), "<u8"), _little(high.to_numpy(), high.to_numpy().dtype.newbyteorder("<"))


def _little(numbers: Any, dtype: Any) -> memoryview:
    return np.ascontiguousarray(numbers, dtype=dtype).view("u1").data


def _word(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _seed(schema: pl.Schema) -> bytes:
    columns = [[name, describe(dtype)] for name, dtype in schema.items()]
    return hashlib.sha256(b"bedplate t1\n" + digests.canonical(columns)).digest()
