"""The service of this bundle: its own function, called with the models beside it, and asked exactly as where it was served.

A request is one JSON object by the function's fields. What the service looks up where it is served, it is sent here: the request's
`features` holds, for each view, the row (null: nothing is known of it). `code/` is the function with all that it reaches.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

FEATURES: Final = "features"
TYPES: Final = {"int": int, "float": float, "bool": bool, "text": str, "time": datetime, "date": date}

Wrong = Callable[..., Exception]
"""Makes the error that is the caller's own mistake, of what it is, why, and what to do next."""


class Asked:
    """A model as the function has it: it predicts, for a row, a list of rows, columns or a frame."""

    def __init__(self, model: Any) -> None:
        self.ref: str = model.about["ref"]
        self._model = model
        self._names = [field["name"] for field in model.about["inputs"]]
        self._numpy = importlib.import_module("numpy")

    def predict(self, rows: Any) -> Any:
        """As where it was served: an array with an item for each row, and for one row its item."""
        if isinstance(rows, Mapping) and all(_is_scalar(rows.get(name)) for name in self._names):
            return self._values([dict(rows)])[0]
        if isinstance(rows, list):
            return self._values(rows)
        columns = {name: rows[name] for name in self._names if name in (rows if isinstance(rows, Mapping) else list(rows.columns))}
        count = next((len(column) for column in columns.values() if not _is_scalar(column)), 1)
        lists = {name: _repeated(column, count) for name, column in columns.items()}
        return self._values([dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)])

    def _values(self, rows: list[Any]) -> Any:
        return self._numpy.asarray(self._model.values([{name: _bare(row[name]) for name in self._names if name in row} for row in rows]))


class Sent:
    """A view of features whose row was sent with the request."""

    def __init__(self, name: str, about: Mapping[str, Any], row: Mapping[str, Any] | None, wrong: Wrong) -> None:
        self.spec = SimpleNamespace(entity=tuple(about["entity"]), time=about["time"])
        self._name, self._row, self._wrong = name, row, wrong

    def at(self, labels: Any, *more: Any) -> Any:
        """A row with the values that were sent."""
        if not isinstance(labels, Mapping):
            raise self._wrong(f"{self._name} was sent for one row", "the function asks for a frame", "ask where it is served")
        found = {**labels, **self[None]}
        for view in more:
            found = view.at(found)
        return found

    def __getitem__(self, entity: Any) -> Any:
        """The values that were sent."""
        if isinstance(entity, list):
            return [self[one] for one in entity]
        if self._row is None:
            next = f"send its values in '{FEATURES}', or null where nothing is known"
            raise self._wrong(f"'{FEATURES}.{self._name}' is missing", f"the service looks up {self._name}", next)
        return dict(self._row)


class SentRows:
    """A view of features whose rows were sent with requests that are answered together, one with each."""

    def __init__(self, name: str, about: Mapping[str, Any], rows: list[dict[str, Any] | None], wrong: Wrong) -> None:
        self.spec = SimpleNamespace(entity=tuple(about["entity"]), time=about["time"])
        self._about, self._count, self._wrong = about, len(rows), wrong
        self._sent = [Sent(name, about, row, wrong) for row in rows]

    def at(self, labels: Any, *more: Any) -> Any:
        """A row, or a frame of Polars with a row for each request, with the values that were sent."""
        if isinstance(labels, Mapping):
            found: Any = {**labels, **self[None]}
        else:
            self._check(len(labels), "rows of a frame")
            polars, rows = importlib.import_module("polars"), [one[None] for one in self._sent]
            known = {"int": polars.Int64, "float": polars.Float64, "bool": polars.Boolean, "text": polars.String}
            columns = self._about["columns"].items()
            found = labels.with_columns(polars.Series(name, [row[name] for row in rows], known.get(kind)) for name, kind in columns)
        for view in more:
            found = view.at(found)
        return found

    def __getitem__(self, entity: Any) -> Any:
        """The values that were sent, for each request in order."""
        parts = entity if isinstance(entity, tuple) else (entity,)
        many = [len(one) for one in parts if hasattr(one, "__len__") and not isinstance(one, (str, bytes))]
        if many:
            self._check(many[0], "entities")
            return [one[None] for one in self._sent]
        self._check(1, "entity")
        return self._sent[0][entity]

    def _check(self, count: int, what: str) -> None:
        if count != self._count:
            raise self._wrong(f"a row was sent with each of {self._count} requests, and the function looks up {count} {what}")


