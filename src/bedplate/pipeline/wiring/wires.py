"""The wiring rules: what each parameter of a declared function receives.

A parameter named like an artifact receives it; any other is asked of the caller. The rules, in this order: `Context`; a typed source;
the key of `each=`; `use(...)`; an artifact of that name; a `Secret`; else a setting (of a service: the request). Whatever does not
fit is reported with file, line and suggestion, and wiring goes on, so that one look shows every mistake.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Mapping
from typing import Any, Final

from bedplate.core.calling import optional
from bedplate.core.context import Context
from bedplate.core.features import FeatureSpec
from bedplate.core.ids import NAME
from bedplate.core.kinds import READABLE, Kind, View, is_scalar, view_of
from bedplate.core.parameters import Keys, Secret, Use
from bedplate.core.project import Declaration, Project
from bedplate.core.records import Record
from bedplate.core.sources import Source
from bedplate.core.together import form_of, is_said
from bedplate.core.workload import mistakes

from .near import Near
from .nodes import Mistake, Node, Output, Wire
from .report import Report
from .results import outputs_of
from .settings import asked
from .signatures import MISSING, Parameter, Signed, signed
from .together import asked_together, check_together

DEFAULT_VIEW: Final[dict[Kind, View]] = {
    "table": "polars.lazy", "files": "files", "model": "model", "check": "check", "scalar": "scalar", "pickle": "pickle",
    "service": "polars.lazy",
}  # fmt: skip
"""How an artifact is handed to a parameter without an annotation."""
_WATCHERS = ("watch", "check", "step")
_KEYED = ("table", "files", "scalar")


class Made(Record, frozen=True, kw_only=True):
    """An artifact of the project: what stores it, and who makes it."""

    output: Output
    declaration: Declaration

    @property
    def kind(self) -> Kind:
        """What is stored."""
        return self.output.kind

    @property
    def features(self) -> FeatureSpec | None:
        """How it is keyed, where it is a features artifact."""
        return self.declaration.features


def wire_all(project: Project) -> tuple[dict[str, Node], list[Mistake]]:
    """Every node in the order declared, and every mistake."""
    report = Report()
    signs: dict[int, Signed] = {}
    outputs: dict[int, tuple[Output, ...]] = {}
    for at, declaration in enumerate(project.declarations):
        report.about(declaration)
        _name(declaration.name, report)
        for message, suggestion in [] if declaration.workload is None else mistakes(declaration.workload, declaration.decorator):
            report.error(message, suggestion)
        signs[at] = signed(declaration)
        outputs[at] = outputs_of(declaration, signs[at], report)
    made = _made(project, outputs, report)
    near = Near(made)
    nodes: dict[str, Node] = {}
    for at, declaration in enumerate(project.declarations):
        wires = Wiring(declaration, signs[at], made, near, report.about(declaration)).wires()
        node = Node(
            name=declaration.name, declaration=declaration, wires=wires, outputs=outputs[at], stage=declaration.stage, each=declaration.each
        )
        nodes.setdefault(declaration.name, node)
    return nodes, report.mistakes


def _name(name: str, report: Report) -> None:
    if not NAME.match(name):
        report.error(f"'{name}' cannot be an artifact's name", f"small letters, digits and _ only: '{name.lower()}'")
    elif hasattr(builtins, name) or keyword.issoftkeyword(name):
        report.warning(f"'{name}' hides Python's own '{name}' in this file", "give the function another name")


def _made(project: Project, outputs: Mapping[int, tuple[Output, ...]], report: Report) -> dict[str, Made]:
    made: dict[str, Made] = {}
    names: dict[str, Declaration] = {}
    for at, declaration in enumerate(project.declarations):
        report.about(declaration)
        before = names.setdefault(declaration.name, declaration)
        if before is not declaration:
            report.error(f"two functions are called '{declaration.name}'", f"the other is at line {before.line}: rename one")
            continue
        for output in outputs[at]:
            if output.field is not None:
                _name(output.artifact, report)
            other = made.get(output.artifact)
            if other is not None:
                where = f"{other.declaration.name} (line {other.declaration.line})"
                report.error(f"{declaration.name} makes '{output.artifact}', which {where} makes too", "rename one")
                continue
            made[output.artifact] = Made(output=output, declaration=declaration)
    return made


class Wiring:
    """Wires one function."""

    def __init__(self, declaration: Declaration, sign: Signed, made: Mapping[str, Made], near: Near, report: Report) -> None:
        self.declaration = declaration
        self.sign = sign
        self.made = made
        self.near = near
        self.report = report
        each = declaration.each
        self.key = each.name if isinstance(each, Keys) else each or ""

    def wires(self) -> tuple[Wire, ...]:
        """A wire per parameter that has a place; then the rules of the whole function."""
        found = [self._wire(parameter) for parameter in self.sign.parameters]
        wires = tuple(wire for wire in found if wire is not None)
        check_together(wires, self.sign.result, self.declaration, self.report)
        self._each(wires)
        self._promotes(wires)
        return wires

    def _wire(self, parameter: Parameter) -> Wire | None:
        name = parameter.name
        if not parameter.by_name:
            self._error(parameter, f"{self.declaration.name} takes '{name}', but parameters are wired by name", "name each one")
            return None
        if name in self.sign.unresolved:
            self._error(
                parameter,
                f"the annotation '{parameter.text}' of '{name}' does not resolve: {self.sign.unresolved[name]}",
                "import the name at the top of the file (not under `if TYPE_CHECKING`)",
            )
            return None
        bare, absent = optional(parameter.hint)
        if bare is Context:
            return self._plain(parameter, role="context")
        if isinstance(parameter.default, Source):
            return self._source(parameter)
        if name == self.key:
            return self._key_wire(parameter)
        if isinstance(parameter.default, Use):
            return self._use(parameter, parameter.default, absent)
        if name in self.made:
            return self._artifact(parameter, name, self.made[name], absent)
        if bare is Secret:
            default = {} if parameter.default is MISSING else {"default": parameter.default}
            return self._plain(parameter, role="secret", optional=absent, **default)
        return self._asked(parameter, bare, absent)

    def _asked(self, parameter: Parameter, bare: Any, absent: bool) -> Wire | None:
        name = parameter.name
        if parameter.hint is MISSING:
            self._error(parameter, f"nothing is called '{name}'", self._instead(name) or f"a setting has a type: `{name}: float = ...`")
            return None
        if isinstance(bare, type) and issubclass(bare, Source):
            example = "data/*.csv" if bare.__name__ == "Files" else "name"
            self._error(
                parameter, f"nothing is called '{name}'",
                self._instead(name) or f'a source says where it reads: `{name}: {bare.__name__} = {bare.__name__}("{example}")`',
            )  # fmt: skip
            return None
        form = form_of(parameter.hint) if self.declaration.decorator == "service" else ""
        if form == "array" or (form and (is_said(parameter.hint) or not self._instead(name))):
            return asked_together(parameter, self.declaration, self.report)
        if view_of(bare) is not None:
            self._error(parameter, f"nothing is called '{name}'", self._instead(name) or "a parameter of data is named like its artifact")
            return None
        if not is_scalar(bare):
            self._error(
                parameter, f"'{name}: {parameter.text}' is neither an artifact nor a JSON type, so nobody can give it",
                self._instead(name) or "name it like an artifact, or use int, float, str, bool, list, dict, a dataclass, ...",
            )  # fmt: skip
            return None
        if (near := self.near(name)) and self.made[near].kind in ("scalar", "pickle"):  # nobody mistypes a table as a number
            self._warning(parameter, f"'{name}' is {self._caller()}, but it is nearly '{near}'", f"did you mean '{near}'?")
        return asked(parameter, absent, self.declaration, self.report)

    def _source(self, parameter: Parameter) -> Wire | None:
        name = parameter.name
        if self.declaration.decorator != "ingest":
            self._error(
                parameter, f"{self.declaration.name} reads a source, but only an ingest does", "read it in an ingest, and name that here"
            )
        elif name in self.made:
            self._error(parameter, f"'{name}' is both a source and an artifact", "rename the parameter")
        elif parameter.hint is MISSING:
            self._error(parameter, f"the source '{name}' has no annotation", f"`{name}: {type(parameter.default).__name__} = ...`")
        elif parameter.hint is not Any and not (isinstance(parameter.hint, type) and isinstance(parameter.default, parameter.hint)):
            given = type(parameter.default).__name__
            self._error(parameter, f"the source '{name}' is annotated {parameter.text}, but it is a {given}", f"`{name}: {given} = ...`")
        return self._plain(parameter, role="source", source=parameter.default)

    def _key_wire(self, parameter: Parameter) -> Wire:
        each = self.declaration.each
        if isinstance(each, Keys) and parameter.name in self.made:
            self._error(parameter, f"'{parameter.name}' is both a key and an artifact", 'name the key: daily(..., name="...")')
        if parameter.hint not in (MISSING, str, Any):
            self._error(parameter, f"'{parameter.name}' receives one key, which is text", f"`{parameter.name}: str`")
        kind = self.made[each].kind if isinstance(each, str) and each in self.made else None
        return self._plain(parameter, role="key", artifact=each if isinstance(each, str) else "", kind=kind)

    def _use(self, parameter: Parameter, given: Use, absent: bool) -> Wire | None:
        name, _, ref = given.ref.partition("@")
        if name not in self.made:
            self._error(
                parameter,
                f"use(\"{given.ref}\"): nothing is called '{name}'",
                self._instead(name) or "it names an artifact of this project",
            )
            return None
        made = self.made[name]
        if not (ref.isdigit() or NAME.match(ref)):
            self._error(
                parameter, f'use("{given.ref}") names no version', f'a number or an alias: use("{name}@1") or use("{name}@production")'
            )
        elif made.kind == "service":
            self._error(parameter, f'use("{given.ref}"): a service has no versions', "name what it serves")
        elif not ref.isdigit() and made.kind != "model":
            self._error(parameter, f'use("{given.ref}"): only a model has an alias; {name} is a {made.kind}', f'use("{name}@1")')
        return self._artifact(parameter, given.ref, made, absent)

    def _artifact(self, parameter: Parameter, artifact: str, made: Made, absent: bool) -> Wire | None:
        if made.kind == "service" and self.declaration.decorator not in _WATCHERS:
            self._error(
                parameter, f"'{artifact}' is a service: only a watch, check or step receives its predictions",
                f"a {self.declaration.decorator} takes what {artifact} is made of",
            )  # fmt: skip
            return None
        if parameter.default is not MISSING and not isinstance(parameter.default, Use):
            self._warning(parameter, f"the default of '{parameter.name}' is never used: it is an artifact", "drop it, or rename it")
        view = self._view(parameter, artifact, made)
        each = made.declaration.each
        return self._plain(
            parameter, role="artifact", artifact=artifact, kind=made.kind, view=view, optional=absent,
            partwise=each is not None and each == self.declaration.each and "@" not in artifact,
        )  # fmt: skip

    def _view(self, parameter: Parameter, artifact: str, made: Made) -> View:
        if parameter.hint in (MISSING, Any):
            return "features" if made.features else DEFAULT_VIEW[made.kind]
        view = view_of(parameter.hint) or ("scalar" if is_scalar(parameter.hint) else None)
        readable = READABLE[made.kind] | ({"features"} if made.features else set())
        if view in readable:
            return view
        name, text = parameter.name, parameter.text
        if view == "features":
            self._error(
                parameter, f"'{name}: {text}', but {artifact} is no feature view", "make it with @project.features, or take a frame"
            )
        elif made.kind == "pickle":
            self._error(parameter, f"'{name}: {text}', but {artifact} is stored pickled", f"`{name}: Pickle[{text}]`")
        else:
            what = f"{'an' if made.kind[0] in 'aeiou' else 'a'} {made.kind}" if made.kind != "files" else "files"
            self._error(parameter, f"'{name}: {text}', but {artifact} is {what}", f"it reads as {', '.join(sorted(readable))}")
        return DEFAULT_VIEW[made.kind]

    def _each(self, wires: tuple[Wire, ...]) -> None:
        each = self.declaration.each
        if each is None:
            return
        if isinstance(each, str):
            if each not in self.made:
                self.report.error(f"each=\"{each}\": nothing is called '{each}'", self._instead(each) or "it names an artifact")
                return
            if self.made[each].kind not in _KEYED:
                self.report.error(f'each="{each}": a {self.made[each].kind} has no keys', "it takes files, a table or a list")
        if not any(wire.role == "key" for wire in wires):
            self.report.error(f"{self.declaration.name} runs for each '{self.key}', but does not take it", f"add `{self.key}: str`")

    def _promotes(self, wires: tuple[Wire, ...]) -> None:
        alias = self.declaration.promotes
        if not alias:
            return
        if not NAME.match(alias):
            self.report.error(f'promotes="{alias}" is no alias', 'small letters, digits and _, such as "production"')
        models = [wire.name for wire in wires if wire.role == "artifact" and wire.kind == "model" and not wire.is_use]
        if len(models) != 1:
            which = f"it takes {len(models)} ({', '.join(models)})" if models else "it takes none"
            self.report.error(f"{self.declaration.name} promotes the one model that it takes, but {which}", "take one `name: Model`")

    def _plain(self, parameter: Parameter, **rest: Any) -> Wire:
        return Wire(name=parameter.name, annotation=parameter.text, hint=None if parameter.hint is MISSING else parameter.hint, **rest)

    def _instead(self, name: str) -> str:
        near = self.near(name)
        return f"did you mean '{near}'?" if near else ""

    def _caller(self) -> str:
        return "asked of the client" if self.declaration.decorator == "service" else "a setting"

    def _error(self, parameter: Parameter, message: str, suggestion: str) -> None:
        self.report.error(message, suggestion, parameter=parameter.name)

    def _warning(self, parameter: Parameter, message: str, suggestion: str) -> None:
        self.report.warning(message, suggestion, parameter=parameter.name)
