"""A generator as a function that returns the list of its values: how a service that streams is asked by who does not."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from bedplate.core.errors import StepError

MOST: Final = 100_000
"""Values that are gathered in one list."""


def gathered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A generator function as one that returns the list of its values; it raises StepError beyond `MOST` of them."""

    @functools.wraps(function)
    def gather(*positional: Any, **named: Any) -> list[Any]:
        made = function(*positional, **named)
        if not hasattr(made, "__aiter__"):
            return _listed(made)
        if not _in_a_loop():
            return asyncio.run(_awaited(made))
        found: list[list[Any]] = []
        raised: list[BaseException] = []
        thread = threading.Thread(target=_apart, args=(made, found, raised))  # a loop runs in this thread
        thread.start()
        thread.join()
        if raised:
            raise raised[0]
        return found[0]

    return gather


def _listed(made: Iterator[Any]) -> list[Any]:
    values: list[Any] = []
    for value in made:
        _check(len(values))
        values.append(value)
    return values


async def _awaited(made: AsyncIterator[Any]) -> list[Any]:
    values: list[Any] = []
    async for value in made:
        _check(len(values))
        values.append(value)
    return values


def _apart(made: AsyncIterator[Any], found: list[list[Any]], raised: list[BaseException]) -> None:
    try:
        found.append(asyncio.run(_awaited(made)))
    except BaseException as error:  # raised again where the function was called
        raised.append(error)


def _check(count: int) -> None:
    if count >= MOST:
        raise StepError(f"the service gives more than {MOST:,} values: ask for text/event-stream")


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
