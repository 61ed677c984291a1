"""Records of the wired project: wires, outputs, nodes, and the mistakes found while wiring.

A `Wire` says where one parameter's value comes from, an `Output` what one function makes. They hold live types and functions, so
they stay inside the process; what crosses a boundary are core records.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from bedplate.core.kinds import Kind, View
from bedplate.core.parameters import Keys, Tune
from bedplate.core.project import Declaration
from bedplate.core.records import Record
from bedplate.core.sources import Source

Role = Literal["artifact", "setting", "request", "source", "context", "key", "secret"]
"""Where a value comes from: another step, the command line, the HTTP client, outside, the house, `each=`, the secrets."""

NO_DEFAULT: Final = msgspec.UNSET
"""`Wire.default` of a parameter that has none: the caller must give it. Left out of JSON."""


class Wire(Record, frozen=True, kw_only=True):
    """One parameter and where its value comes from.

    `artifact` names what it receives (`departures`, or the reference of a `use`: `late@production`), for a key the artifact whose
    keys they are (empty for a calendar); `kind` is what is stored and `view` what is handed over. `annotation` is the text for
    people, `hint` the resolved type. `partwise`: the maker has the same `each`, so a part receives only its own part.
    """

    name: str
    role: Role
    annotation: str = ""
    hint: Any = None
    view: View | None = None
    kind: Kind | None = None
    artifact: str = ""
    optional: bool = False
    default: Any = NO_DEFAULT
    tune: Tune | None = None
    source: Source | None = None
    partwise: bool = False

    @property
    def is_use(self) -> bool:
        """Whether it names another version than the head (`use("late@production")`): no step is waited for."""
        return "@" in self.artifact

    @property
    def base(self) -> str:
        """The artifact's name, without the version or alias of a `use`."""
        return self.artifact.partition("@")[0]

    @property
    def ref(self) -> str:
        """The version or alias of a `use` (`production`, `7`), else empty."""
        return self.artifact.partition("@")[2]

    @property
    def waits(self) -> bool:
        """Whether the step waits for the artifact's maker: not for a `use`, nor for a service's past predictions."""
        return bool(self.artifact) and not self.is_use and self.kind != "service"

    @property
    def required(self) -> bool:
        """Whether the caller must give it."""
        return self.role in ("setting", "request") and self.default is NO_DEFAULT


class Output(Record, frozen=True, kw_only=True):
    """One artifact that a function makes; `field` is the field of the NamedTuple it returns, None for the whole result."""

    artifact: str
    kind: Kind
    field: str | None = None
    hint: Any = None


class Node(Record, frozen=True, kw_only=True):
    """One decorated function, wired."""

    name: str
    declaration: Declaration
    wires: tuple[Wire, ...]
    outputs: tuple[Output, ...]
    stage: str
    each: str | Keys | None = None

    def wire(self, name: str) -> Wire | None:
        """The wire of the parameter `name`."""
        return next((wire for wire in self.wires if wire.name == name), None)

    def by_role(self, *roles: Role) -> tuple[Wire, ...]:
        """The wires of these roles, in the order of the parameters."""
        return tuple(wire for wire in self.wires if wire.role in roles)


class Mistake(Record, frozen=True, kw_only=True):
    """Something wrong in a project file: an error stops it from loading, a warning does not. `line` counts from 1."""

    severity: Literal["error", "warning"]
    file: str
    line: int
    message: str
    suggestion: str = ""

    @property
    def said(self) -> str:
        """Where and what, for a message that says how severe it is."""
        tail = f"\n    {self.suggestion}" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.message}{tail}"

    def __str__(self) -> str:
        return self.said.replace(f":{self.line}: ", f":{self.line}: {self.severity}: ", 1)
