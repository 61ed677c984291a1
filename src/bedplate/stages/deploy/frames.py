"""Frames: a batch of predictions as a Polars frame whose types come from the service, so that every batch has equal types.

    prediction_id request_id error models   text (`models` is JSON: model -> version number; `error` is null where there is none)
    at                                      time in UTC, microseconds
    latency_ms status                       float, int
    request                                 struct of the request's fields; null where the request could not be read
    features                                struct of the rows looked up, by parameter; null where nothing was
    looked                                  JSON: by parameter the version that gave the row, and the entity and time asked for
    result                                  by the return annotation; JSON text for what is no scalar
    answer_of                               the prediction whose answer was given again; null where it was worked out for itself
    trace                                   JSON: where the time went, in ms, of requests that were traced; null of others

A column that could hold nothing (`request` of a service without fields, `answer_of` and `trace` where no row has any) is left out.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from bedplate.core.model import Field, Signature
from bedplate.core.records import Record

from .deployment import Seen
from .recorder import Block, Cells, Kept, Prediction
from .service import ColumnType, Service, column_type, plain, request_columns

_TYPES: Final[dict[ColumnType, pl.DataType]] = {
    "int": pl.Int64(), "float": pl.Float64(), "bool": pl.Boolean(), "text": pl.String(), "time": pl.Datetime("us", "UTC"),
    "date": pl.Date(), "json": pl.String(),
}  # fmt: skip
_INPUTS: Final[dict[str, ColumnType]] = {"BOOL": "bool", "BYTES": "text"}

_PIECE: Final = 2_000
"""Predictions that are made columns at once: a call into Polars or numpy holds the interpreter to its end, and the event loop waits."""

Columns = Mapping[str, ColumnType]


class Shape(Record, frozen=True, kw_only=True):
    """The types of one log: of the request's fields, of the feature rows by parameter, and of the result."""

    request: dict[str, ColumnType] = msgspec.field(default_factory=dict)
    features: dict[str, dict[str, ColumnType]] = msgspec.field(default_factory=dict)
    result: ColumnType = "json"


def service_shape(service: Service, features: Mapping[str, Columns]) -> Shape:
    """The shape of a service's log; `features` are the columns of each view that it looks rows up in."""
    looked = {name: dict(columns) for name, columns in features.items()}
    return Shape(request=request_columns(service.request), features=looked, result=column_type(service.returns))


def model_shape(signature: Signature, wide: bool) -> Shape:
    """The shape of a model's own log (Open Inference Protocol): every number sent is kept as a float, as it may be one and versions may
    differ in that; `wide` models give several values per row, kept as JSON.
    """
    request: dict[str, ColumnType] = {field.name: _INPUTS.get(field.datatype, "float") for field in signature.inputs}
    return Shape(request=request, result="json" if wide else _output(signature.outputs[0]))


def feature_columns(schema: pl.Schema) -> dict[str, ColumnType]:
    """The columns that a view of features gives; every number is kept as a float, as versions may differ in that."""
    return {name: _column(dtype) for name, dtype in schema.items()}


def frame(batch: Sequence[Kept], shape: Shape) -> pl.DataFrame:
    """The batch as a frame, a row per prediction, in order."""
    if len(batch) > _PIECE:
        return pl.concat([frame(batch[at : at + _PIECE], shape) for at in range(0, len(batch), _PIECE)], how="diagonal")
    blocks = [one for one in batch if isinstance(one, Block)]
    if not blocks:
        return _frame([one for one in batch if isinstance(one, Prediction)], shape)
    if len(blocks) == len(batch):
        return _of_blocks(blocks, shape)
    runs = (list(run) for _, run in itertools.groupby(batch, key=type))
    return pl.concat([frame(run, shape) for run in runs], how="diagonal")


