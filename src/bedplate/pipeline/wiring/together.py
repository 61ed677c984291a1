"""Parameters of a service that take many rows at once: arrays, or a frame of requests. What is wrong with them is said here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bedplate.core.calling import streamed
from bedplate.core.project import Declaration
from bedplate.core.together import Unfit, answer_of, fields_of, form_of

from .nodes import Wire
from .report import Report
from .settings import asked
from .signatures import MISSING, Parameter


def asked_together(parameter: Parameter, declaration: Declaration, report: Report) -> Wire:
    """The wire of an array or frame of requests; its default is a row's, and what is wrong with that goes to `report`."""
    try:
        [(_, of_row, _), *_] = fields_of([(parameter.name, parameter.hint, msgspec.UNSET)])
    except Unfit:  # said by `check_together`
        of_row = Any
    wire = asked(msgspec.structs.replace(parameter, hint=of_row), False, declaration, report)
    return msgspec.structs.replace(wire, hint=parameter.hint)


def check_together(wires: Sequence[Wire], result: Any, declaration: Declaration, report: Report) -> None:
    """Whether a service that is asked for many rows at once can be, and answers them all."""
    given = [wire for wire in wires if wire.role == "request"]
    if not any(form_of(wire.hint) for wire in given):
        return
    name = declaration.name
    try:
        fields_of((wire.name, wire.hint, wire.default) for wire in given)
    except Unfit as unfit:
        report.error(f"{name}: {unfit}", unfit.next)
    if streamed(result)[1]:
        report.error(f"{name} is asked for many rows at once, and a stream is of one", "take numbers and text, or return an array")
        return
    try:
        of_row = answer_of(Any if result is MISSING else result)
    except Unfit as unfit:
        report.error(f"{name}: {unfit}", unfit.next)
        return
    if of_row is Any and form_of(result) != "array":  # NDArray[np.object_] says that it may be anything
        why = "its answers are kept as text, and /docs shows no type"
        report.warning(f"{name} does not say what a row is answered: {why}", f"with the type of a row's answer: {_told(result)}")


def _told(result: Any) -> str:
    """How an annotation that says nothing of a row's answer would say that it is a number."""
    if result is list:
        return "-> list[float]"
    if getattr(result, "__name__", "") == "Series":
        return f"-> Annotated[{'pd' if result.__module__.startswith('pandas') else 'pl'}.Series, float]"
    return "-> NDArray[np.float64], or list[X]"
