"""Parameters that are asked of the caller: settings of a run, and the request of a service."""

from __future__ import annotations

from typing import Any

import msgspec

from bedplate.core.parameters import Tune
from bedplate.core.project import Declaration

from .nodes import NO_DEFAULT, Role, Wire
from .report import Report
from .signatures import MISSING, Parameter


def asked(parameter: Parameter, optional: bool, declaration: Declaration, report: Report) -> Wire:
    """The wire of a setting or request field; what is wrong with its default goes to `report`."""
    role: Role = "request" if declaration.decorator == "service" else "setting"
    tune = parameter.default if isinstance(parameter.default, Tune) else None
    default = NO_DEFAULT if parameter.default is MISSING else tune.default if tune is not None else parameter.default
    if tune is not None and role == "request":
        report.error(
            f"'{parameter.name}' is asked of the client, so it cannot be tuned", "give it a plain default", parameter=parameter.name
        )
    if role == "setting" and default is NO_DEFAULT:
        report.warning(
            f"the setting '{parameter.name}' has no default, so a plain `bedplate run` cannot make {declaration.name}",
            f"give it one, or always `--set {declaration.name}.{parameter.name}=...`",
            parameter=parameter.name,
        )
    if default is not NO_DEFAULT:
        _fits(parameter, default, report)
    return Wire(
        name=parameter.name, role=role, annotation=parameter.text, hint=parameter.hint, optional=optional, default=default, tune=tune
    )


def _fits(parameter: Parameter, default: Any, report: Report) -> None:
    name = parameter.name
    try:
        plain = msgspec.to_builtins(default)
    except (TypeError, ValueError):
        report.error(
            f"the default of '{name}' ({type(default).__name__}) is no JSON value, so no record can keep it",
            "use a number, text, list, dict or dataclass",
            parameter=name,
        )
        return
    try:
        msgspec.convert(plain, parameter.hint, strict=False)
    except (msgspec.ValidationError, TypeError):
        suggestion = f"`{name}: {parameter.text} | None`" if default is None else "change the default or the annotation"
        report.warning(f"the default of '{name}', {default!r}, is no {parameter.text}", suggestion, parameter=name)
