"""Whether an actor may do an action: a decision with the rule that made it. Deny by default.

What counts is the weaker of two roles: the account's on that resource (admin, or the strongest of its grants there and on `*`), and the one
that the credential is limited to. Nothing else gives a right: no name, no path, no address. Who may not even read a resource is told
that it is not there (`seen` False: 404), who may read it but not do that is told so (403).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final, Literal

from bedplate.core.records import Record

from .permissions import PERMISSIONS, RANK, Permission, greatest, least

EVERYTHING: Final = "*"
SERVER: Final = "server"
_MOST: Final = 1024
"""Decisions that are remembered."""


class Scope(Record, frozen=True):
    """What a credential is limited to: a role, and one resource (`*`: all that the account may)."""

    role: str = "admin"
    resource: str = EVERYTHING


class Actor(Record, frozen=True):
    """Who asks, once recognised; `key` is the id of the token or session, to end it or to spare it."""

    name: str
    is_admin: bool = False
    scope: Scope = Scope()
    how: Literal["token", "password", "session", "local"] = "token"
    key: str = ""


class Grant(Record, frozen=True):
    """A role on a resource (`experiment:ID`, `model:NAME` or `*`), given by somebody at a time (text, UTC)."""

    account: str
    resource: str
    role: str
    granted_by: str = ""
    granted_at: str = ""


class Decision(Record, frozen=True):
    """The answer: whether it is allowed, whether the resource may be seen at all, the role that counted, and the rule in words."""

    allowed: bool
    seen: bool
    role: str
    rule: str


def resource_name(kind: str, id: str = "") -> str:
    """How a resource is written: `experiment:3`, `model:late`, `server`."""
    return f"{kind}:{id}" if kind != SERVER else SERVER


def decide(actor: Actor, action: str, resource: str, grants: Iterable[Grant]) -> Decision:
    """Whether `actor` may do `action` on `resource`; `grants` are the account's, those of other resources are passed over."""
    return _decided(actor, action, resource, tuple(grants))


@functools.lru_cache(maxsize=_MOST)
def _decided(actor: Actor, action: str, resource: str, grants: tuple[Grant, ...]) -> Decision:
    """The decision, which depends on nothing else: the same question comes by the thousand."""
    permission = PERMISSIONS.get(action)
    if permission is None:
        return Decision(allowed=False, seen=False, role="account", rule=f"'{action}' is in no row of the table, and is denied")
    if permission.on != resource.partition(":")[0]:
        return Decision(allowed=False, seen=False, role="account", rule=f"{action} is about {_a(permission.on)}, not about {resource}")
    role, source = _account_role(actor, resource, grants)
    if actor.scope.resource not in (EVERYTHING, resource):
        return _beside(actor, permission, resource)
    held = least(role, actor.scope.role)
    if held != role:
        source = f"its {actor.how} is limited to {actor.scope.role}"
    return _judge(actor, permission, resource, held, source)


def _account_role(actor: Actor, resource: str, grants: Iterable[Grant]) -> tuple[str, str]:
    """The role of the account on a resource, and where it comes from."""
    if actor.is_admin:
        return "admin", "the account is an admin"
    role, source = "account", "it has no grant there"
    for grant in grants:
        if grant.account == actor.name and grant.resource in (EVERYTHING, resource) and greatest(grant.role, role) != role:
            by, at = grant.granted_by or "the server", grant.granted_at or "the start"
            role, source = grant.role, f"granted on {grant.resource} by {by} at {at}"
    return role, source


def _beside(actor: Actor, permission: Permission, resource: str) -> Decision:
    """What a credential for one resource may do beside it: ask what the server lists for any account, and nothing else."""
    rule = f"the {actor.how} of {actor.name} is for {actor.scope.resource} only"
    allowed = resource == SERVER and permission.least == "account" and not permission.writes
    return Decision(allowed=allowed, seen=resource == SERVER, role="account", rule=f"{permission.action} on {resource}: {rule}")


def _judge(actor: Actor, permission: Permission, resource: str, held: str, source: str) -> Decision:
    """Compare the role that counts with the least that the table asks."""
    seen = resource == SERVER or RANK[held] >= RANK["viewer"]
    reads_only = permission.writes and RANK[actor.scope.role] < RANK["contributor"]
    allowed = RANK[held] >= RANK[permission.least] and not reads_only
    if reads_only:
        source = f"its {actor.how} only reads"
    words = f"{permission.action} on {resource} needs {_a(permission.least)}; {actor.name} is {_a(held)} there ({source})"
    return Decision(allowed=allowed, seen=seen, role=held, rule=words)


def _a(word: str) -> str:
    if word == SERVER:
        return "the server"
    return f"an {word}" if word[0] in "aeo" else f"a {word}"
