"""What the pages of settings share: their tabs, resources in words, and where a role may be given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from bedplate.catalog.tracking.registry_search import Asked
from bedplate.core.errors import NotFound
from bedplate.core.records import Record
from bedplate.interfaces.http.door.endpoint import SERVER, Desk, Resource
from bedplate.security.decide import EVERYTHING, Grant
from bedplate.security.permissions import RANK, ROLES

from .about import experiments

_TABS: Final = (
    ("mine", "/settings", "My account", "me.read"), ("accounts", "/settings/accounts", "Accounts", "account.read"),
    ("webhooks", "/settings/webhooks", "Webhooks", "webhook.read"), ("targets", "/settings/targets", "Targets", "target.read"),
    ("server", "/settings/server", "Server", "me.read"),
)  # fmt: skip
_MOST: Final = 500


class Place(Record, frozen=True, kw_only=True):
    """Something that a role may be given on: its name in the record, in words, and the beginning of the path of its grants."""

    resource: str
    words: str
    path: str


def tabs(desk: Desk) -> list[tuple[str, str, str]]:
    """The pages of settings that the actor may see: word, path, name."""
    return [(word, path, name) for word, path, name, action in _TABS if desk.may(action, SERVER)]


def places(desk: Desk) -> list[Place]:
    """Everything, and the experiments and models that one may see: at most so many of each."""
    found = [Place(resource=EVERYTHING, words="everything", path="")]
    found += [
        Place(resource=f"experiment:{one.id}", words=f"experiment {one.name}", path=f"experiments/{one.id}/")
        for one in experiments(desk)[:_MOST]
    ]
    models, _ = desk.catalog.tracking.registry_search.models(Asked(names=desk.sees("model"), limit=_MOST))
    found += [Place(resource=f"model:{one.name}", words=f"model {one.name}", path=f"models/{quote(one.name, safe='')}/") for one in models]
    return found


def may_grant(desk: Desk, found: Iterable[Place]) -> list[Place]:
    """Those of them on which the actor may say who comes in."""
    return [one for one in found if desk.may(*_granting(one.resource))]


def _granting(resource: str) -> tuple[str, Resource]:
    if resource == EVERYTHING:
        return "account.write", SERVER
    kind, _, name = resource.partition(":")
    return ("experiment.grant", Resource("experiment", name)) if kind == "experiment" else ("model.grant", Resource("model", name))


def in_words(desk: Desk, resource: str) -> str:
    """A resource as people call it: an experiment by its name, for who may see it: one may write any number into a token of one's own."""
    kind, _, name = resource.partition(":")
    if kind == "experiment" and name.isdecimal() and desk.may("experiment.read", Resource("experiment", name)):
        try:
            return f"experiment {desk.catalog.tracking.experiments.get(int(name)).name}"
        except NotFound:
            return f"experiment {name}, which is gone"
    return "everything" if resource == EVERYTHING else f"{kind} {name}".strip()


def path_of_grants(resource: str) -> str:
    """The address of the grants on a resource."""
    kind, _, name = resource.partition(":")
    return "/api/bedplate/grants" if resource == EVERYTHING else f"/api/bedplate/{kind}s/{quote(name, safe='')}/grants"


def told(desk: Desk, grants: Iterable[Grant]) -> list[tuple[str, str, str, str, str]]:
    """Grants for a page: role, resource in words, by whom, when, the address to take it away."""
    return [(one.role, in_words(desk, one.resource), one.granted_by, one.granted_at, path_of_grants(one.resource)) for one in grants]


def roles_up_to(role: str) -> list[tuple[str, str]]:
    """The roles that may be given by who is limited to one, with what they may do; the weakest first."""
    return [(name, what) for name, what in ROLES.items() if RANK[name] <= RANK.get(role, 0)]