def _of_blocks(blocks: Sequence[Block], shape: Shape) -> pl.DataFrame:
    """Whole requests, column by column: nothing is made for each row but its name."""
    counts = [one.rows for one in blocks]
    whole = pl.Series(np.repeat(np.arange(len(blocks), dtype=np.uint32), counts))
    columns = [
        pl.Series("prediction_id", [name for one in blocks for name in one.names()], pl.String),
        pl.Series("request_id", [one.request_id for one in blocks], pl.String).gather(whole),
        _times([one.at for one in blocks]).gather(whole),
        pl.Series("latency_ms", [one.latency_ms for one in blocks], pl.Float64).gather(whole),
        pl.Series("status", [one.status for one in blocks], pl.Int64).gather(whole),
        pl.Series("error", [one.error or None for one in blocks], pl.String).gather(whole),
        pl.Series("models", [one.models for one in blocks], pl.String).gather(whole),
        _matrices(shape.request, [one.request for one in blocks]),
    ]
    return pl.DataFrame([*columns, _results(shape.result, blocks)])


def _results(kind: ColumnType, blocks: Sequence[Block]) -> pl.Series:
    if kind == "float" and all(getattr(one.result, "ndim", 0) == 1 and one.result.dtype.kind == "f" for one in blocks):
        values = np.concatenate([one.result for one in blocks])
        return pl.Series("result", values if np.isfinite(values).all() else [*map(plain, values.tolist())], pl.Float64)
    answers = [value for one in blocks for value in (plain(one.result) if one.result is not None else [None] * one.rows)]
    return _series("result", kind, answers)


def _matrices(types: Columns, arrays: Sequence[Any]) -> pl.Series:
    columns = np.ascontiguousarray(np.concatenate(arrays).T, dtype=np.float64)  # Polars takes a column that lies together at a quarter
    frame = pl.DataFrame([pl.Series(name, column) for name, column in zip(types, columns, strict=True)])
    return (frame if set(types.values()) == {"float"} else frame.select(_casts(types))).to_struct("request")


def _times(given: Sequence[datetime]) -> pl.Series:
    """Times as microseconds at once: Polars reads a list of datetimes value by value. A double holds microseconds until the year 2255."""
    return pl.Series("at", [round(one.timestamp() * 1e6) for one in given], pl.Int64).cast(pl.Datetime("us", "UTC"))


def _frame(batch: Sequence[Prediction], shape: Shape) -> pl.DataFrame:
    columns = [
        pl.Series("prediction_id", [one.prediction_id for one in batch], pl.String),
        pl.Series("request_id", [one.request_id for one in batch], pl.String),
        _times([one.at for one in batch]),
        pl.Series("latency_ms", [one.latency_ms for one in batch], pl.Float64),
        pl.Series("status", [one.status for one in batch], pl.Int64),
        pl.Series("error", [one.error or None for one in batch], pl.String),
        pl.Series("models", [one.models for one in batch], pl.String),
    ]
    if shape.request:
        columns.append(_requests(shape.request, [one.request for one in batch]))
    if shape.features:
        rows = [one.features for one in batch]
        views = [_struct(name, types, [None if row is None else row.get(name) for row in rows]) for name, types in shape.features.items()]
        columns.append(_masked(pl.DataFrame(views).to_struct("features"), [row is not None for row in rows]))
        columns.append(pl.Series("looked", [_looked(row) for row in rows], pl.String))
    columns.append(_series("result", shape.result, [one.result for one in batch]))
    if any(one.answer_of for one in batch):
        columns.append(pl.Series("answer_of", [one.answer_of or None for one in batch], pl.String))
    if any(one.trace is not None for one in batch):
        columns.append(pl.Series("trace", [None if one.trace is None else one.trace.text() for one in batch], pl.String))
    return pl.DataFrame(columns)


