"""What is wrong with when steps are to be made: schedules that cannot be read, label delays and drift that nothing can bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from bedplate.core.errors import UserError
from bedplate.core.project import Declaration
from bedplate.pipeline.times import check

from .nodes import Mistake, Node, Wire
from .syntax import line_of


def clock_mistakes(nodes: Mapping[str, Node]) -> Iterator[Mistake]:
    """Every mistake about the clock, in no order."""
    served = {wire.base for node in nodes.values() if node.declaration.decorator == "service" for wire in _models(node)}
    for node in nodes.values():
        declared = node.declaration
        if declared.every is not None:
            try:
                check(declared.every)
            except UserError as error:
                yield _mistake(declared, f"{node.name}: {error.what} ({error.why})", error.next)
        if declared.label_delay_s is not None and declared.decorator == "check" and not any(not wire.is_use for wire in _models(node)):
            yield _mistake(
                declared,
                f"{node.name} has a label_delay= and receives no model",
                "it waits for the labels of a model's answers: give it one",
            )
        if declared.label_delay_s is not None and declared.decorator == "watch" and declared.every is None:
            said = f"{node.name}: label_delay= makes nothing due: a watch without every= is only run by a person"
            yield _mistake(declared, said, 'give it every="1 day" too', severity="warning")
        if declared.on_drift and not _drifts(node, served):
            about = "its model" if declared.decorator == "train" else "a model that it receives"
            said = f"{node.name}: on_drift= will not make anything due: no service uses {about}"
            yield _mistake(declared, said, "drift is found in what a service was asked", severity="warning")


def _drifts(node: Node, served: Iterable[str]) -> bool:
    made = {output.artifact for output in node.outputs} if node.declaration.decorator == "train" else {wire.base for wire in _models(node)}
    return bool(made & set(served))


def _models(node: Node) -> list[Wire]:
    return [wire for wire in node.by_role("artifact") if wire.kind == "model"]


def _mistake(declared: Declaration, message: str, suggestion: str, severity: Literal["error", "warning"] = "error") -> Mistake:
    line = line_of(declared.file, declared.name, declared.line)
    return Mistake(severity=severity, file=declared.file, line=line, message=message, suggestion=suggestion)
