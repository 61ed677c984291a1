"""What the verbs about accounts share: the state that they are about, who asks at this machine, how a resource is typed."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress

from bedplate.core.errors import NotFound, UserError
from bedplate.security.decide import EVERYTHING

from .platform import Standing, stand
from .verb import Asked


def people(asked: Asked, state: str) -> Standing:
    """The state, which has accounts. Raises UserError where it has none."""
    standing = stand(asked.project, asked.target, state=state, makes=False)
    if not standing.catalog.accounts.count():
        raise UserError("there are no accounts here", why="the first start of a server makes the first one", next="bedplate up")
    return standing


def here() -> str:
    """Who asks: a user of this machine, who may read and write the state. No account has a colon in its name."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return f"local:{name}"


def resource_of(standing: Standing, typed: str) -> str:
    """A resource as the record calls it: an experiment may be typed by its name. Raises NotFound, UserError."""
    kind, _, name = typed.partition(":")
    if typed in (EVERYTHING, "everything", "server"):
        return "server" if typed == "server" else EVERYTHING
    if kind not in ("experiment", "model") or not name:
        raise UserError(f"'{typed}' is no resource", why="experiment:NAME, model:NAME and everything are", next="--on experiment:flights")
    if kind == "experiment" and not name.isdecimal():
        return f"experiment:{_experiment(standing, name)}"
    return typed


def in_words(standing: Standing, resource: str) -> str:
    """A resource as people call it: an experiment by its name."""
    kind, _, name = resource.partition(":")
    if kind != "experiment":
        return "everything" if resource == EVERYTHING else resource
    with suppress(NotFound, ValueError):
        return f"experiment:{standing.catalog.tracking.experiments.get(int(name)).name}"
    return resource


def _experiment(standing: Standing, name: str) -> int:
    try:
        return standing.catalog.tracking.experiments.find(name).id
    except NotFound:
        why = "who logs to a name first makes it, and is its maintainer"
        raise NotFound(f"there is no experiment '{name}'", why=why, next="--on experiment:NAME, or its number") from None
