"""Accounts and their grants: who may come in, and with which role on what.

A password is kept as its argon2id hash, empty for none: nobody logs in with an empty one. The last active admin stays. What ends an
account, or changes its password, ends its sessions in the same transaction. Limits: groups are not known; a grant is one account's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bedplate.core.clock import iso
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.records import Record
from bedplate.security.decide import EVERYTHING, Grant
from bedplate.security.passwords import check_name
from bedplate.security.permissions import ROLES

from .database import Database, Row


class Account(Record, frozen=True):
    """One account. `password` is a hash, `totp` a sealed secret, `totp_last` the last period of which a code was used.

    `subject` is how a provider of identity calls them; who is not `active` cannot come in. Times are text (UTC).
    """

    name: str
    password: str
    is_admin: bool
    totp: str
    totp_last: int
    subject: str
    active: bool
    created_at: str
    changed_at: str


class Accounts:
    """Who may come in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, password: str, now: datetime, *, is_admin: bool = False, subject: str = "") -> Account:
        """A new account; `password` is its hash, or empty. Raises UserError for a bad name, Refused for one that is taken."""
        check_name(name)

        def work() -> Account:
            at, admin = iso(now), int(is_admin)
            if not self._database.run("account_add", name=name, password=password, is_admin=admin, subject=subject, at=at):
                raise Refused(f"there is an account '{name}' already", next="choose another name")
            return self.get(name)

        return self._database.transact(work)

    def find(self, name: str) -> Account | None:
        """The account of that name; None where there is none."""
        row = self._database.one("account_get", name=name)
        return None if row is None else _account(row)

    def get(self, name: str) -> Account:
        """The account of that name. Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound(f"there is no account '{name}'", next="bedplate account list")
        return found

    def of_subject(self, subject: str) -> Account | None:
        """The account of somebody whom a provider of identity knows; None where there is none."""
        row = self._database.one("account_by_subject", subject=subject) if subject else None
        return None if row is None else _account(row)

    def all(self) -> list[Account]:
        """Every account by name."""
        return [_account(row) for row in self._database.rows("accounts_list")]

    def count(self) -> int:
        """How many there are."""
        return int(self._database.value("accounts_count"))

    def set_password(self, name: str, password: str, now: datetime, *, spared: str = "", ends_tokens: bool = False) -> None:
        """A new password's hash; ends every session but the one with the digest `spared`, and with `ends_tokens` every token."""

        def work() -> None:
            self._changed(self._database.run("account_password", name=name, password=password, at=iso(now)), name)
            self._database.run("logins_end", account=name, spared=spared, at=iso(now))
            if ends_tokens:
                self._database.run("tokens_revoke", account=name, at=iso(now))

        self._database.transact(work)

    def rehash(self, name: str, password: str, now: datetime) -> None:
        """The same password, hashed anew: nothing ends."""
        self._database.run("account_password", name=name, password=password, at=iso(now))

    def set_admin(self, name: str, is_admin: bool, now: datetime) -> None:
        """Make an account an admin, or none any more. Raises NotFound, Refused for the last one."""

        def work() -> None:
            if not is_admin:
                self._another_admin(name)
            self._changed(self._database.run("account_admin", name=name, is_admin=int(is_admin), at=iso(now)), name)

        self._database.transact(work)

    def set_active(self, name: str, active: bool, now: datetime) -> None:
        """Let an account in, or not: then its sessions end, its tokens wait. Raises NotFound, Refused for the last admin."""

        def work() -> None:
            if not active:
                self._another_admin(name)
                self._database.run("logins_end", account=name, spared="", at=iso(now))
            self._changed(self._database.run("account_active", name=name, active=int(active), at=iso(now)), name)

        self._database.transact(work)

    def set_subject(self, name: str, subject: str, now: datetime) -> None:
        """Say how a provider calls an account. Raises NotFound, Refused where it is another's."""

        def work() -> None:
            other = self.of_subject(subject)
            if other is not None and other.name != name:
                raise Refused(f"'{subject}' is {other.name}", next=f"bedplate account link {other.name} '' takes it away")
            self._changed(self._database.run("account_subject", name=name, subject=subject, at=iso(now)), name)

        self._database.transact(work)

    def set_totp(self, name: str, sealed: str, used: int, now: datetime) -> None:
        """A second factor, sealed, with the period of the code that proved it; empty takes it away. Raises NotFound."""
        self._changed(self._database.run("account_totp", name=name, totp=sealed, last=used, at=iso(now)), name)

    def use_totp(self, name: str, counter: int) -> bool:
        """Use the code of that period: False where it, or a later one, was used before."""
        return bool(self._database.run("account_totp_used", name=name, counter=counter))

    def remove(self, name: str) -> None:
        """End an account with its tokens, sessions and grants; the audit log keeps its name. Raises NotFound, Refused."""

        def work() -> None:
            self.get(name)
            self._another_admin(name)
            for query in ("account_drop_tokens", "account_drop_logins", "account_drop_grants", "account_drop"):
                self._database.run(query, name=name)

        self._database.transact(work)

    def _another_admin(self, name: str) -> None:
        account = self.get(name)
        if account.is_admin and account.active and not self._database.value("admins_other", name=name):
            raise Refused(
                f"{name} is the last admin", why="nobody could mend what is wrong then", next="make another account an admin first"
            )

    @staticmethod
    def _changed(rows: int, name: str) -> None:
        if not rows:
            raise NotFound(f"there is no account '{name}'", next="bedplate account list")


