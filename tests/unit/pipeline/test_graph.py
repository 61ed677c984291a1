"""The order of the graph, and walking it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.core.errors import NotFound
from bedplate.core.project import Project
from bedplate.pipeline.code.load import Loaded
from bedplate.pipeline.wiring.graph import build
from bedplate.pipeline.wiring.near import Near, distance

Write = Callable[..., Loaded]
DIAMOND = """
@p.step
def last(left: int, right: int) -> int: ...

@p.step
def right(first: int) -> int: ...

@p.step
def left(first: int) -> int: ...

@p.step
def first() -> int: ...

@p.step
def alone() -> int: ...
"""


def test_the_order_is_topological_and_ties_go_by_declaration(project: Write) -> None:
    graph = build(project(DIAMOND).project)
    assert list(graph.nodes) == ["first", "right", "left", "last", "alone"]
    assert graph.levels == (("first", "alone"), ("right", "left"), ("last",))


def test_upstream_and_downstream_are_transitive_and_in_order(project: Write) -> None:
    graph = build(project(DIAMOND).project)
    assert graph.upstream("last") == ["first", "right", "left"]
    assert graph.downstream("first") == ["right", "left", "last"]
    assert graph.upstream("alone") == graph.downstream("alone") == []
    assert graph.parents["last"] == ("left", "right")


def test_an_unknown_name_gets_the_nearest(project: Write) -> None:
    with pytest.raises(NotFound) as caught:
        build(project(DIAMOND).project).node("rihgt")
    assert "'right'" in caught.value.next


def test_learning_from_predictions_is_no_circle(project: Write) -> None:
    """A step reads what a service predicted, and the service's model is trained on it: the past closes no circle."""
    text = """
    @p.step
    def seen(answer: pl.DataFrame) -> pl.DataFrame: ...

    @p.train
    def model(seen: pl.DataFrame, before: Model = use("model@production")) -> Model: ...

    @p.service
    def answer(model: Model, x: float) -> float: ...
    """
    assert list(build(project(text).project).nodes) == ["seen", "model", "answer"]


def test_an_empty_project_has_an_empty_graph() -> None:
    graph = build(Project("empty"))
    assert graph.nodes == {}
    assert graph.levels == ()


NAMES = st.text("abc_", min_size=1, max_size=7)


@settings(max_examples=200, deadline=None)
@given(NAMES, st.lists(NAMES, max_size=8))
def test_the_nearest_name_is_found_whatever_is_left_out(name: str, names: list[str]) -> None:
    """The quick search by length and letters answers as comparing with every name does."""
    close = [(distance(name, other), other) for other in names]
    close = [(far, other) for far, other in close if far < 3 and 2 * far < max(len(name), len(other))]
    assert Near(names)(name) == (min(close)[1] if close else "")


@pytest.mark.parametrize(
    ("one", "other", "far"), [("late", "late", 0), ("late", "lat", 1), ("late", "alte", 1), ("late", "plane", 2), ("late", "carrier", 3)]
)
def test_distance_counts_edits_and_swaps(one: str, other: str, far: int) -> None:
    assert distance(one, other) == far
