"""Saved views: a page as an account left it (filter, columns, order), under a name of its own.

What is kept is what stands after `?` in the page's address and nothing else: it leads to that page only, and gives no rights.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from bedplate.core.clock import iso
from bedplate.core.errors import NotFound, UserError
from bedplate.core.records import Record

from .database import Database

LONGEST_NAME: Final = 100
LONGEST_ADDRESS: Final = 8_000
MOST: Final = 100
"""Views of one account, of one page."""


class View(Record, frozen=True, kw_only=False):
    """One saved view; `saved_at` is UTC text."""

    name: str
    address: str
    saved_at: str


class Views:
    """The saved views of accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, account: str, room: str) -> list[View]:
        """What an account saved of a page, by name."""
        return [View(*row) for row in self._database.rows("views_of", account=account, room=room)]

    def save(self, account: str, room: str, name: str, address: str, now: datetime) -> None:
        """Keep one, in the place of one of that name. Raises UserError for a name or address that cannot be, or one too many."""
        if not name.strip() or len(name) > LONGEST_NAME:
            raise UserError(f"a view needs a name of 1 to {LONGEST_NAME} characters")
        if len(address) > LONGEST_ADDRESS:
            raise UserError(f"the address of a view has at most {LONGEST_ADDRESS} characters: choose fewer columns")

        def work() -> None:
            known = {view.name for view in self.of(account, room)}
            if name not in known and len(known) >= MOST:
                raise UserError(f"an account keeps at most {MOST} views of a page: take one away first")
            self._database.run("view_put", account=account, room=room, name=name, address=address, saved_at=iso(now))

        self._database.transact(work)

    def drop(self, account: str, room: str, name: str) -> None:
        """Take one away. Raises NotFound."""
        if not self._database.run("view_drop", account=account, room=room, name=name):
            raise NotFound(f"there is no saved view '{name[:LONGEST_NAME]}'")
