"""One's own account: who I am, my tokens, my password, my second factor, the way out.

A token makes none that may do more or that lasts longer. The password and the second factor are changed by whoever knows the password
of now: a token or an open browser alone is not enough. A token's text is in the answer that made it, and nowhere else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import parse
from bedplate.core.errors import NotFound, UserError
from bedplate.interfaces.http.door import second
from bedplate.interfaces.http.door.checking import Checks
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, invalid, missing, on_server
from bedplate.security.decide import EVERYTHING
from bedplate.security.permissions import RANK

from .words import account_of, good_password, proved, spoken, told_grant

_AT: Final = "/api/bedplate/me"


class Nothing(Asks, frozen=True, kw_only=True):
    """Nothing is asked."""


class NewToken(Asks, frozen=True, kw_only=True):
    """A new token: what it is for, its role at most, perhaps one resource, and for how many days."""

    name: str
    role: str = ""
    resource: str = EVERYTHING
    days: float = 90.0


class OneToken(Asks, frozen=True, kw_only=True):
    """A token by its public id."""

    id: str


class NewPassword(Asks, frozen=True, kw_only=True):
    """The password of now, the next one, and whether all tokens end too."""

    old: str = ""
    new: str
    ends_tokens: bool = False


class Leaving(Asks, frozen=True, kw_only=True):
    """Whether every session ends, or only this one."""

    everywhere: bool = False


class Proof(Asks, frozen=True, kw_only=True):
    """A second factor's secret with a code of it, and the password of now."""

    secret: str
    code: str
    password: str = ""


class Removal(Asks, frozen=True, kw_only=True):
    """The password of now, and a code."""

    password: str = ""
    code: str = ""


