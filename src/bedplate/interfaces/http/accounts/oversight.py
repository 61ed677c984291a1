"""For admins: accounts as we know them, the audit log, and why somebody may do something or not."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bedplate.catalog.accounts import Account
from bedplate.core.errors import Refused, UserError
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, invalid, on_server
from bedplate.security.chain import Entry
from bedplate.security.decide import Actor, decide
from bedplate.security.permissions import PERMISSIONS

from .words import account_of, spoken

_AT: Final = "/api/bedplate"
_MOST: Final = 1000


class Nothing(Asks, frozen=True, kw_only=True):
    """Nothing is asked."""


class NewAccount(Asks, frozen=True, kw_only=True):
    """A new account without a password: it comes in by a token, or by a provider that knows it as `subject`."""

    name: str
    is_admin: bool = False
    subject: str = ""


class ChangedAccount(Asks, frozen=True, kw_only=True):
    """What is to be otherwise with an account."""

    name: str
    active: bool | None = None
    subject: str | None = None
    has_second_factor: bool | None = None


class Acts(Asks, frozen=True, kw_only=True):
    """Which acts are looked for; `before` an id, for the next page."""

    actor: str = ""
    action: str = ""
    resource: str = ""
    before: int | None = None
    most: int = 100


class Why(Asks, frozen=True, kw_only=True):
    """May that account do that action on that resource?"""

    account: str
    action: str
    resource: str = "server"


def accounts(desk: Desk, _asked: Nothing) -> dict[str, Any]:
    """Every account."""
    return {"accounts": [_told(one) for one in desk.catalog.accounts.all()]}


def add(desk: Desk, asked: NewAccount) -> dict[str, Any]:
    """Make an account without a password."""
    desk.note(account=asked.name, did="made")
    try:
        made = desk.catalog.accounts.add(asked.name, "", desk.now, is_admin=asked.is_admin, subject=asked.subject)
    except UserError as error:
        raise spoken(error) from None
    return _told(made)


def change(desk: Desk, asked: ChangedAccount) -> dict[str, Any]:
    """Let an account in or not, link it to a provider's subject, take its second factor away."""
    accounts, now = desk.catalog.accounts, desk.now
    account_of(desk, asked.name)
    desk.note(account=asked.name, did="changed")
    try:
        if asked.active is not None:
            accounts.set_active(asked.name, asked.active, now)
        if asked.subject is not None:
            accounts.set_subject(asked.name, asked.subject, now)
    except Refused as error:
        raise spoken(error) from None
    if asked.has_second_factor is False:
        accounts.set_totp(asked.name, "", 0, now)
    return _told(account_of(desk, asked.name))


def acts(desk: Desk, asked: Acts) -> dict[str, Any]:
    """A page of the audit log, newest first."""
    if not 1 <= asked.most <= _MOST:
        raise invalid(f"Invalid value for parameter 'most': from 1 to {_MOST}")
    found = desk.catalog.audit.found(actor=asked.actor, action=asked.action, resource=asked.resource, before=asked.before, most=asked.most)
    return {"entries": [_told_entry(one) for one in found], "before": found[-1].id if len(found) == asked.most else None}


def why(desk: Desk, asked: Why) -> dict[str, Any]:
    """Whether somebody may do something, with the rule that says so."""
    if asked.action not in PERMISSIONS:
        raise invalid(f"Invalid value for parameter 'action': {asked.action[:50]!r} is no action; see docs/reference/roles.md")
    account = account_of(desk, asked.account)
    grants = desk.catalog.grants.there(account.name, asked.resource)
    found = decide(Actor(name=account.name, is_admin=account.is_admin, how="local"), asked.action, asked.resource, grants)
    return {
        "allowed": found.allowed and account.active,
        "seen": found.seen,
        "role": found.role,
        "rule": found.rule,
        "active": account.active,
    }


def _told(account: Account) -> dict[str, Any]:
    return {
        "name": account.name, "is_admin": account.is_admin, "active": account.active, "has_password": bool(account.password),
        "has_second_factor": bool(account.totp), "subject": account.subject, "created_at": account.created_at,
    }  # fmt: skip


def _told_entry(entry: Entry) -> dict[str, Any]:
    return msgspec.structs.asdict(entry) | {"data": msgspec.Raw(entry.data.encode())}


ENDPOINTS: Final = (
    Endpoint("GET", f"{_AT}/accounts", Nothing, "account.read", on_server, accounts),
    Endpoint("POST", f"{_AT}/accounts", NewAccount, "account.write", on_server, add, writes=True),
    Endpoint("PATCH", f"{_AT}/accounts/{{name}}", ChangedAccount, "account.write", on_server, change, writes=True),
    Endpoint("GET", f"{_AT}/audit", Acts, "audit.read", on_server, acts),
    Endpoint("GET", f"{_AT}/audit/why", Why, "audit.read", on_server, why),
)
