"""A generator as a function of the list of its values, of either kind and wherever it is called; and what a service says of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from bedplate.core.errors import ProjectError, StepError
from bedplate.stages.deploy import listed
from bedplate.stages.deploy.service import Asked, reader, service

ASKED = [Asked(name="upto", annotation=int)]


def counted(upto: int) -> Iterator[int]:
    """Counts."""
    yield from range(upto)


async def awaited(upto: int) -> AsyncIterator[int]:
    """Counts, awaiting."""
    for at in range(upto):
        await asyncio.sleep(0)
        if at == 7:
            raise ValueError("seven")
        yield at


def test_values_are_gathered_from_either_kind_also_within_a_loop() -> None:
    for function in (counted, awaited):
        gather = listed.gathered(function)
        assert gather(upto=3) == [0, 1, 2]
        assert asyncio.run(asyncio.wait_for(_call(gather, 3), 10)) == [0, 1, 2]
    with pytest.raises(ValueError, match="seven"):
        listed.gathered(awaited)(upto=9)
    with pytest.raises(ValueError, match="seven"):
        asyncio.run(_call(listed.gathered(awaited), 9))


async def _call(gather: Any, upto: int) -> Any:
    return gather(upto=upto)


def test_a_list_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that grows without it is refused, and its generator closed."""
    monkeypatch.setattr(listed, "MOST", 5)
    assert listed.gathered(counted)(upto=5) == [0, 1, 2, 3, 4]
    for function in (counted, awaited):
        with pytest.raises(StepError, match="text/event-stream"):
            listed.gathered(function)(upto=6)


def test_a_service_that_streams_says_so_and_its_list_is_held_to_its_annotation() -> None:
    made = service("counted", counted, [], ASKED, Iterator[int])
    assert made.stream is counted
    assert made.source is counted
    assert reader(made.returns)(made.function(upto=2)) == [0, 1]
    with pytest.raises(StepError, match="says float"):
        reader(Iterator[float])(["one"])
    with pytest.raises(ProjectError, match="is a generator"):
        service("counted", counted, [], ASKED, int)
    assert service("plain", len, [], [], int).stream is None