class Mine:
    """Answers what is about one's own account; `key` is the server's own, which seals second factors."""

    def __init__(self, key: bytes, checks: Checks) -> None:
        self._key = key
        self._checks = checks

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of the table of routes."""
        return (
            Endpoint("GET", _AT, Nothing, "me.read", on_server, who),
            Endpoint("GET", f"{_AT}/tokens", Nothing, "me.read", on_server, tokens),
            Endpoint("POST", f"{_AT}/tokens", NewToken, "me.write", on_server, new_token, writes=True),
            Endpoint("DELETE", f"{_AT}/tokens/{{id}}", OneToken, "me.write", on_server, revoke, writes=True),
            Endpoint("POST", f"{_AT}/logout", Leaving, "me.write", on_server, leave, writes=True),
            Endpoint("POST", f"{_AT}/password", NewPassword, "me.write", on_server, self.password),
            Endpoint("POST", f"{_AT}/totp/begin", Nothing, "me.write", on_server, begin_second),
            Endpoint("POST", f"{_AT}/totp", Proof, "me.write", on_server, self.add_second),
            Endpoint("POST", f"{_AT}/totp/remove", Removal, "me.write", on_server, self.remove_second),
        )

    def password(self, desk: Desk, asked: NewPassword) -> dict[str, Any]:
        """Change the password: every other session ends, and with `ends_tokens` every token."""
        account = proved(desk, asked.old)
        good_password(asked.new, account.name)
        kept, now = self._checks.hashed(asked.new), desk.now
        spared = desk.actor.key if desk.actor.how == "session" else ""

        def work(catalog: Catalog) -> None:
            catalog.accounts.set_password(account.name, kept, now, spared=spared, ends_tokens=asked.ends_tokens)

        _write(desk, "password", work)
        return {}

    def add_second(self, desk: Desk, asked: Proof) -> dict[str, Any]:
        """Keep a second factor, once a code proves that the app has it. From then on Basic takes tokens only."""
        account = proved(desk, asked.password)
        if account.totp:
            raise invalid("this account has a second factor: take it away first")
        try:
            used = second.proved(asked.secret, asked.code, desk.now)
        except ValueError:
            raise invalid("Invalid value for parameter 'secret': it is none of ours") from None
        if used is None:
            raise invalid("Invalid value for parameter 'code': it is not of now, or not of that secret")
        kept, now, counter = second.sealed(self._key, account.name, asked.secret, desk.random_bits), desk.now, used
        _write(desk, "second factor", lambda catalog: catalog.accounts.set_totp(account.name, kept, counter, now))
        return {}

    def remove_second(self, desk: Desk, asked: Removal) -> dict[str, Any]:
        """Take the second factor away."""
        account, now = proved(desk, asked.password), desk.now
        if not account.totp:
            raise missing("this account has no second factor")
        if second.counter_of(self._key, account, asked.code, now) is None:
            raise invalid("Invalid value for parameter 'code': it is not of now")
        _write(desk, "no second factor", lambda catalog: catalog.accounts.set_totp(account.name, "", 0, now))
        return {}


def who(desk: Desk, _asked: Nothing) -> dict[str, Any]:
    """Who asks, what the credential is limited to, and what the account was granted."""
    account, actor = account_of(desk, desk.actor.name), desk.actor
    return {
        "account": account.name, "is_admin": account.is_admin, "how": actor.how, "role": actor.scope.role, "resource": actor.scope.resource,
        "has_password": bool(account.password), "has_second_factor": bool(account.totp), "subject": account.subject,
        "csrf": desk.catalog.credentials.csrf_of(actor.key) if actor.how == "session" else "",
        "grants": [told_grant(one) for one in desk.catalog.grants.of(account.name)],
    }  # fmt: skip


def tokens(desk: Desk, _asked: Nothing) -> dict[str, Any]:
    """My tokens."""
    return {"tokens": desk.catalog.credentials.tokens(desk.actor.name)}


def new_token(desk: Desk, asked: NewToken) -> dict[str, Any]:
    """A new token of mine, that may do no more than what asks for it."""
    scope = desk.actor.scope
    role = asked.role or scope.role
    if RANK.get(role, 0) > RANK[scope.role]:
        raise Fault("PERMISSION_DENIED", f"a credential limited to {scope.role} makes no token for {role}")
    lasts = min(timedelta(days=min(max(asked.days, 0.0), 3650.0)), _left(desk))
    try:
        minted = desk.catalog.credentials.add_token(
            desk.actor.name, asked.name, desk.now, desk.random_bits, role=role, resource=asked.resource, lasts=lasts
        )
    except UserError as error:
        raise spoken(error) from None
    desk.note(did="token made", token=minted.id, role=role, resource=asked.resource)
    return {"token": minted.text, "id": minted.id, "role": role, "resource": asked.resource, "days": lasts / timedelta(days=1)}


def _left(desk: Desk) -> timedelta:
    """How long the token that asks will last: what it makes ends with it, or one that was stolen for an hour would be good for years."""
    mine = desk.catalog.credentials.tokens(desk.actor.name) if desk.actor.how == "token" else []
    ends = next((one.expires_at for one in mine if one.id == desk.actor.key), None)
    return timedelta.max if ends is None else parse(ends) - desk.now


def revoke(desk: Desk, asked: OneToken) -> dict[str, Any]:
    """A token of mine counts no more."""
    desk.note(did="token revoked", token=asked.id)
    try:
        desk.catalog.credentials.revoke(desk.actor.name, asked.id, desk.now)
    except NotFound:
        raise missing(f"you have no token {asked.id[:32]!r} that counts") from None
    return {}


def leave(desk: Desk, asked: Leaving) -> dict[str, Any]:
    """Log out: here, or everywhere."""
    desk.note(did="logout")
    if asked.everywhere:
        desk.catalog.credentials.end_sessions(desk.actor.name, desk.now)
    elif desk.actor.how == "session":
        desk.catalog.credentials.end_session(desk.actor.key, desk.now)
    return {}


def begin_second(desk: Desk, _asked: Nothing) -> dict[str, Any]:
    """A secret for an authenticator app; nothing is kept until a code proves it."""
    begun = second.begin(desk.actor.name, desk.random_bits)
    return {"secret": begun.secret, "address": begun.address, "drawing": begun.drawing}


def _write(desk: Desk, did: str, work: Any) -> None:
    actor, now = desk.actor.name, desk.now
    desk.write(lambda catalog: catalog.audited(actor, "me.write", f"account:{actor}", now, lambda: work(catalog), {"did": did}))
