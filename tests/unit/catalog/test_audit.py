"""The audit log in the record: with the act or not at all, found out when it is touched, signed, kept within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from bedplate.catalog.backends.sqlite import SqliteDatabase, open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.keys import Keys
from bedplate.core.errors import BedplateError, Refused
from bedplate.security.decide import Grant
from bedplate.testing.clock import ManualClock

CLOCK = ManualClock()
NOW = CLOCK.now()


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return open_database(tmp_path / "catalog.db")


@pytest.fixture
def catalog(database: SqliteDatabase) -> Iterator[Catalog]:
    made = Catalog.open(database, CLOCK)
    made.accounts.add("ann", "", NOW)
    yield made
    made.close()


def touch(catalog: Catalog, sql: str) -> None:
    """What somebody does who has the file."""
    connection = apsw.Connection(catalog.database.location)
    connection.execute(sql)
    connection.close()


def grant(catalog: Catalog, role: str = "viewer") -> None:
    given = Grant(account="ann", resource="*", role=role)
    catalog.audited("root", "account.write", "account:ann", NOW, lambda: catalog.grants.put(given), {"role": role})


def found(catalog: Catalog, keys: Keys) -> list[str]:
    head = keys.head()
    return [one.what for one in catalog.audit.verify([keys.audit_public], [head] if head else [])]


def test_an_act_whose_entry_cannot_be_written_does_not_happen(catalog: Catalog) -> None:
    """The log fails, and so does the grant: it is closed, not open (AU-02)."""
    touch(catalog, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no space'); END")
    with pytest.raises(BedplateError):
        grant(catalog)
    assert catalog.grants.of("ann") == []


def test_an_act_that_fails_leaves_no_entry(catalog: Catalog) -> None:
    """What did not happen is not said to have happened."""
    with pytest.raises(Refused):
        catalog.audited("root", "account.write", "account:ann", NOW, lambda: catalog.accounts.add("ann", "", NOW))
    assert catalog.audit.found() == []


def test_entries_are_found_newest_first(catalog: Catalog) -> None:
    """By who, what and on what, a page at a time."""
    for role in ("viewer", "contributor", "maintainer"):
        grant(catalog, role)
    catalog.audit.add("eve", "run.delete", "experiment:3", NOW, outcome="refused")
    assert [one.id for one in catalog.audit.found()] == [4, 3, 2, 1]
    assert [one.id for one in catalog.audit.found(actor="root", before=3)] == [2, 1]
    assert [(one.actor, one.outcome) for one in catalog.audit.found(resource="experiment:3")] == [("eve", "refused")]
    assert json.loads(catalog.audit.found(action="account.write", most=1)[0].data) == {"role": "maintainer"}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'eve' WHERE id = 2",
        "UPDATE audit SET at = '2020' WHERE id = 3",
        "DELETE FROM audit WHERE id = 2",
        "DELETE FROM audit WHERE id = 3",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 3; DELETE FROM audit_heads",
        "DELETE FROM audit; DELETE FROM audit_heads",
        "UPDATE audit SET id = 9 WHERE id = 3",
        "UPDATE audit_heads SET digest = (SELECT digest FROM audit WHERE id = 2)",
        "UPDATE audit_heads SET signature = replace(signature, substr(signature, 1, 4), 'ffff')",
        "UPDATE audit_heads SET key = replace(key, substr(key, 1, 4), 'ffff')",
    ],
)
def test_what_is_done_to_the_log_is_found(catalog: Catalog, tmp_path: Path, sql: str) -> None:
    """Also where the signed heads in the record go with it: the newest is kept in the state folder too."""
    keys = Keys(tmp_path)
    for role in ("viewer", "contributor", "maintainer"):
        grant(catalog, role)
    head = catalog.audit.sign(keys.audit, NOW)
    assert head is not None
    keys.keep_head(head)
    assert found(catalog, keys) == []
    touch(catalog, sql)
    assert found(catalog, keys) != []


def test_what_comes_often_has_one_entry_a_minute(catalog: Catalog) -> None:
    """For each actor, route and resource; one that was undone with its act is no first."""

    def fails() -> None:
        catalog.audit.add_often("ann", "run.write", "experiment:3", "/log", NOW)
        raise Refused("no")

    with pytest.raises(Refused):
        catalog.together(fails)
    for _ in range(3):
        catalog.audit.add_often("ann", "run.write", "experiment:3", "/log", NOW)
    catalog.audit.add_often("bob", "run.write", "experiment:3", "/log", NOW)
    catalog.audit.add_often("ann", "run.write", "experiment:4", "/log", NOW)
    catalog.audit.add_often("ann", "run.write", "experiment:3", "/log", NOW + timedelta(minutes=1))
    assert [(one.actor, one.resource) for one in reversed(catalog.audit.found())] == [
        ("ann", "experiment:3"), ("bob", "experiment:3"), ("ann", "experiment:4"), ("ann", "experiment:3"),
    ]  # fmt: skip


def test_the_end_is_signed_once(catalog: Catalog, tmp_path: Path) -> None:
    """Nothing to sign: nothing is; signed again where nothing was added: the same head."""
    keys = Keys(tmp_path)
    assert catalog.audit.sign(keys.audit, NOW) is None
    grant(catalog)
    first = catalog.audit.sign(keys.audit, NOW)
    assert catalog.audit.sign(keys.audit, NOW) == first
    grant(catalog, "operator")
    later = catalog.audit.sign(keys.audit, NOW)
    assert later is not None
    assert (later.entry, len(catalog.audit.heads())) == (2, 2)


def test_what_a_caller_says_is_kept_within_bounds_and_as_it_is(catalog: Catalog) -> None:
    """A name of a megabyte does not fill the log, and line breaks in one make no second entry (LI-01)."""
    forged = "a\r\n2026-01-01 INFO user=admin action=grant ok"
    catalog.audit.add("ann", "experiment.create", forged, NOW, data={"name": forged, "long": "x" * 1_000_000})
    (entry,) = catalog.audit.found()
    assert entry.resource == forged
    assert len(entry.data) < 5000
    assert "\n" not in entry.data
