"""Tokens and sessions: what is presented, and whose it is. Only digests are kept; a text is shown once, when it is made.

A token has a role that it is limited to, perhaps one resource, and an end; a session ends 12 hours after it was last used, and after a week
at the latest. Recognising either is one query, so that what was revoked by any process counts nowhere from that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bedplate.core.clock import iso, parse
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.records import Record
from bedplate.security.decide import EVERYTHING, Actor, Scope
from bedplate.security.permissions import ROLES
from bedplate.security.tokens import Minted, Presented, matches, mint

from .database import Database

DEFAULT_TOKEN_LASTS: Final = timedelta(days=90)
SESSION_IDLE: Final = timedelta(hours=12)
SESSION_LASTS: Final = timedelta(days=7)
SEEN_EVERY: Final = timedelta(minutes=5)
"""How stale the note of a session's last use may be: a page of many requests writes one."""
MOST_TOKENS: Final = 1000
_LONGEST_NAME: Final = 200


class Token(Record, frozen=True):
    """A token as it is listed: never its text, never its digest. Times are text (UTC); None: no end."""

    id: str
    account: str
    name: str
    role: str
    resource: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class Session(Record, frozen=True):
    """A session as recognised: who, the text that its forms must carry, and whether its last use should be noted again."""

    actor: Actor
    csrf: str
    stale: bool


class Credentials:
    """Tokens and sessions of accounts; `random_bits(n)` gives n random bits from the system."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_token(
        self, account: str, name: str, now: datetime, random_bits: Callable[[int], int], *,
        role: str = "admin", resource: str = EVERYTHING, lasts: timedelta | None = DEFAULT_TOKEN_LASTS,
    ) -> Minted:  # fmt: skip
        """A new token of an account, limited to a role and perhaps one resource. Raises NotFound, UserError, Refused for too many."""
        _check_token(name, role, resource, lasts)
        minted = mint("token", random_bits)

        def work() -> Minted:
            if self._database.one("account_get", name=account) is None:
                raise NotFound(f"there is no account '{account}'", next="bedplate account list")
            if self._database.value("tokens_live", account=account) >= MOST_TOKENS:
                raise Refused(f"{account} has {MOST_TOKENS} tokens", next="revoke those that are not needed: bedplate token list")
            self._database.run(
                "token_add", id=minted.id, account=account, name=name, digest=minted.digest, role=role, resource=resource,
                created_at=iso(now), expires_at=None if lasts is None else iso(now + lasts),
            )  # fmt: skip
            return minted

        return self._database.transact(work)

    def tokens(self, account: str) -> list[Token]:
        """Every token of an account, newest first, also those that count no more."""
        return [
            Token(
                id=row[0],
                account=row[1],
                name=row[2],
                role=row[3],
                resource=row[4],
                created_at=row[5],
                expires_at=row[6],
                revoked_at=row[7],
            )
            for row in self._database.rows("tokens_of", account=account)
        ]

    def revoke(self, account: str, id: str, now: datetime) -> None:
        """End a token of an account. Raises NotFound where it has no such token that still counts."""
        if not self._database.run("token_revoke", id=id, account=account, at=iso(now)):
            raise NotFound(f"{account} has no token '{id}' that counts", next=f"bedplate token list {account}")

    def of_token(self, presented: Presented, now: datetime) -> Actor | None:
        """Whose token it is; None for one that nobody has, that ended or was revoked, or whose account is not let in."""
        row = self._database.one("token_known", id=presented.id)
        if not matches(presented, row[0] if row else None) or row is None:
            return None
        _, role, resource, expires_at, revoked_at, name, is_admin, active = row
        if revoked_at is not None or not active or (expires_at is not None and expires_at <= iso(now)):
            return None
        return Actor(name=name, is_admin=bool(is_admin), scope=Scope(role=role, resource=resource), how="token", key=presented.id)

    def expired(self, presented: Presented, now: datetime) -> bool:
        """Whether it is a token that counted until its time was over, and was not revoked."""
        row = self._database.one("token_known", id=presented.id)
        return matches(presented, row[0] if row else None) and row is not None and row[4] is None and (row[3] or "~") <= iso(now)

    def add_session(self, account: str, now: datetime, random_bits: Callable[[int], int]) -> tuple[Minted, str]:
        """A new session of an account: its key, and what its forms must carry. Sessions of long ago are forgotten. Raises NotFound."""
        minted, csrf = mint("session", random_bits), f"{random_bits(128):032x}"

        def work() -> tuple[Minted, str]:
            if self._database.one("account_get", name=account) is None:
                raise NotFound(f"there is no account '{account}'", next="bedplate account list")
            self._database.run("logins_forget", before=iso(now - SESSION_LASTS))
            self._database.run("login_add", digest=minted.digest, account=account, csrf=csrf, at=iso(now))
            return minted, csrf

        return self._database.transact(work)

    def of_session(self, presented: Presented, now: datetime) -> Session | None:
        """Whose session it is; None for one that nobody has, that ended, or whose account is not let in."""
        row = self._database.one("login_known", digest=presented.digest)
        if not matches(presented, row[0] if row else None) or row is None:
            return None
        _, csrf, created_at, seen_at, ended_at, name, is_admin, active = row
        seen = parse(seen_at)
        if ended_at is not None or not active or now - seen > SESSION_IDLE or now - parse(created_at) > SESSION_LASTS:
            return None
        actor = Actor(name=name, is_admin=bool(is_admin), how="session", key=presented.digest)
        return Session(actor=actor, csrf=csrf, stale=now - seen > SEEN_EVERY)

    def csrf_of(self, digest: str) -> str:
        """What the forms of a session must carry; empty for one that nobody has."""
        row = self._database.one("login_known", digest=digest)
        return "" if row is None else str(row[1])

    def note_seen(self, digest: str, now: datetime) -> None:
        """A session was used."""
        self._database.run("login_seen", digest=digest, at=iso(now))

    def end_session(self, digest: str, now: datetime) -> None:
        """A session is over."""
        self._database.run("login_end", digest=digest, at=iso(now))

    def end_sessions(self, account: str, now: datetime) -> None:
        """Every session of an account is over."""
        self._database.run("logins_end", account=account, spared="", at=iso(now))


def _check_token(name: str, role: str, resource: str, lasts: timedelta | None) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UserError("a token needs a name", why=f"1 to {_LONGEST_NAME} characters that say what it is for", next="name it: laptop")
    if role not in ROLES:
        raise UserError(f"there is no role '{role}'", why=f"roles are {', '.join(ROLES)}", next="docs/reference/roles.md")
    kind, _, id = resource.partition(":")
    if resource != EVERYTHING and (kind not in ("experiment", "model") or not id):
        raise UserError(f"'{resource}' is no resource", why="it is experiment:ID, model:NAME or *", next="leave it out for all")
    if lasts is not None and lasts <= timedelta(0):
        raise UserError("a token that has ended is of no use", why="it must last for a while", next='lasts "90 days"')
