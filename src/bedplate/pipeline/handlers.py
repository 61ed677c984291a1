"""What a stage gives the pipeline: one call shape, so that stages nest and swap.

A handler runs in the worker (`call`) and, for what follows from a result, in the controller just before the commit (`conclude`).
Assembly hands the pipeline a table of decorator -> handler; the pipeline never imports a stage.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from bedplate.core.context import Context
from bedplate.core.errors import UserError
from bedplate.core.kinds import is_scalar, kind_of
from bedplate.core.records import Draft, Input, Record, Task, Verdict
from bedplate.core.sources import Entry, Source

from .plain import plain

if TYPE_CHECKING:
    from bedplate.storage.store import Store

    from .wiring.nodes import Node, Output

ListSource = Callable[[Source, Path, tuple[Entry, ...]], tuple[Entry, ...]]
"""Lists what a source holds now, given the project's folder and what is known of it; raises UserError where there is nothing."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a project's function in a worker: what was asked, and its arguments ready to hand over."""

    task: Task
    node: Node
    arguments: dict[str, Any]
    context: Context
    store: Store
    folder: Path
    append: list[str] = msgspec.field(default_factory=list)
    """Artifacts whose value continues the head instead of replacing it; a handler may add names."""


class Conclusion(Record, frozen=True, kw_only=True):
    """What follows from a result and is committed with it."""

    verdict: Verdict | None = None


class Handler(Protocol):
    """A stage's way to run one kind of declaration."""

    def call(self, work: Work) -> dict[str, Any]:
        """Call the function; returns artifact name -> value. Raises UserError for a wrong result."""
        ...

    def at_fault(self, work: Work, error: Exception) -> UserError | None:
        """What the function was given that is why it, or the saving of what it returned, raised `error`; None where nothing is."""
        ...

    def conclude(self, node: Node, drafts: Sequence[Draft], inputs: Mapping[str, Input], attempt: str, at: datetime) -> Conclusion:
        """What follows from the drafts: a check's verdict. Pure."""
        ...


def results(node: Node, value: Any) -> dict[str, Any]:
    """The artifacts in a function's return value: itself, or the fields of its NamedTuple.

    Raises UserError naming the step, the kind that it declares and the type that came.
    """
    named = len(node.outputs) > 1 or node.outputs[0].field is not None
    values = {out.artifact: getattr(value, out.field or "", None) if named else value for out in node.outputs}
    for out in node.outputs:
        if out.kind == "scalar":
            values[out.artifact] = plain(values[out.artifact], out.artifact)
            _check_bytes(node, out, values[out.artifact])
        if not fits(out, values[out.artifact]):
            declared = _declared(out)
            raise UserError(
                f"{node.name} returned {_typename(values[out.artifact])} for '{out.artifact}', which is declared {declared}",
                why=_misfit(out, values[out.artifact]) or "the return annotation says what comes out",
                next=f"return {declared}, or change the annotation ({Path(node.declaration.file).name}:{node.declaration.line})",
            )
    return values


def fits(out: Output, value: Any) -> bool:
    """Whether a value can be stored as the kind, and is of the type, that its function declares."""
    if out.kind == "pickle":
        return True
    if out.kind == "files":
        return isinstance(value, Path | list | tuple | Source)
    if out.kind == "scalar":
        return (value is None or is_scalar(type(value))) and (out.hint is None or _is_a(value, out.hint))
    return kind_of(type(value)) == out.kind


def _check_bytes(node: Node, out: Output, value: Any) -> None:
    """Raises UserError for bytes that the annotation does not tell of: JSON knows none, so they would come back as text."""
    if not (count := _bytes_in(value)):
        return
    try:
        back = msgspec.convert(msgspec.to_builtins(value), Any if out.hint is None else out.hint)
    except (msgspec.ValidationError, TypeError):
        return  # another mistake, which is told as such
    if _bytes_in(back) < count:
        raise UserError(
            f"{node.name} returned bytes inside '{out.artifact}', which would come back as text",
            why=f"it is kept as JSON, and the annotation {_declared(out)} does not say where the bytes are",
            next="name them in the annotation, as dict[str, bytes], or return a Path or Pickle[...]",
        )


def annotated(value: Any, hint: Any) -> Any:
    """A kept value as the type that its consumer's annotation says (a tuple, a time, bytes); as it is kept where it is no such thing."""
    try:
        return value if hint is None else msgspec.convert(value, hint)
    except (msgspec.ValidationError, TypeError):
        return value


def _bytes_in(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_bytes_in(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return sum(_bytes_in(item) for item in value)
    return isinstance(value, bytes | bytearray | memoryview)


def _is_a(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return isinstance(hint, type) and isinstance(value, hint)
    except TypeError:
        return True  # a type that only its own code can judge
    return True


def _misfit(out: Output, value: Any) -> str:
    """Where in a value of the right type something is of a wrong one; empty where the value itself is."""
    outer = typing.get_origin(out.hint)
    if out.kind != "scalar" or not isinstance(outer, type) or not isinstance(value, outer):
        return ""
    try:
        msgspec.convert(value, out.hint)
    except msgspec.ValidationError as error:
        return f"in it: {error}"
    return ""


def _declared(out: Output) -> str:
    """What the annotation says, as it is written."""
    if out.kind != "scalar" or not out.hint:
        return f"a {out.kind}"
    return str(out.hint) if typing.get_origin(out.hint) else getattr(out.hint, "__name__", str(out.hint))


def _typename(value: Any) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__module__.split('.')[0]}.{type(value).__name__}"


class Call:
    """The handler of every stage that only calls: checks the kinds of what comes back."""

    def call(self, work: Work) -> dict[str, Any]:
        """Call the declared function with its arguments."""
        return results(work.node, work.node.declaration.function(**work.arguments))

    def at_fault(self, work: Work, error: Exception) -> UserError | None:
        """Nothing is."""
        return None

    def conclude(self, node: Node, drafts: Sequence[Draft], inputs: Mapping[str, Input], attempt: str, at: datetime) -> Conclusion:
        """Nothing follows."""
        return Conclusion()