class Grants:
    """Which role an account has on what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, grant: Grant) -> None:
        """Give a role, in the place of one given there before. Raises NotFound for an unknown account, UserError for an unknown role."""
        check_grant(grant)

        def work() -> None:
            if self._database.one("account_get", name=grant.account) is None:
                raise NotFound(f"there is no account '{grant.account}'", next="bedplate account list")
            self._database.run(
                "grant_put", account=grant.account, resource=grant.resource, role=grant.role,
                granted_by=grant.granted_by, granted_at=grant.granted_at,
            )  # fmt: skip

        self._database.transact(work)

    def drop(self, account: str, resource: str) -> bool:
        """Take a role away; False where none was given."""
        return bool(self._database.run("grant_drop", account=account, resource=resource))

    def of(self, account: str) -> list[Grant]:
        """Every grant of an account."""
        return _grants(self._database.rows("grants_of", account=account))

    def there(self, account: str, resource: str) -> list[Grant]:
        """The grants of an account that count on one resource: what `decide` needs."""
        return _grants(self._database.rows("grants_there", account=account, resource=resource))

    def on(self, resource: str) -> list[Grant]:
        """Every grant on a resource."""
        return _grants(self._database.rows("grants_on", resource=resource))

    def moved(self, old: str, new: str) -> None:
        """A resource has another name now (a model was renamed)."""
        self._database.run("grants_move", old=old, new=new)

    def ended(self, resource: str) -> None:
        """A resource is gone for good: one that is made under its name later is nobody's yet."""
        self._database.run("grants_end", resource=resource)


def check_grant(grant: Grant) -> None:
    """Raise UserError for a role or resource that is not known."""
    if grant.role not in ROLES:
        raise UserError(f"there is no role '{grant.role}'", why=f"roles are {', '.join(ROLES)}", next="docs/reference/roles.md")
    kind, _, id = grant.resource.partition(":")
    if grant.resource != EVERYTHING and (kind not in ("experiment", "model") or not id):
        raise UserError(f"'{grant.resource}' is no resource", why="it is experiment:ID, model:NAME or *", next="bedplate account list")
    if grant.role == "admin":
        raise UserError("admin is not granted", why="an account is one, on everything, or is none", next="bedplate account admin NAME")


def _account(row: Row) -> Account:
    return Account(
        name=row[0], password=row[1], is_admin=bool(row[2]), totp=row[3], totp_last=row[4], subject=row[5],
        active=bool(row[6]), created_at=row[7], changed_at=row[8],
    )  # fmt: skip


def _grants(rows: Iterable[Row]) -> list[Grant]:
    return [Grant(account=row[0], resource=row[1], role=row[2], granted_by=row[3], granted_at=row[4]) for row in rows]
