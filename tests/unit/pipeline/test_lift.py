"""A function is lifted out of its project with what it reaches and no more, and what cannot be followed is refused with the reason."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bedplate.core.errors import UserError
from bedplate.pipeline.code.closure import forget
from bedplate.pipeline.code.lift import lift

MAIN = """
from collections.abc import Callable
import json as words
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import polars as pl

from bedplate import Model, Project, tune
from lifted_parts import scale as scales
from lifted_parts.scale import doubled

if TYPE_CHECKING:
    from decimal import Decimal

shop = Project("shop")
RATE: float = 1.5; STEP = 2
TABLE = {"a": RATE * STEP}


@dataclass(frozen=True)
class Home:
    area: float
    rooms: int = 3


def frames(table: pl.DataFrame) -> pl.DataFrame:
    return table


def share(home: Home, by: "Decimal | None" = None) -> float:
    found: float = math.sqrt(home.area)
    return doubled(found) * TABLE["a"]


@shop.service
def worth(model: Model, area: float, rooms: "int | None" = None, *, names: list[str] = ["a"]) -> float:
    return share(Home(area)) + len(words.dumps(names))


@shop.service
def asks_bedplate(area: float = tune(1.0, 2.0, default=1.5)) -> float:
    return area


@shop.service
def opaque(text: str) -> float:
    return eval(text)


@shop.service
def at_home(text: str) -> str:
    return __file__


class Row(TypedDict):
    city: Literal["Bern", "Chur"] | None
    area: Annotated[float, "metres"]
    by: "Literal['bus'] | None"


@shop.service
def in_town(rows: Annotated[pl.DataFrame, Row]) -> float:
    return 1.0


TWICE = 1
TWICE = 2


@shop.service
def twice(area: float) -> float:
    return area * TWICE


@shop.service
def handed(area: float) -> float:
    return str(
        scales
    )


def made() -> Callable[[float], float]:
    def inner(area: float) -> float:
        return area

    return inner


inner = made()
"""
SCALE = """
from .base import TWO

import numpy as np


def doubled(value):
    return value * TWO


def unused(value):
    return np.array(value)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The project, imported."""
    parts = tmp_path / "lifted_parts"
    parts.mkdir()
    (tmp_path / "lifted_shop.py").write_text(MAIN)
    (parts / "__init__.py").write_text("")
    (parts / "scale.py").write_text(SCALE)
    (parts / "base.py").write_text("TWO = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield importlib.import_module("lifted_shop")
    forget()
    for name in [name for name in sys.modules if name.startswith("lifted_")]:
        del sys.modules[name]


def folder(module: ModuleType) -> list[Path]:
    return [Path(module.__file__ or "").parent]


def test_what_is_lifted_answers_alike_with_no_more_than_it_reaches(shop: ModuleType, tmp_path: Path) -> None:
    """In a Python of its own that has nothing else: no frame library, nothing of bedplate, no helper that is not called."""
    lifted = lift(shop.worth, ["area", "rooms", "names"], folder(shop))
    assert set(lifted.files) == {"lifted_shop.py", "lifted_parts/scale.py", "lifted_parts/base.py"}
    assert lifted.imports == ()
    assert "unused" not in lifted.files["lifted_parts/scale.py"]
    place = tmp_path / "apart"
    for name, text in lifted.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    asked = "import lifted_shop as one; print(one.worth(None, 9.0, None, names=['b']), list(one.BEDPLATE_ASKED), one.BEDPLATE_RETURNS)"
    done = subprocess.run([sys.executable, "-S", "-c", asked], cwd=place, capture_output=True, text=True, check=False)
    assert done.stdout == f"{shop.worth(None, 9.0, None, names=['b'])} ['area', 'rooms', 'names'] <class 'float'>\n", done.stderr


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("asks_bedplate", "calls bedplate"),
        ("opaque", "cannot be followed: `eval` may do anything (lifted_shop.py, line {eval(})"),
        ("twice", "cannot be followed: 'TWICE' is bound more than once, or by `global` (lifted_shop.py, line {area * TWICE})"),
        ("handed", "the module behind 'scales' is handed around as a value (lifted_shop.py, line {        scales})"),
        ("at_home", "where its file lies"),
        ("inner", "made by another function"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_reason(shop: ModuleType, name: str, why: str) -> None:
    with pytest.raises(UserError) as raised:
        lift(getattr(shop, name), ["area", "text"], folder(shop))
    said, brace, at = why.partition("{")
    line = next((str(number) for number, text in enumerate(MAIN.splitlines(), 1) if brace and at.removesuffix("})") in text), "")
    assert (said + line + ")" if brace else said) in raised.value.why


def test_words_of_a_rows_type_are_no_names(shop: ModuleType) -> None:
    """What `Literal` and `Annotated` say beside a type names nothing: the row goes along, and no more."""
    lifted = lift(shop.in_town, ["rows"], folder(shop))
    assert set(lifted.files) == {"lifted_shop.py"}
    assert "Literal['Bern', 'Chur']" in lifted.files["lifted_shop.py"]
