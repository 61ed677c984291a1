"""Services of arrays and frames as they are wired: what is right, and each mistake with its line and what to write instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bedplate.core.errors import ProjectError
from bedplate.pipeline.code.load import Loaded
from bedplate.pipeline.wiring.graph import build
from bedplate.pipeline.wiring.lint import lint
from bedplate.stages.deploy.declared import services

Write = Callable[..., Loaded]
BASE = """
from typing import Annotated, Iterator, TypedDict

import numpy as np
from numpy.typing import NDArray

@p.ingest
def departures(source: Files = Files("data/*.parquet")) -> pl.LazyFrame: ...

@p.train
def late(departures: pl.LazyFrame) -> Model: ...

class Row(TypedDict):
    distance: float
    carrier: str | None
"""
RIGHT = [
    ("arrays", "def s(late: Model, distance: np.ndarray, stops: NDArray[np.int64] = 0) -> np.ndarray: ...", ("distance", "stops")),
    ("a missing number", "def s(late: Model, distance: Annotated[np.ndarray, float | None] = None) -> list[float]: ...", ("distance",)),
    ("a frame", "def s(late: Model, rows: Annotated[pl.DataFrame, Row]) -> pl.DataFrame: ...", ("distance", "carrier")),
    ("a frame nearly like a table", "def s(departure: Annotated[pl.DataFrame, Row]) -> pl.Series: ...", ("distance", "carrier")),
    ("nothing said of the answer", "def s(distance: np.ndarray): ...", ("distance",)),
]
WRONG = [
    (
        "mixed",
        "def s(x: np.ndarray, y: float) -> np.ndarray: ...",
        "'x' is asked for many rows at once, and 'y' for one",
        "all of them arrays",
    ),
    ("frame and array", "def s(r: Annotated[pl.DataFrame, Row], x: np.ndarray) -> np.ndarray: ...", "more than it", "columns of the frame"),
    ("frame of what", "def s(asked: pl.DataFrame) -> np.ndarray: ...", "nothing says what a row holds", "class Row(TypedDict)"),
    ("misspelt table", "def s(departure: pl.DataFrame) -> np.ndarray: ...", "nothing is called 'departure'", "'departures'"),
    ("narrow numbers", "def s(x: NDArray[np.float32]) -> np.ndarray: ...", "an array of what no request has", "float64, int64"),
    ("no array", "def s(x: np.ndarray | None) -> np.ndarray: ...", "'x' may be None", "Annotated[numpy.ndarray, float | None]"),
    ("one answer", "def s(x: np.ndarray) -> float: ...", "answers them all", "-> numpy.ndarray"),
    ("a stream", "def s(x: np.ndarray) -> Iterator[float]:\n    yield 1.0", "a stream is of one", "return an array"),
    ("tuned", "def s(x: np.ndarray = tune(1.0, 9.0, default=3.0)) -> np.ndarray: ...", "cannot be tuned", "plain default"),
]


@pytest.mark.parametrize(("text", "fields"), [row[1:] for row in RIGHT], ids=[row[0] for row in RIGHT])
def test_a_service_of_many_rows_asks_for_a_row(project: Write, text: str, fields: tuple[str, ...]) -> None:
    loaded = project(f"{BASE}\n@p.service\n{text}\n")
    assert [one for one in lint(loaded.project) if one.severity == "error"] == []
    (service,) = services(build(loaded.project))
    assert service.fields == fields
    assert service.many is service.source


@pytest.mark.parametrize(("text", "message", "suggestion"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_cannot_be_is_one_error_with_a_suggestion(project: Write, text: str, message: str, suggestion: str) -> None:
    loaded = project(f"{BASE}\n@p.service\n{text}\n")
    (mistake,) = [one for one in lint(loaded.project) if one.severity == "error"]
    assert message in mistake.message
    assert suggestion in mistake.suggestion
    with pytest.raises(ProjectError):
        build(loaded.project)


@pytest.mark.parametrize(
    ("answer", "write"),
    [
        ("", "-> NDArray[np.float64]"),
        (" -> pl.Series", "-> Annotated[pl.Series, float]"),
        (" -> list", "-> list[float]"),
        (" -> Annotated[pl.Series, float]", ""),
        (" -> NDArray[np.float64]", ""),
        (" -> NDArray[np.object_]", ""),
        (" -> np.ndarray", ""),
        (" -> list[str]", ""),
        (" -> dict[str, np.ndarray]", ""),
        (" -> Annotated[pl.DataFrame, Row]", ""),
    ],
)
def test_an_answer_without_a_type_is_a_warning_with_what_to_write(project: Write, answer: str, write: str) -> None:
    """Its numbers would be kept as text: who wrote it hears of that before the first of them."""
    loaded = project(f"{BASE}\n@p.service\ndef s(late: Model, distance: np.ndarray){answer}: ...\n")
    said = [one for one in lint(loaded.project) if "what a row is answered" in one.message]
    assert len(said) == bool(write)
    assert all(write in one.suggestion and one.severity == "warning" for one in said)


def test_only_a_service_takes_many_rows(project: Write) -> None:
    """A step's settings come from the command line, which says no arrays."""
    loaded = project(f"{BASE}\n@p.step\ndef s(x: np.ndarray) -> float: ...\n")
    (mistake,) = [one for one in lint(loaded.project) if one.severity == "error"]
    assert "neither an artifact nor a JSON type" in mistake.message