class Service:
    """The function with its arguments. `wrong` makes the error of a request that it does not take."""

    def __init__(self, folder: Path, about: dict[str, Any], models: Mapping[str, Any], wrong: Wrong) -> None:
        sys.dont_write_bytecode = True  # a bundle is signed as it is
        sys.path[:0] = [str(folder / "code"), str(folder)]
        self._msgspec, calling = importlib.import_module("msgspec"), importlib.import_module("calling")
        self._misfits = importlib.import_module("misfits")
        module = importlib.import_module(about["module"])
        self._function, self._wrong = getattr(module, about["function"]), wrong
        unset = self._msgspec.UNSET
        fields = [(name, given[0], given[1] if len(given) > 1 else unset) for name, given in module.BEDPLATE_ASKED.items()]
        returns = getattr(module, "BEDPLATE_RETURNS", Any)
        self._together = importlib.import_module("together")
        self._asked: Any = None
        if any(self._together.form_of(annotation) for _, annotation, _ in fields):
            self._asked, returns = self._together.Together(fields), self._together.answer_of(returns)
            fields = self._together.fields_of(fields)
        self._type = calling.request_type(about["name"], fields)
        self._request = self._msgspec.json.Decoder(self._type)
        self._takes = f"{about['name']} takes {', '.join(name for name, *_ in fields) or 'no fields'}"
        self._read = calling.reader(returns, wrong)
        self._fixed = {parameter: None if name is None else Asked(models[name]) for parameter, name in about["models"].items()}
        self._fixed |= about["values"]
        self._views: dict[str, Any] = about["features"]

    def answer(self, asked: Any) -> Any:
        """What a request gets, or a list of requests. Raises what `wrong` makes."""
        if self._asked is not None:
            return self._many(asked) if isinstance(asked, list) else self._many([asked])[0]
        return [self._one(row) for row in asked] if isinstance(asked, list) else self._one(asked)

    def _one(self, asked: Any) -> Any:
        request, rows = self._decoded(asked)
        given = {name: getattr(request, name) for name in request.__struct_fields__}
        views = {name: Sent(name, about, self._row(name, about, rows), self._wrong) for name, about in self._views.items()}
        return self._read(self._function(**self._fixed, **views, **given))

    def _many(self, asked: list[Any]) -> list[Any]:
        """The answers to requests, of a function that is asked for many rows at once."""
        decoded, found, most = [self._decoded(one) for one in asked], list[Any](), self._together.ROWS
        for at in range(0, len(decoded), most):
            some = decoded[at : at + most]
            given = self._asked.given([self._msgspec.structs.astuple(request) for request, _ in some])
            views = {
                name: SentRows(name, about, [self._row(name, about, rows) for _, rows in some], self._wrong)
                for name, about in self._views.items()
            }
            made = self._together.answers(self._function(**self._fixed, **views, **given), len(some), self._wrong)
            found.extend(map(self._read, made))
        return found

    def _decoded(self, asked: Any) -> tuple[Any, Any]:
        """A request, and the rows of features that were sent with it."""
        if not isinstance(asked, dict):
            raise self._wrong("this is no request", "a request is a JSON object, one or a list of them", self._takes)
        rows = asked.get(FEATURES) if self._views else None
        fields = {name: value for name, value in asked.items() if rows is None or name != FEATURES}
        return self._read_request(fields), rows

    def _read_request(self, fields: dict[str, Any]) -> Any:
        """The request that these fields are. Raises what `wrong` makes, in the words of where it was served."""
        try:
            body = json.dumps(fields, allow_nan=False).encode()
            return self._request.decode(body)
        except self._msgspec.ValidationError as error:
            raise self._wrong(self._misfits.misfits(self._type, body, error), self._takes, "send what fits") from None
        except (self._msgspec.MsgspecError, ValueError, OverflowError) as error:
            raise self._wrong("the request cannot be read", str(error)[:300], "send numbers that JSON has, and whole text") from None

    def _row(self, name: str, about: Mapping[str, Any], rows: Any) -> dict[str, Any] | None:
        """The row of a view, typed as where it was looked up; None where none was sent."""
        if not isinstance(rows, dict) or name not in rows:
            return None
        sent, types = rows[name], about["columns"]
        if sent is None:
            return dict.fromkeys(types)
        if not isinstance(sent, dict) or sent.keys() != types.keys():
            raise self._wrong(f"'{FEATURES}.{name}' is not its row", f"it takes {', '.join(types)}", "send each of them, or null for all")
        try:
            return {column: self._typed(types[column], value) for column, value in sent.items()}
        except self._msgspec.ValidationError as error:
            raise self._wrong(f"'{FEATURES}.{name}' does not fit", self._misfits.misfit(error), f"it takes {', '.join(types)}") from None

    def _typed(self, kind: str, value: Any) -> Any:
        if kind == "int" and isinstance(value, float) and value.is_integer():
            return int(value)  # a prediction log keeps every number of a feature as a float
        known = TYPES.get(kind)
        return value if value is None or known is None else self._msgspec.convert(value, known)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str) or not hasattr(value, "__len__") or getattr(value, "shape", None) == ()


def _repeated(column: Any, count: int) -> list[Any]:
    """A column as a list; a scalar beside columns is the same in each row."""
    if _is_scalar(column):
        return [_bare(column)] * count
    return list(column.tolist() if hasattr(column, "tolist") else column)


def _bare(value: Any) -> Any:
    """A number of numpy's as Python's own."""
    return value.item() if hasattr(value, "item") else value
