"""Together: many rows of one service, answered in one call of its function, each with the feature rows that were looked up for it.

A view that is asked for as many entities as there are rows, or for a frame of as many, is taken to have been asked for one each, in the
order of the rows; the last time that it was is what the predictions' record keeps.

Limits: of a view that is asked for fewer or more, or lazily, nothing is kept; what it took is said of the first row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from bedplate.core.errors import AnswerError
from bedplate.core.together import answers

from .deployment import Active, Looked, Seen, entity_of
from .service import Service

Made = tuple[Any, Mapping[str, Mapping[str, Any]] | None]
"""What a function returned for a row, and by parameter the feature rows that it looked at."""


def rows_of(service: Service, requests: Sequence[Any]) -> Any:
    """Requests, at least one, as an array whose parts can be put together: of numbers, a row each, where they are nothing else."""
    if service.together is not None and service.together.is_plain:
        return service.together.matrix([*map(msgspec.structs.astuple, requests)])
    return np.fromiter(requests, object, len(requests))


def listed(results: Iterable[Any]) -> Any:
    """The answers to rows as they are recorded: numbers as an array of them."""
    made = list(results)
    return np.array(made) if set(map(type, made)) == {float} else made


def asked(service: Service, arguments: Mapping[str, Any], requests: Sequence[Any]) -> list[Any]:
    """What the function returns for requests, or `rows_of` them, in one call. Raises what that raises; AnswerError for more or fewer."""
    assert service.many is not None, "asked of a service that answers many rows at once"
    assert service.together is not None, "asked of a service that answers many rows at once"
    if isinstance(requests, np.ndarray) and requests.ndim == 2:
        given = service.together.given_matrix(requests)
    else:
        given = service.together.given([*map(msgspec.structs.astuple, requests)])
    return answers(service.many(**arguments, **given), len(requests), AnswerError)


def called(active: Active, requests: Sequence[Any]) -> list[Made]:
    """As `asked` of what serves, with the feature rows that were looked up."""
    if not active.features:
        return [(one, None) for one in asked(active.service, active.arguments, requests)]
    count = len(requests)
    seen = {
        name: LookedRows(active.arguments[name], columns, active.versions.get(name, ""), count) for name, columns in active.features.items()
    }
    made = asked(active.service, {**active.arguments, **seen}, requests)
    return list(zip(made, looked(seen, count), strict=True))


class LookedRows(Looked):
    """A Features view for one call for many rows, that remembers the rows that it gave last, one for each."""

    __slots__ = ("_count", "rows")

    def __init__(self, features: Any, columns: Iterable[str], version: str, count: int) -> None:
        super().__init__(features, columns, version)
        self._count = count
        self.rows: list[Seen] = []

    def _joined(self, _labels: Any, found: Any) -> None:
        if getattr(found, "height", None) == self._count:  # a frame: who routes to replicas has this module, too, and not Polars
            spec = self.spec
            asked = found.select(*spec.entity, spec.time).rows()
            rows = found.select(*(name for name in self._columns if name in found.columns)).rows(named=True)
            self._keep(rows, [(key[:-1], key[-1]) for key in asked])

    def _read(self, asked: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        if len(asked) == self._count:
            self._keep(rows, [(entity_of(one), None) for one in asked])

    def _keep(self, rows: Sequence[Mapping[str, Any]], asked: Sequence[tuple[tuple[Any, ...], Any]]) -> None:
        self.rows = [Seen(row, self._version, entity, moment) for row, (entity, moment) in zip(rows, asked, strict=True)]
        self.rows[0].took_s = self._took_s


def looked(views: Mapping[str, LookedRows], count: int) -> list[dict[str, Seen] | None]:
    """By row, the feature rows of each view that remembers them."""
    known = {name: one.rows for name, one in views.items() if one.rows}
    return [{name: rows[at] for name, rows in known.items()} or None for at in range(count)]
