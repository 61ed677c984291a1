"""Decisions: the matrix of roles, actions and resources is the table; all else is denied; the rule says why."""

from __future__ import annotations

import itertools

import pytest

from bedplate.security.decide import EVERYTHING, Actor, Grant, Scope, decide
from bedplate.security.permissions import PERMISSIONS, RANK, ROLES, TABLE, Permission

HERE = {"experiment": "experiment:3", "model": "model:late", "server": "server"}
ELSEWHERE = {"experiment": "experiment:4", "model": "model:early", "server": "server"}
GRANTED = [role for role in ROLES if role != "admin"]


def grant(resource: str, role: str, account: str = "ann") -> Grant:
    return Grant(account=account, resource=resource, role=role, granted_by="bob", granted_at="2026-11-22T08:00:00.000000Z")


@pytest.mark.parametrize(
    ("role", "permission"), list(itertools.product(["account", *GRANTED], TABLE)), ids=lambda one: getattr(one, "action", one)
)
def test_a_role_may_what_the_table_says_and_no_more(role: str, permission: Permission) -> None:
    """Each role over everything, on each action; tenant isolation is this matrix and the next one."""
    grants = [] if role == "account" else [grant(EVERYTHING, role)]
    found = decide(Actor(name="ann"), permission.action, HERE[permission.on], grants)
    assert found.allowed == (RANK[role] >= RANK[permission.least])
    assert found.seen == (permission.on == "server" or role != "account")


@pytest.mark.parametrize("role", GRANTED)
@pytest.mark.parametrize("permission", [row for row in TABLE if row.on != "server"], ids=lambda row: row.action)
def test_a_grant_says_nothing_of_another_resource(role: str, permission: Permission) -> None:
    """Not even that it is there; nor does a grant of somebody else."""
    mine, theirs = grant(HERE[permission.on], role), grant(ELSEWHERE[permission.on], role, "eve")
    found = decide(Actor(name="ann"), permission.action, ELSEWHERE[permission.on], [mine, theirs])
    assert (found.allowed, found.seen) == (False, False)


@pytest.mark.parametrize("permission", TABLE, ids=lambda row: row.action)
def test_an_admin_may_everything_and_a_reading_token_of_theirs_changes_nothing(permission: Permission) -> None:
    """The credential's limit counts, whoever holds it."""
    admin, reader = Actor(name="root", is_admin=True), Actor(name="root", is_admin=True, scope=Scope(role="viewer"))
    assert decide(admin, permission.action, HERE[permission.on], []).allowed
    reads = not permission.writes and RANK[permission.least] <= RANK["viewer"]
    assert decide(reader, permission.action, HERE[permission.on], []).allowed == reads


def test_a_token_for_one_resource_does_nothing_beside_it() -> None:
    """It may still ask what any account may ask of the server, where that changes nothing."""
    token = Actor(name="root", is_admin=True, scope=Scope(role="admin", resource="experiment:3"))
    assert decide(token, "run.write", "experiment:3", []).allowed
    assert not decide(token, "run.read", "experiment:4", []).seen
    assert decide(token, "experiment.list", "server", []).allowed
    assert not decide(token, "experiment.create", "server", []).allowed
    assert not decide(token, "account.write", "server", []).allowed
    assert not decide(token, "me.write", "server", []).allowed


def test_what_is_in_no_row_is_denied() -> None:
    """To an admin too, and so is an action on another kind of thing."""
    admin = Actor(name="root", is_admin=True)
    assert not decide(admin, "run.explode", "experiment:3", []).allowed
    assert not decide(admin, "run.read", "model:late", []).allowed
    assert not decide(admin, "run.read", "", []).allowed


def test_the_rule_says_who_gave_the_right() -> None:
    """What `audit why` prints names the action, the need, the role and where it comes from."""
    rule = decide(Actor(name="ann"), "run.delete", "experiment:3", [grant("experiment:3", "contributor")]).rule
    assert rule == (
        "run.delete on experiment:3 needs a maintainer; ann is a contributor there "
        "(granted on experiment:3 by bob at 2026-11-22T08:00:00.000000Z)"
    )


def test_the_strongest_grant_counts() -> None:
    """One on everything and one on the resource do not weaken each other, in either order."""
    both = [grant("experiment:3", "maintainer"), grant(EVERYTHING, "viewer")]
    for grants in (both, both[::-1]):
        assert decide(Actor(name="ann"), "run.delete", "experiment:3", grants).allowed


def test_the_table_is_whole() -> None:
    """Each action once; reading never needs more than writing the same thing."""
    assert len(PERMISSIONS) == len(TABLE)
    least = {row.action: RANK[row.least] for row in TABLE}
    for row in TABLE:
        kind, _, what = row.action.partition(".")
        if what == "read" and f"{kind}.write" in least:
            assert least[row.action] <= least[f"{kind}.write"]
