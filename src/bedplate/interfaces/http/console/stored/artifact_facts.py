"""What pages say of artifacts: which may be seen, the words and tones of how one stands, and the links between their pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from bedplate.catalog.listing import Stand
from bedplate.core.errors import NotFound
from bedplate.core.records import StepStatus, Version
from bedplate.interfaces.http.console.about import project
from bedplate.interfaces.http.console.frame import path_of
from bedplate.interfaces.http.console.tables import Link, State, Tone
from bedplate.interfaces.http.door.endpoint import Desk, Resource, missing

STANDS: Final[dict[StepStatus, tuple[str, Tone]]] = {
    "done": ("made", "good"),
    "skipped": ("unchanged", "good"),
    "running": ("running", "now"),
    "waiting": ("waiting", "off"),
    "failed": ("failed", "bad"),
    "cancelled": ("cancelled", "warn"),
}
"""How a step stood when it last came to its turn, as a word for what it makes."""
REJECTS: Final = "are not what is expected"
"""What an attempt says whose rows were kept outside."""


def stand(found: Stand | None) -> State:
    """How the step of an artifact stood last."""
    if found is None:
        return State("not lately", "off")
    word, tone = STANDS[found.status]
    return State(word, tone)


def own(desk: Desk) -> bool:
    """Whether the actor may see the project's artifacts."""
    found = project(desk)
    return found is not None and desk.may("artifact.read", Resource("experiment", str(found.id)))


def version_of(desk: Desk, ref: str) -> Version:
    """The version that a reference names, where it may be seen. Raises Fault as for one that is not there."""
    try:
        found = desk.catalog.artifacts.get(ref)
    except NotFound as error:
        raise missing(str(error)) from None
    return seen(desk, found)


def seen(desk: Desk, version: Version) -> Version:
    """The version, where it may be seen: what a client registered is seen by who may see that model. Raises Fault."""
    made = desk.catalog.listing.made_by(version.attempt)
    if made is not None and made[3] == "client" and not desk.may("model.read", Resource("model", version.artifact)):
        raise missing(f"nothing is called '{version.artifact}'")
    return version


def to_artifact(name: str) -> Link:
    """The page of an artifact."""
    return Link(name, path_of("artifacts", name))


def to_ref(ref: str, shown: str = "") -> Link | str:
    """The page of a version by its reference; the text itself where it is none."""
    name, _, number = ref.rpartition("@")
    return Link(shown or ref, path_of("artifacts", name, number)) if name and number.isdecimal() else ref


def to_run(run: str, shown: str = "") -> Link:
    """The page of a run or an attempt."""
    return Link(shown or run, path_of("runs", run))


def aliases_of(aliases: Mapping[str, int], number: int) -> str:
    """The aliases of a version, in a line."""
    return ", ".join(alias for alias, at in aliases.items() if at == number)


def plain(value: Any) -> str | int | float | bool | None:
    """A cell of a look as a table has it: no number that is none."""
    return "not a number" if isinstance(value, float) and math.isnan(value) else value
