"""Making a features index: rows are sorted once, by entity and by the moment from which each is the one to take.

As of a moment t the row to take is the one with the latest `time` among the entity's rows *known* at t: `time` <= t and, where declared,
`created` <= t. A row is known from max(time, created) on. In the order of that moment, the running maximum of (time, created, place in the
table) is the best row so far; what never is the best is left out. So the last row not after t is the answer, and a late row neither shows
early nor hides an older one that was known. A windowed view keeps all its events instead, by `time`.

A table of more than `WHOLE_BYTES` is first split by a hash of its entity, in a stream, and sorted part by part: memory holds one part.
An index that is kept lies under `features/<digest>/<how it is keyed>/`; it is derived, and may be deleted at any time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from bedplate.core import digests
from bedplate.core.errors import StoreError
from bedplate.core.features import FeatureSpec
from bedplate.storage import disk

from .features_index import DENSE, Column, Index, Ints, Mask, Scale

WHOLE_BYTES: Final = 400_000_000
"""What is sorted at once; sorting takes some four times as much memory."""
_SPLIT, _MOST_PARTS = 4, 256
KEPT_FROM_ROWS: Final = 50_000
"""A smaller index is made again sooner than it is read."""
_FORMAT: Final = 1
_PART, _PLACE = "__part", "__place"
_META, _ENTITIES, _REST = "meta.json", "entities.arrow", "rest.arrow"


class Part(msgspec.Struct, frozen=True):
    """Sorted rows of some entities: the entity's code within the part, two moments of each row, and its values."""

    entities: pl.DataFrame
    codes: Ints
    moment: Ints
    other: Ints
    values: pl.DataFrame


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What a kept index is: its scale, and the size in bytes of each of its files. Column i is `i.npy` (raw), its nulls `i.null`."""

    scale: Scale
    files: dict[str, int]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A features table to be indexed: its rows, how they are keyed, which columns are values, and the type that moments compare in."""

    table: pl.LazyFrame
    spec: FeatureSpec
    names: list[str]
    moment: pl.DataType
    by_moment: bool = True


def index_of(source: Source, home: Path | None = None, whole_bytes: int = WHOLE_BYTES) -> Index:
    """The index: read where it is kept below `home`, else made, and kept where there is a `home` and it is worth it."""
    place = None if home is None else home / _name(source)
    if place is not None and (kept := _read(place, source)) is not None:
        return kept
    rows = int(source.table.select(pl.len()).collect().item())
    parts = _parts(rows * _width(source), whole_bytes)
    if parts == 1 and (place is None or rows < KEPT_FROM_ROWS):
        return _in_memory(sort_part(source.table.collect(), source))
    with _folder(place) as fresh:
        meta = _write(fresh, _sorted_parts(source, parts, fresh), source)
        made = _opened(fresh, meta, source)  # the files are read through open mappings: their names may change, and go
        if place is not None:
            _give_name(fresh, place, source)
        return made