def _looked(rows: Mapping[str, Mapping[str, Any]] | None) -> str | None:
    """What the rows were asked for, where that is known."""
    known = {name: row for name, row in (rows or {}).items() if isinstance(row, Seen)}
    asked = {name: {"features": row.features, "entity": row.entity, "time": row.time} for name, row in known.items()}
    return msgspec.json.encode(asked, enc_hook=plain).decode() if asked else None


def _requests(types: Columns, requests: Sequence[Any]) -> pl.Series:
    """The requests as structs. Where all are alike, column by column: of records by their fields in order (of numbers, all at once), of
    arrays without a look at a single value.
    """
    first = requests[0] if requests else None
    kind = type(first)
    if any(type(one) is not kind for one in requests):
        return _struct("request", types, [_mapping(one, types) for one in requests])
    if isinstance(first, Cells):
        return _matrices(types, _arrays(requests))
    if isinstance(first, msgspec.Struct) and list(first.__struct_fields__) == list(types):
        if set(types.values()) == {"float"} and (numbers := _numbers(requests, len(types))) is not None:
            return _matrices(types, [numbers])
        columns = zip(*map(msgspec.structs.astuple, requests), strict=True)
        fields = [_series(name, types[name], list(column)) for name, column in zip(types, columns, strict=True)]
        return pl.DataFrame(fields).to_struct("request")
    return _struct("request", types, [_mapping(one, types) for one in requests])


def _numbers(requests: Sequence[msgspec.Struct], width: int) -> Any:
    """Records of numbers as an array of them; None where one has something else: None is not-a-number to an array; JSON has no other."""
    values = itertools.chain.from_iterable(map(msgspec.structs.astuple, requests))
    try:
        made = np.fromiter(values, dtype=np.float64, count=width * len(requests)).reshape(-1, width)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if np.isnan(made).any() else made


def _arrays(requests: Sequence[Cells]) -> list[Any]:
    """The rows, each as an array of its own."""
    return [one.rows if len(one.rows) == 1 else one.rows[one.at : one.at + 1] for one in requests]


def _casts(types: Columns) -> list[pl.Expr]:
    return [pl.col(name).cast(_TYPES[kind]) for name, kind in types.items()]


def _mapping(request: Any, types: Columns) -> Mapping[str, Any] | None:
    if isinstance(request, Cells):
        return dict(zip(types, request.rows[request.at].tolist(), strict=True))
    return msgspec.structs.asdict(request) if isinstance(request, msgspec.Struct) else request


def _struct(name: str, types: Columns, rows: Sequence[Mapping[str, Any] | None]) -> pl.Series:
    fields = [_series(field, kind, [None if row is None else row.get(field) for row in rows]) for field, kind in types.items()]
    return _masked(pl.DataFrame(fields).to_struct(name), [row is not None for row in rows])


def _masked(series: pl.Series, present: list[bool]) -> pl.Series:
    """The structs, null where there is none."""
    if all(present):
        return series
    mask = pl.Series("present", present)
    return pl.select(pl.when(mask).then(series).otherwise(None).alias(series.name)).to_series()


def _series(name: str, kind: ColumnType, values: Sequence[Any]) -> pl.Series:
    if kind == "json":
        values = [None if value is None else msgspec.json.encode(value, enc_hook=plain).decode() for value in values]
    elif kind == "time":
        values = [_in_utc(value) for value in values]
    elif kind in ("int", "text"):
        values = [value.value if isinstance(value, enum.Enum) else value for value in values]
    return pl.Series(name, values, _TYPES[kind], strict=False)


def _in_utc(value: Any) -> Any:
    """A time in UTC; one without a zone is taken to be."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _output(field: Field) -> ColumnType:
    return _INPUTS.get(field.datatype, "float" if field.datatype.startswith("FP") else "int")


def _column(dtype: pl.DataType) -> ColumnType:
    if dtype.is_numeric():
        return "float"
    if dtype == pl.Date:
        return "date"
    if isinstance(dtype, pl.Datetime):
        return "time"
    if dtype == pl.Boolean:
        return "bool"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "json"
