"""Whether a runtime says what the framework says: on rows like those that the model was trained on, and on odd ones.

*Usual* rows: the example's, and 256 made of them: within half their range beyond it, some values missing where the framework takes those,
and some next to nought. A runtime that is further off on one than the tolerance allows is not used.

*Odd* rows: missing and infinite values, and numbers of 2 to the 24th (where float32 misses whole numbers), 1e12, 1e30 and 1e39 (where it
ends). A framework may refuse such a row; then a runtime that answers it disagrees. One that disagrees on odd rows only is used for the
others: it is *careful*, and asks the framework itself for rows beyond what it agrees on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bedplate.core.model import Field
from bedplate.storage.runtimes import Call, Source

Rows = npt.NDArray[np.float64]
_PROBES: Final = 256
_COLUMNS: Final = 16
"""So many columns are made odd one by one; then all at once."""
_NEXT_TO_NOUGHT: Final = (1e-40, -0.0)
_FINITE: Final = 1.7e308


class Oddity(NamedTuple):
    """A kind of odd rows: its values, and the largest number of a row that is not of it (0: what the model is used to)."""

    name: str
    values: tuple[float, ...]
    below: float


ODDITIES: Final = (
    Oddity("missing or infinite values", (math.nan, math.inf, -math.inf), _FINITE),
    Oddity("numbers beyond 1e+38", (1e39, -1e39), 1e38),
    Oddity("numbers beyond 1e+12", (1e30, -1e30), 1e12),
    Oddity("numbers beyond what it is used to", (16_777_217.0, -16_777_217.0, 1e12, -1e12), 0.0),
)
"""From the oddest on: who disagrees on one of them is asked for nothing as odd."""


class Probes(NamedTuple):
    """The usual rows with what the framework says of them, and each kind of odd rows with what it says of those (None: it refuses)."""

    rows: Rows
    expected: npt.NDArray[Any]
    odd: tuple[tuple[Oddity, Rows, npt.NDArray[Any] | None], ...]


class Careful:
    """A runtime that asks the framework itself for rows with a number beyond `most`, or none."""

    def __init__(self, call: Call, framework: Call, most: float) -> None:
        self._call = call
        self._framework = framework
        self._most = most

    def __call__(self, matrix: Any) -> Any:
        """Predict for rows."""
        if np.abs(matrix).max(initial=0.0) <= self._most:  # not-a-number is not
            return self._call(matrix)
        return self._framework(matrix)


def probed(source: Source) -> Probes:
    """What runtimes of a model are held against."""
    rows, expected = _expected(source)
    if expected.dtype.kind not in "fiub":
        return Probes(rows, expected, ())
    call = source.predictor.rows
    return Probes(rows, expected, tuple((kind, given, _said(call, given)) for kind, given in _odd(source, rows)))


def within(call: Call, framework: Call, probes: Probes, tolerance: float) -> tuple[str, Call]:
    """Which odd rows a runtime is not asked for (empty: none), and the call that takes care of that."""
    names, most = [], math.inf
    for kind, given, expected in probes.odd:
        said = _said(call, given)
        agrees = said is None if expected is None else said is not None and apart(said, expected) <= tolerance
        if not agrees:
            names.append(kind.name)
            most = min(most, kind.below or float(np.nanmax(np.abs(probes.rows), initial=1.0)))
    return (", ".join(names), Careful(call, framework, most)) if names else ("", call)


def apart(given: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """The largest distance between two answers, relative to 1 or to the value expected; infinite where their form differs."""
    if given.shape != expected.shape:
        return float("inf")
    same_nan = np.isnan(given) == np.isnan(expected)
    if not bool(np.all(same_nan)):
        return float("inf")
    other = ~((given == expected) | np.isnan(given))
    given, expected = given[other], expected[other]
    if not bool(np.all(np.isfinite(given) & np.isfinite(expected))):
        return float("inf")
    off = np.abs(given - expected) / np.maximum(1.0, np.abs(expected))
    return float(off.max(initial=0.0))


def _said(call: Call, rows: Rows) -> npt.NDArray[Any] | None:
    """What is said of odd rows; None where they are refused."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(call(rows))
    except Exception:  # scikit-learn's ValueError, a module's RuntimeError: it does not take them
        return None


def _expected(source: Source) -> tuple[Rows, npt.NDArray[Any]]:
    """Rows to compare on, and what the framework says of them; without missing values where it does not take those."""
    rows = probes(source)
    answer = _said(source.predictor.rows, rows)
    if answer is not None and not (answer.dtype.kind == "f" and bool(np.any(np.isnan(answer)))):
        return rows, answer
    whole = np.nan_to_num(rows)
    return whole, np.asarray(source.predictor.rows(whole))


def probes(source: Source) -> Rows:
    """The example's rows, some next to nought, and 256 made of their ranges, where one value in fifty is missing; always the same."""
    inputs = source.stored.signature.inputs
    known = source.stored.example or [dict.fromkeys(field.name for field in inputs)]
    given = source.predictor.matrix({field.name: [row.get(field.name) for row in known] for field in inputs})
    draw = np.random.default_rng(0)
    made = np.empty((_PROBES, len(inputs)))
    for at, field in enumerate(inputs):
        here = given[:, at][np.isfinite(given[:, at])]
        low, high = (float(here.min()), float(here.max())) if len(here) else (-1.0, 1.0)
        if field.categories:
            made[:, at] = draw.integers(0, len(field.categories), _PROBES)
        elif field.datatype == "BOOL":
            made[:, at] = draw.integers(0, 2, _PROBES)
        else:
            half = (high - low) / 2 or max(abs(low), 1.0) / 2
            spread = draw.uniform(low - half, high + half, _PROBES)
            made[:, at] = spread if field.datatype.startswith("FP") else np.round(spread)
    whole = made[:1].copy()
    made[draw.random(made.shape) < 0.02] = np.nan
    return np.concatenate([given, *_each(source, whole, _NEXT_TO_NOUGHT), made])


def _odd(source: Source, rows: Rows) -> Iterator[tuple[Oddity, Rows]]:
    base = np.nan_to_num(rows[-1:])
    for kind in ODDITIES:
        yield kind, np.concatenate(list(_each(source, base, kind.values)))


def _each(source: Source, base: Rows, values: tuple[float, ...]) -> Iterator[Rows]:
    """A usual row with each value in one column, then in all: of numbers, and of missing ones in categories too."""
    for value in values:
        columns = [at for at, field in enumerate(source.stored.signature.inputs) if _takes(field, value)]
        for some in (*([at] for at in columns[:: max(1, len(columns) // _COLUMNS)]), columns):
            row = base.copy()
            row[0, some] = value
            yield row


def _takes(field: Field, value: float) -> bool:
    """Whether an input may hold a value: a whole one, and any that is missing."""
    if math.isnan(value):
        return True
    return not field.categories and (field.datatype.startswith("FP") or (field.datatype != "BOOL" and abs(value) >= 1))