def _parts(size: int, whole: int) -> int:
    """Into how many parts a table of so many bytes is split: none, or parts well below what fits."""
    return 1 if size <= whole else min(1 + size * _SPLIT // whole, _MOST_PARTS)


def sort_part(frame: pl.DataFrame, source: Source) -> Part:
    """The rows of a frame, in table order, as a part."""
    spec = source.spec
    key = canonical(frame.select(spec.entity))
    wanted = [pl.col(name).is_not_null() for name in dict.fromkeys((spec.time, spec.created or spec.time))]
    usable = frame.select(pl.all_horizontal(*wanted)).to_series() & key.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    if not usable.all():
        frame, key = frame.filter(usable), key.filter(usable)
    entities, code = _coded(key)
    time = _physical(frame.get_column(spec.time), source.moment)
    created = _physical(frame.get_column(spec.created), source.moment) if spec.created else time
    known: Ints = time if created is time else np.maximum(time, created)
    order, moment, other = _best(code, time, created, known) if source.by_moment else _all(code, time, created, known)
    values = frame.select(pl.col(source.names).gather(pl.Series(order))) if source.names else pl.DataFrame()
    return Part(entities, code[order], moment, other, values)


def _coded(key: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """The different entities, and which of them each row is."""
    if key.width == 1 and key.dtypes[0] == pl.Int64 and key.height:
        numbers: Ints = key.to_series().to_numpy()
        least, most = int(numbers.min()), int(numbers.max())
        if most - least <= DENSE * key.height:
            places = numbers - least
            there = np.zeros(most - least + 1, np.bool_)
            there[places] = True
            codes: Ints = np.cumsum(there) - 1
            return pl.DataFrame({key.columns[0]: np.flatnonzero(there) + least}), codes[places]
    entities = key.unique().sort(key.columns) if key.width == 1 else key.unique(maintain_order=True)
    coded = key.join(entities.with_row_index("__code"), on=key.columns, how="left", maintain_order="left")
    return entities, coded.get_column("__code").cast(pl.Int64).to_numpy()


def _best(code: Ints, time: Ints, created: Ints, known: Ints) -> tuple[Ints, Ints, Ints]:
    """The row to take from each moment on, by entity and moment: its place in the table, that moment, and the row's time."""
    count = len(code)
    order = _by_code(code, _order(known, time, created))
    codes, times = code[order], time[order]
    if not bool(np.all((times[1:] >= times[:-1]) | (codes[1:] != codes[:-1]))):
        by_time: Ints = np.lexsort((created, time))
        rank = np.empty(count, np.int64)
        rank[by_time] = np.arange(count)
        best = np.maximum.accumulate(codes * count + rank[order]) - codes * count
        moments, rows = known[order], by_time[best]
        last = _last_of_each(codes, moments)
        codes, moments, rows = codes[last], moments[last], rows[last]
        news = np.ones(len(rows), np.bool_)
        news[1:] = (rows[1:] != rows[:-1]) | (codes[1:] != codes[:-1])
        return rows[news], moments[news], time[rows[news]]
    last = _last_of_each(codes, known[order])
    rows = order[last]
    return rows, known[rows], time[rows]


def _all(code: Ints, time: Ints, created: Ints, known: Ints) -> tuple[Ints, Ints, Ints]:
    """Every row, by entity and time: its place in the table, its time, and when it was known."""
    order = _by_code(code, _order(time, created))
    return order, time[order], known[order]


def _last_of_each(codes: Ints, moments: Ints) -> Mask:
    last = np.ones(len(codes), np.bool_)
    last[:-1] = (codes[1:] != codes[:-1]) | (moments[1:] != moments[:-1])
    return last


def _order(*keys: Ints) -> Ints | None:
    """The rows by these keys, the first one first, and then by place; None where they lie so."""
    if all(_rises(key) for key in keys):
        return None
    apart = [key for at, key in enumerate(keys) if all(key is not before for before in keys[:at])]
    sorted_by = pl.DataFrame({str(at): key for at, key in enumerate(apart)})
    return sorted_by.select(pl.arg_sort_by(sorted_by.columns, maintain_order=True).cast(pl.Int64)).to_series().to_numpy()


def _rises(values: Ints) -> bool:
    return bool(np.all(values[1:] >= values[:-1]))


def _by_code(code: Ints, order: Ints | None) -> Ints:
    """The order by code, and by the order given within each: two passes over 16 bits each, which numpy sorts in linear time."""
    for shift in (0, 16) if len(code) and int(code.max()) >> 16 else (0,):
        digit = (code >> shift).astype(np.uint16)
        again: Ints = np.argsort(digit if order is None else digit[order], kind="stable")
        order = again if order is None else order[again]
    assert order is not None
    return order


def canonical(keys: pl.DataFrame) -> pl.DataFrame:
    """Entity columns in the types in which they compare: whole numbers as Int64, categories as text."""
    return keys.select(pl.col(name).cast(key_type(dtype), strict=False) for name, dtype in keys.schema.items())


def key_type(dtype: pl.DataType) -> pl.DataType:
    """The type in which entities of this type compare."""
    if dtype.is_integer() and dtype not in (pl.UInt64, pl.Int128, pl.UInt128):
        return pl.Int64()
    return pl.String() if dtype in (pl.Categorical, pl.Enum) else dtype


def _physical(series: pl.Series, moment: pl.DataType) -> Ints:
    return series.cast(moment).to_physical().cast(pl.Int64).to_numpy()


def _in_memory(part: Part) -> Index:
    scale = _scale([part])
    columns = {name: _column(part.values.get_column(name)) for name in part.values.columns}
    return Index(part.entities, scale, scale.keys(part.codes, part.moment), part.moment, part.other, columns)


def _scale(parts: list[Part]) -> Scale:
    filled = [part for part in parts if len(part.moment)]
    least, most = min((int(p.moment.min()) for p in filled), default=0), max((int(p.moment.max()) for p in filled), default=0)
    return Scale.of(least, most, sum(part.entities.height for part in parts))


def is_flat(dtype: pl.DataType) -> bool:
    """Whether values of this type lie in a plain array of numbers."""
    return (dtype.is_numeric() and not dtype.is_decimal() and dtype not in (pl.Int128, pl.UInt128)) or dtype == pl.Boolean or (
        dtype.is_temporal()
    )  # fmt: skip


def _column(series: pl.Series) -> Column:
    if not is_flat(series.dtype):
        return Column(series.dtype, series=series)
    numbers, present = _numbers(series)
    return Column(series.dtype, numbers, present)


def _numbers(series: pl.Series) -> tuple[npt.NDArray[Any], Mask | None]:
    present = None if not series.null_count() else series.is_not_null().to_numpy()
    flat = series.to_physical()
    flat = flat.cast(pl.UInt8) if flat.dtype == pl.Boolean else flat
    return flat.fill_null(0).to_numpy(), present


def _width(source: Source) -> int:
    """About how many bytes a row takes while its part is sorted."""
    schema = source.table.collect_schema()
    return 64 + sum(8 if is_flat(dtype) else 48 for dtype in schema.values())


def _sorted_parts(source: Source, parts: int, folder: Path) -> Iterator[Part]:
    if parts == 1:
        yield sort_part(source.table.collect(), source)
        return
    spill = folder / "spill"
    wanted = [*source.spec.entity, *dict.fromkeys((source.spec.time, source.spec.created or source.spec.time)), *source.names]
    key = pl.struct(pl.col(name).cast(key_type(dtype)) for name, dtype in source.table.select(source.spec.entity).collect_schema().items())
    rows = source.table.select(wanted).with_row_index(_PLACE).with_columns((key.hash(1) % parts).cast(pl.UInt32).alias(_PART))
    with disk.guard("write", spill):
        rows.sink_ipc(pl.PartitionBy(spill, key=_PART, include_key=False), mkdir=True, compression="lz4", engine="streaming")
    for part in sorted(spill.iterdir()):
        frame = pl.concat([pl.read_ipc(file) for file in sorted(part.rglob("*.ipc"))]).sort(_PLACE)
        shutil.rmtree(part)
        yield sort_part(frame.drop(_PLACE), source)
    shutil.rmtree(spill)


def _write(folder: Path, parts: Iterator[Part], source: Source) -> Meta:
    """Write the parts one after the other, each column a file; the keys come last, when it is known how fine they can be."""
    schema = source.table.collect_schema()
    heads: list[Part] = []
    rest: list[pl.DataFrame] = []
    flat = [(number, name) for number, name in enumerate(source.names) if is_flat(schema[name])]
    with _files(folder, ["moment", "other", "code", *(f"{n}.npy" for n, _ in flat), *(f"{n}.null" for n, _ in flat)]) as files:
        done = 0
        for part in parts:
            part.moment.tofile(files["moment"])
            part.other.tofile(files["other"])
            (part.codes + done).tofile(files["code"])
            done += part.entities.height
            for number, name in flat:
                numbers, present = _numbers(part.values.get_column(name))
                numbers.tofile(files[f"{number}.npy"])
                (np.ones(len(numbers), np.bool_) if present is None else present).tofile(files[f"{number}.null"])
            rest.append(part.values.drop([name for _, name in flat]))
            heads.append(msgspec.structs.replace(part, codes=part.codes[:0], other=part.other[:0], values=pl.DataFrame(),
                                                 moment=_ends(part.moment)))  # fmt: skip
    scale = _scale(heads)
    _keys(folder, scale)
    for number, _ in flat:
        if bool(np.all(_mapped(folder / f"{number}.null", np.dtype(np.bool_)))):
            (folder / f"{number}.null").unlink()
    pl.concat([head.entities for head in heads]).write_ipc(folder / _ENTITIES)
    if len(flat) < len(source.names):
        pl.concat(rest).write_ipc(folder / _REST)
    found = [path for path in folder.iterdir() if path.is_file()]
    meta = Meta(scale=scale, files={path.name: path.stat().st_size for path in found})
    (folder / _META).write_bytes(msgspec.json.encode(meta))
    for path in (*found, folder / _META):
        disk.flush(path)
    return meta


def _ends(moments: Ints) -> Ints:
    return np.array([moments.min(), moments.max()]) if len(moments) else moments


def _keys(folder: Path, scale: Scale) -> None:
    codes, moments = _mapped(folder / "code", np.dtype(np.int64)), _mapped(folder / "moment", np.dtype(np.int64))
    with (folder / "key").open("wb") as file:
        for start in range(0, len(codes), 1 << 20):
            scale.keys(codes[start : start + (1 << 20)], moments[start : start + (1 << 20)]).tofile(file)
    (folder / "code").unlink()


@contextmanager
def _files(folder: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    files = {name: (folder / name).open("wb") for name in names}
    try:
        yield files
    finally:
        for file in files.values():
            file.close()


@contextmanager
def _folder(place: Path | None) -> Iterator[Path]:
    """A fresh folder beside the index's place (or a temporary one where it has none, or may not be written there)."""
    beside = None
    if place is not None:
        with suppress(OSError, StoreError):
            beside = tempfile.mkdtemp(prefix=disk.TEMPORARY, dir=disk.make_folder(place.parent))
    fresh = Path(beside or tempfile.mkdtemp(prefix="bedplate-"))
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _give_name(fresh: Path, place: Path, source: Source) -> None:
    """Give a whole index its name. Another process may have been first: what is whole stays, as somebody may be opening it right now."""
    with suppress(OSError):
        fresh.chmod(0o755)
        if place.exists() and _read(place, source) is None:
            broken = Path(tempfile.mkdtemp(prefix=disk.TEMPORARY, dir=place.parent))
            place.rename(broken / place.name)
            shutil.rmtree(broken, ignore_errors=True)
        fresh.rename(place)


def _read(place: Path, source: Source) -> Index | None:
    """The index kept at `place`; None where there is none, or not a whole one."""
    try:
        meta = msgspec.json.decode((place / _META).read_bytes(), type=Meta)
        if all((place / name).stat().st_size == size for name, size in meta.files.items()):
            os.utime(place.parent)
            return _opened(place, meta, source)
    except (OSError, msgspec.DecodeError, pl.exceptions.PolarsError):
        pass
    return None


def _opened(folder: Path, meta: Meta, source: Source) -> Index:
    schema = source.table.collect_schema()
    numbers = {name: _mapped(folder / name, np.dtype(np.int64)) for name in ("key", "moment", "other")}
    rest = pl.read_ipc(folder / _REST) if _REST in meta.files else pl.DataFrame()
    columns = {}
    for number, name in enumerate(source.names):
        if name in rest.columns:
            columns[name] = Column(schema[name], series=rest.get_column(name).rechunk())
            continue
        nulls = folder / f"{number}.null"
        present = _mapped(nulls, np.dtype(np.bool_)) if nulls.name in meta.files else None
        columns[name] = Column(schema[name], _mapped(folder / f"{number}.npy", _flat(schema[name])), present)
    return Index(pl.read_ipc(folder / _ENTITIES), meta.scale, numbers["key"], numbers["moment"], numbers["other"], columns)


def _flat(dtype: pl.DataType) -> np.dtype[Any]:
    return _numbers(pl.Series([], dtype=dtype))[0].dtype


def _mapped(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A file's numbers, memory-mapped; an empty file cannot be."""
    if not path.stat().st_size:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r").view(np.ndarray)


def _name(source: Source) -> str:
    """The index's own folder: by what it was made with. Polars' hash and sorts may differ between its versions."""
    spec = msgspec.structs.replace(source.spec, ttl_s=0.0, online=False)
    return digests.of_json([_FORMAT, msgspec.to_builtins(spec), str(source.moment), source.names, pl.__version__]).partition(":")[2][:16]
