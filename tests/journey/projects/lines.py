"""A model of two columns, and services of every kind of field, for clients of all protocols."""

import uuid
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec
import numpy as np
from sklearn.linear_model import LinearRegression

from bedplate import Model, Project

lines = Project("lines")


class Leg(msgspec.Struct):
    """A part of a journey."""

    start: str
    km: float
    stops: list[int] = []


@lines.train
def line() -> Model:
    """Twice the one and three times the other."""
    x = np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 5.0], [4.0, 4.0]])
    return Model(LinearRegression().fit(x, x @ np.array([2.0, 3.0])), example=[{"x": 1.0, "z": 2.0}])


@lines.service
def straight(line: Model, x: float, z: float = 0.0) -> float:
    """What the model says."""
    return float(line.predict({"x": x, "z": z})) if abs(x) + abs(z) < 1e300 else 0.0


@lines.service
def typed(
    name: str, age: int, share: float, is_new: bool, grade: Literal["a", "b"], when: datetime, day: date, tags: list[str],
    more: dict[str, int], note: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Says what it was asked."""
    return {"name": name, "age": age, "share": share, "is_new": is_new, "grade": grade, "tags": tags, "more": more, "note": note}


@lines.service
def journey(leg: Leg, legs: list[Leg], maybe: Leg | None, pair: tuple[int, str], level: Literal[1, 2], extra: Any = None) -> list[Leg]:
    """The legs, one after the other."""
    return [leg, *legs]


@lines.service
def exact(price: Decimal, key: uuid.UUID, raw: bytes, at: time, upto: timedelta, stamps: list[datetime]) -> str:
    """As text."""
    return f"{price} {key} {len(raw)} {at} {upto} {len(stamps)}"


@lines.service
def steps(upto: int, word: str = "step") -> Iterator[str]:
    """One after the other, at most ten."""
    for number in range(min(upto, 10)):
        yield f"{word} {number}"
