"""Why a version is not as another was, through what it was made of, down to where it began."""

from __future__ import annotations

from typing import Any

from bedplate.pipeline.compare import causes

CHAIN = """
def base() -> int:
    return 1


@p.prepare
def first() -> int:
    return base()


@p.prepare
def second(first: int) -> int:
    return first + 1


@p.prepare
def third(second: int, first: int) -> int:
    return second + first
"""


def test_a_difference_is_followed_to_where_it_began(house: Any) -> None:
    """Each version that differs is told once, the asked one first; one and the same version differs from itself in nothing."""
    assert house.run(CHAIN).ok
    assert house.run(CHAIN.replace("return 1", "return 5")).ok
    catalog = house.open().catalog
    found = causes(catalog, "third@1", "third@2")
    assert [(one.before, one.after) for one in found] == [("third@1", "third@2"), ("first@1", "first@2"), ("second@1", "second@2")]
    assert "input second: second@1 -> second@2" in found[0].texts
    assert any("base changed" in text for text in found[1].texts)
    assert causes(catalog, "third@2", "third@2") == ()
