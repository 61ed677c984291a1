"""What a function makes: its return annotation read as outputs, with the rules of its decorator."""

from __future__ import annotations

import inspect
from typing import Any

from bedplate.core.calling import streamed
from bedplate.core.kinds import kind_of
from bedplate.core.project import Declaration

from .nodes import Output
from .report import Report
from .signatures import MISSING, Signed, fields_of, show

STORABLE = "a frame, Files or Path, Model, Check, a JSON type, Pickle[T], or a NamedTuple of these"


def outputs_of(declaration: Declaration, sign: Signed, report: Report) -> tuple[Output, ...]:
    """The artifacts that a function makes; mistakes go to `report`."""
    name = declaration.name
    if declaration.decorator == "service" and _yields(declaration):
        if "return" not in sign.unresolved and not streamed(sign.result)[1]:
            report.error(f"{name} yields, and its annotation does not say what", "annotate it: `-> Iterator[float]`, or AsyncIterator")
    else:
        _called_plainly(declaration, report)
    if declaration.decorator == "service":
        return (Output(artifact=name, kind="service", hint=sign.result),)
    if "return" in sign.unresolved:
        report.error(
            f"the return annotation '{sign.result_text}' of {name} does not resolve: {sign.unresolved['return']}",
            "import the name at the top of the file (not under `if TYPE_CHECKING`)",
        )
        return ()
    if sign.result is MISSING:
        report.error(f"{name} does not say what it returns", f"annotate it: `def {name}(...) -> ...:` with {STORABLE}")
        return ()
    outputs = _outputs(name, sign.result, sign.result_text, report)
    if outputs:
        _by_decorator(declaration, outputs, report)
    return outputs


def _yields(declaration: Declaration) -> bool:
    """Whether a function gives its values one by one."""
    function = inspect.unwrap(declaration.function)
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _called_plainly(declaration: Declaration, report: Report) -> None:
    function = inspect.unwrap(declaration.function)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        report.error(f"{declaration.name} is `async def`, but a step is called plainly", "make it `def`, with asyncio.run(...) inside")
    elif inspect.isgeneratorfunction(function):
        report.error(f"{declaration.name} yields, but what it returns is stored whole", "return a frame, a list or Files")


def _outputs(name: str, result: Any, text: str, report: Report) -> tuple[Output, ...]:
    try:
        fields = fields_of(result)
    except Exception as error:  # the user's annotations may raise anything
        report.error(f"a field of {text}, which {name} returns, has an annotation that does not resolve: {error}")
        return ()
    if fields is None:
        output = _output(name, None, result, text, f"{name} returns {text}", report)
        return (output,) if output else ()
    if not fields:
        report.error(f"{name} returns {text}, a NamedTuple without fields", "give it a field per artifact")
    found = []
    for field, hint in fields.items():
        if hint is MISSING:
            report.error(f"field '{field}' of {text}, which {name} returns, has no annotation", f"annotate it with {STORABLE}")
            continue
        found.append(_output(field, field, hint, show(hint, hint), f"field '{field}' of {text} is {show(hint, hint)}", report))
    return tuple(output for output in found if output is not None)


def _output(artifact: str, field: str | None, hint: Any, text: str, what: str, report: Report) -> Output | None:
    kind = kind_of(hint)
    if kind is None:
        suggestion = "return the frame with the values" if text.endswith("Features") else f"return {STORABLE}"
        report.error(f"{what}, which cannot be stored", suggestion)
        return None
    return Output(artifact=artifact, kind=kind, field=field, hint=hint)


def _by_decorator(declaration: Declaration, outputs: tuple[Output, ...], report: Report) -> None:
    name, decorator = declaration.name, declaration.decorator
    kinds = [output.kind for output in outputs]
    if declaration.expects is not None and kinds != ["table"]:
        report.error(f"{name} expects something of a table but does not return one", f"`def {name}(...) -> pl.LazyFrame:`")
    elif declaration.expects is not None and not callable(getattr(declaration.expects, "validate", None)):
        report.error(f"{name} expects {declaration.expects!r}, which cannot validate a table", "give a pandera DataFrameModel or schema")
    if decorator == "features":
        if kinds != ["table"] or outputs[0].field is not None:
            report.error(f"{name} makes features but does not return one table", f"`def {name}(...) -> pl.LazyFrame:`")
        _feature_spec(declaration, report)
    elif decorator == "check" and (kinds != ["check"] or outputs[0].field is not None):
        report.error(f"{name} is a check but does not return a Check", f"`def {name}(...) -> Check:` and return Check.at_least(...)")
    elif decorator == "train" and "model" not in kinds:
        report.error(f"{name} trains but does not return a Model", f"`def {name}(...) -> Model:` and return Model(native, example=rows)")


def _feature_spec(declaration: Declaration, report: Report) -> None:
    spec = declaration.features
    if spec is None or not spec.entity or not all(spec.entity):
        report.error(f"{declaration.name} is a feature view without an entity", 'say whose values they are: entity="carrier"')
    if spec is None or not spec.time:
        report.error(f"{declaration.name} is a feature view without time", 'say when a row holds: time="time_hour"')
    if spec is not None and bool(spec.window_s) != bool(spec.gives):
        missing = 'gives={"landings": "count()"}' if spec.window_s else 'window="3 hours"'
        report.error(f"{declaration.name}: window= and gives= belong together", f"write {missing} too")
    if spec is not None and spec.event and not spec.window_s:
        report.error(f"{declaration.name}: event= tells events in a window apart, and there is no window=", "leave event= out")
    if spec is not None and spec.window_s and spec.ttl_s:
        report.error(f"{declaration.name}: ttl= has no meaning beside window=", "leave ttl= out: the window says how old an event may be")
    if spec is not None and (clash := {one.name for one in spec.gives} & {*spec.entity, spec.time}):
        report.error(f"{declaration.name}: gives= has '{min(clash)}', which is a key of the view", "give it another name")
