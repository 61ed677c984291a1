"""The order of a run: what becomes ready when, and what a failure holds up."""

from __future__ import annotations

from bedplate.pipeline.flow import Flow

DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ()}


def test_what_needs_nothing_is_ready_at_once_and_is_given_out_once() -> None:
    flow = Flow(DIAMOND)
    assert flow.ready() == ["a", "e"]
    assert flow.ready() == []


def test_a_step_is_ready_when_the_last_that_it_needs_is_through() -> None:
    flow = Flow(DIAMOND)
    flow.ready()
    flow.through("a")
    assert flow.ready() == ["b", "c"]
    flow.through("b")
    assert flow.ready() == []
    flow.through("c")
    assert flow.ready() == ["d"]


def test_what_is_not_selected_is_not_waited_for() -> None:
    """`bedplate step d`: its inputs are those that are there."""
    assert Flow({"d": ("b", "c")}).ready() == ["d"]


def test_a_failure_ends_what_needs_it_near_ones_first_and_nothing_else() -> None:
    flow = Flow({**DIAMOND, "f": ("d",)})
    flow.ready()
    flow.through("a")
    flow.ready()
    assert flow.fail("b") == ["d", "f"]
    flow.through("c")
    flow.through("e")
    assert flow.ready() == []
    assert flow.over


def test_a_second_failure_ends_only_what_the_first_did_not() -> None:
    flow = Flow(DIAMOND)
    flow.ready()
    flow.through("a")
    assert flow.fail("b") == ["d"]
    assert flow.fail("c") == []


def test_a_step_with_parts_is_through_when_the_last_part_is() -> None:
    flow = Flow({"a": ()})
    flow.expand("a", ["x", "y"])
    assert not flow.finish("a", "x")
    assert flow.finish("a", "y")
    assert not flow.over
    flow.through("a")
    assert flow.over
