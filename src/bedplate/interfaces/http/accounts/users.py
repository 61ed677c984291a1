"""MLflow's API for users: its clients' `AuthServiceClient` makes, reads, changes and ends accounts.

An admin may do all of it; who is none reads and changes himself, his password with the one before where he came by a token or session. A
password too weak is refused, and there is none that an account begins with.
"""

from __future__ import annotations

from typing import Any, Final

from bedplate.catalog.accounts import Account
from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import Refused, UserError
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, missing, on_server, taken
from bedplate.security.decide import decide

from .words import PERMISSION_OF, account_of, good_password, hashed, number_of, proved, spoken


class CreateUser(Asks, frozen=True, kw_only=True):
    """A new account."""

    username: str
    password: str


class ByUsername(Asks, frozen=True, kw_only=True):
    """An account by its name."""

    username: str


class UpdatePassword(Asks, frozen=True, kw_only=True):
    """Another password; clients of MLflow 3 say the one before too."""

    username: str
    password: str
    current_password: str = ""


class UpdateAdmin(Asks, frozen=True, kw_only=True):
    """Whether an account is an admin."""

    username: str
    is_admin: bool


class Nothing(Asks, frozen=True, kw_only=True):
    """Nothing is asked."""


def create(desk: Desk, asked: CreateUser) -> dict[str, Any]:
    """Make an account."""
    if desk.catalog.accounts.find(asked.username) is not None:
        raise taken(f"User (username={asked.username[:128]}) already exists.")
    good_password(asked.password, asked.username)
    kept, actor, now = hashed(desk, asked.password), desk.actor.name, desk.now

    def work(catalog: Catalog) -> Account:
        return catalog.audited(
            actor, "account.write", f"account:{asked.username}", now,
            lambda: catalog.accounts.add(asked.username, kept, now), {"did": "made"},
        )  # fmt: skip

    try:
        made = desk.write(work)
    except Refused:
        raise taken(f"User (username={asked.username[:128]}) already exists.") from None
    except UserError as error:
        raise spoken(error) from None
    return {"user": _user(made, [], [])}


def get(desk: Desk, asked: ByUsername) -> dict[str, Any]:
    """One account with its grants; one's own, or as an admin any."""
    if asked.username != desk.actor.name:
        _need_admin(desk, "account.read", asked.username)
    return {"user": _with_grants(desk, account_of(desk, asked.username))}


def current(desk: Desk, _asked: Nothing) -> dict[str, Any]:
    """Who asks."""
    account = account_of(desk, desk.actor.name)
    return {"user": {"id": number_of(account.name), "username": account.name, "is_admin": account.is_admin}, "is_basic_auth": True}


def everyone(desk: Desk, _asked: Nothing) -> dict[str, Any]:
    """Every account."""
    return {"users": [_with_grants(desk, account) | {"roles": []} for account in desk.catalog.accounts.all()]}


def update_password(desk: Desk, asked: UpdatePassword) -> dict[str, Any]:
    """Change a password: one's own, or as an admin anybody's. Sessions end; of another, tokens too."""
    own = asked.username == desk.actor.name
    if not own:
        _need_admin(desk, "account.write", asked.username)
    account_of(desk, asked.username)
    if own and desk.actor.how != "password":
        proved(desk, asked.current_password)
    good_password(asked.password, asked.username)
    kept, actor, now = hashed(desk, asked.password), desk.actor.name, desk.now
    desk.write(
        lambda catalog: catalog.audited(
            actor, "me.write" if own else "account.write", f"account:{asked.username}", now,
            lambda: catalog.accounts.set_password(asked.username, kept, now, ends_tokens=not own), {"did": "password"},
        )
    )  # fmt: skip
    return {}


def update_admin(desk: Desk, asked: UpdateAdmin) -> dict[str, Any]:
    """Make an account an admin, or none any more."""
    account_of(desk, asked.username)
    desk.note(account=asked.username, did="admin" if asked.is_admin else "no admin")
    try:
        desk.catalog.accounts.set_admin(asked.username, asked.is_admin, desk.now)
    except Refused as error:
        raise spoken(error) from None
    return {}


def delete(desk: Desk, asked: ByUsername) -> dict[str, Any]:
    """End an account with its tokens, sessions and grants."""
    account_of(desk, asked.username)
    desk.note(account=asked.username, did="ended")
    try:
        desk.catalog.accounts.remove(asked.username)
    except Refused as error:
        raise spoken(error) from None
    return {}


def _need_admin(desk: Desk, action: str, username: str) -> None:
    """Raise Fault unless who asks may do that with any account: to others, no other account is there."""
    if not decide(desk.actor, action, "server", desk.catalog.grants.there(desk.actor.name, "server")).allowed:
        raise missing(f"User with username={username[:128]} not found")


def _with_grants(desk: Desk, account: Account) -> dict[str, Any]:
    experiments, models = [], []
    for grant in desk.catalog.grants.of(account.name):
        kind, _, id = grant.resource.partition(":")
        told = {"user_id": number_of(account.name), "permission": PERMISSION_OF[grant.role]}
        if kind == "experiment":
            experiments.append({"experiment_id": id, **told})
        elif kind == "model":
            models.append({"name": id, **told})
    return _user(account, experiments, models)


def _user(account: Account, experiments: list[dict[str, Any]], models: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": number_of(account.name), "username": account.name, "is_admin": account.is_admin,
        "experiment_permissions": experiments, "registered_model_permissions": models,
    }  # fmt: skip


_AT: Final = "/api/2.0/mlflow/users"
ENDPOINTS: Final = (
    Endpoint("POST", f"{_AT}/create", CreateUser, "account.write", on_server, create),
    Endpoint("GET", f"{_AT}/get", ByUsername, "me.read", on_server, get),
    Endpoint("GET", f"{_AT}/current", Nothing, "me.read", on_server, current),
    Endpoint("GET", f"{_AT}/list", Nothing, "account.read", on_server, everyone),
    Endpoint("PATCH", f"{_AT}/update-password", UpdatePassword, "me.write", on_server, update_password),
    Endpoint("PATCH", f"{_AT}/update-admin", UpdateAdmin, "account.write", on_server, update_admin, writes=True),
    Endpoint("DELETE", f"{_AT}/delete", ByUsername, "account.write", on_server, delete, writes=True),
)
