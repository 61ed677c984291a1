"""The first start of a state: the account `admin`, without a password, and one random token for it.

The token is shown once, and kept for the command line of whoever owns the state (`.bedplate/token`, 0600). There is no default password,
and two states never have the same token. Started again, the same token counts; one whose time is over is made anew, one that was revoked
is not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from bedplate.core.records import Record
from bedplate.security.tokens import read
from bedplate.storage.private import keep_private, private_folder, read_private

from .catalog import Catalog

ADMIN: Final = "admin"
TOKEN_FILE: Final = "token"
_LASTS: Final = timedelta(days=365)


class FirstStart(Record, frozen=True):
    """The token of the state's owner (empty where it counts no more), and whether it was made just now."""

    token: str
    is_new: bool


def first_start(catalog: Catalog, state: Path, now: datetime, random_bits: Callable[[int], int]) -> FirstStart:
    """See that there is an admin, and a token of theirs in the state folder. Raises StoreError, CatalogError, Refused."""
    place = private_folder(state) / TOKEN_FILE

    def work() -> FirstStart:
        kept = read_private(place) or ""
        known = read(kept)
        if catalog.accounts.count():
            if known is not None and catalog.credentials.of_token(known, now) is not None:
                return FirstStart(token=kept, is_new=False)
            if known is None or not catalog.credentials.expired(known, now):
                return FirstStart(token="", is_new=False)
        else:
            catalog.accounts.add(ADMIN, "", now, is_admin=True)
            catalog.audit.add("server", "account.write", f"account:{ADMIN}", now, data={"why": "first start"})
        minted = catalog.credentials.add_token(ADMIN, "first", now, random_bits, lasts=_LASTS)
        catalog.audit.add("server", "me.write", f"token:{minted.id}", now, data={"account": ADMIN, "why": "start"})
        keep_private(place, minted.text)
        return FirstStart(token=minted.text, is_new=True)

    return catalog.together(work)
