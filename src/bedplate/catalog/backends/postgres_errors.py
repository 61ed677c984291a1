"""What PostgreSQL raises, in our words: what may pass is `Again`, the rest one of the family tree's errors."""

from __future__ import annotations

import psycopg

from bedplate.core.errors import BedplateError, BusyError, CatalogError, InternalError, UserError

_CONFLICT = ("40001", "40P01", "55006")
_GONE = ("57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300", "53400")
_DAMAGED = ("XX001", "XX002")


class Again(Exception):
    """Ask again: a conflict, or the server is gone (`lost`), or did not let us in (`refused`). `final` is what is raised in the end."""

    def __init__(self, final: BedplateError, *, lost: bool, refused: bool = False) -> None:
        super().__init__(str(final))
        self.final = final
        self.lost = lost
        self.refused = refused


def translated(error: psycopg.Error, location: str, *, closed: bool) -> Again | BedplateError:
    """An error of a statement."""
    state, said = error.sqlstate or "", _first(error)
    if state in _CONFLICT:
        return Again(BusyError(f"the catalog at {location} is busy", why=said, next="bedplate status"), lost=False)
    if closed or state in _GONE or state.startswith("08") or (isinstance(error, psycopg.OperationalError) and not state):
        return Again(_gone(location, said), lost=True)
    if state == "55P03":
        return BusyError(f"the catalog at {location} is busy", why="another process held it for over 20 s", next="bedplate status")
    return _plain(error, state, said, location)


def refused(error: psycopg.Error, location: str) -> Again | BedplateError:
    """An error of making a connection: a server that starts, stops or is full is asked again, as is one that answered before."""
    lines = [line.strip().removeprefix("connection failed: ") for line in str(error).splitlines()]
    said = " ".join(dict.fromkeys(line for line in lines if line))  # each address that was tried says the same
    for words, state in (("starting up", "57P03"), ("shutting down", "57P03"), ("recovery", "57P03"), ("too many", "53300"),
                         ("remaining connection slots", "53300")):  # fmt: skip
        if words in said:
            return Again(_gone(location, said) if state != "53300" else _full(location, said), lost=True)
    if "authentication failed" in said or "no password" in said or "does not exist" in said or "no pg_hba" in said:
        return CatalogError(
            f"the database at {location} does not let us in",
            why=said,
            next="check user, password (PGPASSWORD, ~/.pgpass) and database name; bedplate target test",
        )
    return Again(_gone(location, said), lost=True, refused=True)


def _gone(location: str, said: str) -> CatalogError:
    return CatalogError(f"the database at {location} cannot be reached", why=said, next="see that it runs, then: bedplate target test")


def _full(location: str, said: str) -> BusyError:
    return BusyError(f"the database at {location} has no connection left", why=said, next="raise max_connections, or close others")


def _plain(error: psycopg.Error, state: str, said: str, location: str) -> BedplateError:
    if state.startswith("53"):
        return CatalogError(f"the catalog at {location} cannot be written", why=said, next="free some space on the server, then run again")
    if state == "25006":
        return CatalogError(f"the database at {location} is read-only", why=said, next="name the primary, not a standby")
    if state == "42501":
        return CatalogError(f"the user may not do this in {location}", why=said, next="GRANT CREATE ON DATABASE ... TO ...")
    if state in _DAMAGED or state.startswith("58"):
        return CatalogError(f"the catalog at {location} is damaged", why=said, next="bring it back from a copy: bedplate restore")
    if isinstance(error, psycopg.DataError):
        return UserError(f"the catalog at {location} cannot keep a value", why=said)
    return InternalError(f"the catalog's SQL failed: {said}", why=f"on {location}", next="please report this")


def _first(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
