"""Streams: a service whose function is a generator gives its values one by one.

`Pulled` is one call of it, on a thread of its own, so that what a generator holds for its thread stays there: it is advanced when the next
value is asked for and not before, and closed when nobody wants more. An asynchronous generator has an event loop of its own in that thread,
which runs while a value is awaited; what it awaits is cancelled when it is closed.

Limit: a generator that is busy, or sleeps, is closed once it gives its next value.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from .deployment import Active, Looked


class End(msgspec.Struct, frozen=True):
    """The stream gave all its values."""


class Raised(msgspec.Struct, frozen=True):
    """What the function raised instead of a value."""

    error: BaseException


class Value(msgspec.Struct, frozen=True):
    """One value, plain, and as JSON."""

    value: Any
    text: bytes


def begun(active: Active, fields: Mapping[str, Any]) -> tuple[Any, dict[str, Looked]]:
    """The values of one call, not yet begun, and by parameter the views that will know what was looked up."""
    function = active.service.stream
    assert function is not None, "asked of a service that streams"
    seen = {name: Looked(active.arguments[name], columns, active.versions.get(name, "")) for name, columns in active.features.items()}
    return function(**{**active.arguments, **seen, **fields}), seen


class Pulled:
    """The values of one call, pulled one by one from the thread that makes them. Used from one event loop."""

    def __init__(self, start: Callable[[], Any], read: Callable[[Any], Any]) -> None:
        self._start = start
        self._read = read
        self._loop = asyncio.get_running_loop()
        self._wanted: queue.SimpleQueue[asyncio.Future[Value | End | Raised] | None] = queue.SimpleQueue()
        self._cancel: Callable[[], None] = _nothing
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="bedplate-stream", daemon=True)
        self._thread.start()

    def next(self) -> asyncio.Future[Value | End | Raised]:
        """The next value, or what there is instead; one at a time."""
        future: asyncio.Future[Value | End | Raised] = self._loop.create_future()
        self._wanted.put(future)
        return future

    def close(self) -> None:
        """No more values are wanted: the generator is closed, at once where it awaits something; returns at once."""
        self._closed = True
        self._wanted.put(None)
        self._cancel()

    @property
    def is_over(self) -> bool:
        """Whether the generator is closed."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        future = self._wanted.get()
        if future is None:
            return
        try:
            made = self._start()
        except BaseException as error:  # user code may end in SystemExit or KeyboardInterrupt; signals go to the main thread
            self._tell(future, Raised(error))
            return
        if hasattr(made, "__aiter__"):
            self._run_async(made, future)
        else:
            self._pull(iter(made).__next__, future)
            with suppress(BaseException):  # whatever the generator says to its end, nobody is there to hear it
                getattr(made, "close", _nothing)()

    def _run_async(self, made: AsyncIterator[Any], future: asyncio.Future[Value | End | Raised]) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            tasks: list[asyncio.Task[Any]] = []

            async def following() -> Any:
                tasks[:] = [task] if (task := asyncio.current_task()) is not None else []
                if self._closed:
                    raise asyncio.CancelledError
                return await anext(made)

            def cancel() -> None:
                with suppress(RuntimeError):  # the loop has ended meanwhile
                    loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

            self._cancel = cancel
            self._pull(lambda: runner.run(following()), future)
            self._cancel = _nothing
            with suppress(BaseException):  # as above
                runner.run(_closing(made))

    def _pull(self, pull: Callable[[], Any], future: asyncio.Future[Value | End | Raised] | None) -> None:
        """Give a value for each future, until none is wanted or there are no more."""
        while future is not None and not self._closed:
            try:
                value = self._read(pull())
                told: Value | End | Raised = Value(value, msgspec.json.encode(value))
            except (StopIteration, StopAsyncIteration):
                told = End()
            except BaseException as error:  # as above
                told = Raised(error)
            self._tell(future, told)
            if not isinstance(told, Value):
                return
            future = self._wanted.get()

    def _tell(self, future: asyncio.Future[Value | End | Raised], told: Value | End | Raised) -> None:
        def tell() -> None:
            if not future.done():
                future.set_result(told)

        with suppress(RuntimeError):  # the server's loop has ended
            self._loop.call_soon_threadsafe(tell)


async def _closing(made: Any) -> None:
    close = getattr(made, "aclose", None)
    if close is not None:
        await close()


def _nothing() -> None:
    """Nothing is to be done."""
