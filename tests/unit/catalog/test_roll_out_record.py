"""Which moves of aliases try a version, when that ends, and what its end is on the record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.promotion import rolled_out
from bedplate.core.errors import Refused
from bedplate.core.records import Promotion
from bedplate.testing.clock import ManualClock
from bedplate.testing.records import History


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    clock = ManualClock()
    catalog = Catalog.open(open_database(tmp_path / "catalog.db"), clock)
    history = History(catalog, clock)
    for content in (1, 2, 3):
        history.make("late", content, "model")
    yield catalog
    catalog.close()


START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def move(alias: str, version: int, rule: str = "", reason: str = "") -> Promotion:
    return Promotion(model="late", alias=alias, version=version, by="person", at=START, check=rule, reason=reason)


def test_a_canary_is_tried_until_its_alias_or_production_moves() -> None:
    production, canary, shadow = move("production", 1), move("canary", 2, "5 %"), move("shadow", 3, "100 %")
    assert rolled_out([production, canary, shadow]) == [canary, shadow]
    assert rolled_out([production, canary, move("canary", 3)]) == []
    assert rolled_out([production, canary, shadow, move("production", 3)]) == []
    assert rolled_out([canary, production]) == []
    assert rolled_out([]) == []


def test_an_alias_of_that_name_without_a_rule_tries_nothing() -> None:
    """A client of the registry may call a version canary; a check may promote to it."""
    production = move("production", 1)
    assert rolled_out([production, move("canary", 2)]) == []
    assert rolled_out([production, move("canary", 2, "good_enough")]) == []
    assert rolled_out([production, move("staging", 2, "5 %")]) == []
    assert rolled_out([production, msgspec.structs.replace(move("canary", 2, "5 %"), by="rollback")]) == []


def test_a_version_is_tried_beside_another_one_only(catalog: Catalog) -> None:
    with pytest.raises(Refused, match="cannot be rolled out"):
        catalog.models.promote(move("canary", 2, "5 %"))
    catalog.models.promote(move("production", 2))
    with pytest.raises(Refused, match="in production already"):
        catalog.models.promote(move("canary", 2, "5 %"))
    catalog.models.promote(move("canary", 2))
    assert catalog.models.rolled_out("late") == []


def test_one_that_was_well_is_promoted_once(catalog: Catalog) -> None:
    """However many servers say so; and the move names the roll-out and its figures."""
    catalog.models.promote(move("production", 1))
    catalog.models.promote(move("canary", 2, "5 % for 30 min"))
    (trial,) = catalog.models.rolled_out("late")
    later = START + timedelta(minutes=31)
    made = catalog.models.conclude(trial, later, "900 requests", promotes=True)
    assert made is not None
    assert (made.alias, made.version, made.before, made.by, made.check) == ("production", 2, 1, "verdict", "roll-out")
    assert catalog.models.conclude(trial, later, "900 requests", promotes=True) is None
    assert catalog.models.conclude(trial, later, "it failed", promotes=False) is None
    assert (catalog.models.alias("late", "production"), catalog.models.rolled_out("late")) == (2, [])


@pytest.mark.parametrize("way", ["canary", "shadow"])
def test_one_that_was_not_goes_back_and_is_barred(catalog: Catalog, way: str) -> None:
    """Its alias names production's version again, and a person frees it."""
    catalog.models.promote(move("production", 1))
    catalog.models.promote(move(way, 2, "5 %"))
    (trial,) = catalog.models.rolled_out("late")
    made = catalog.models.conclude(trial, START, "it failed", promotes=False)
    assert made is not None
    assert (made.alias, made.version, made.before, made.by, made.reason) == (way, 1, 2, "rollback", "it failed")
    assert (catalog.models.barred("late"), catalog.models.alias("late", "production")) == ({2}, 1)
    assert catalog.models.rolled_out("late") == []
    catalog.models.promote(move(way, 2, "10 %"))
    assert (catalog.models.barred("late"), len(catalog.models.rolled_out("late"))) == (set(), 1)


def test_a_promotion_is_undone_once_and_only_while_it_stands(catalog: Catalog) -> None:
    """However many servers say so; production that moved since, and a first promotion, stay."""
    first = catalog.models.promote(move("production", 1))
    assert catalog.models.retreat(first, START, "it failed") is None
    second = catalog.models.promote(move("production", 2))
    undone = catalog.models.retreat(second, START, "it failed")
    assert undone is not None
    assert (undone.version, undone.before, undone.by, undone.reason) == (1, 2, "rollback", "it failed")
    assert catalog.models.barred("late") == {2}
    assert catalog.models.retreat(second, START, "it failed") is None
    third = catalog.models.promote(move("production", 3))
    catalog.models.promote(move("production", 2))
    assert catalog.models.retreat(third, START, "it failed") is None


def test_a_person_ends_one_as_any_alias(catalog: Catalog) -> None:
    """Back to production's version, even where the alias never named another; with the next rule it begins anew."""
    catalog.models.promote(move("production", 1))
    catalog.models.promote(move("canary", 2, "5 %"))
    old = catalog.models.rolled_out("late")
    catalog.models.promote(move("canary", 2, "20 %", reason="so far so good"))
    assert [one.check for one in catalog.models.rolled_out("late")] == ["20 %"]
    assert catalog.models.conclude(old[0], START, "of the rule before", promotes=False) is None
    assert catalog.models.rollback("late", "canary", START, "enough").version == 1
    assert (catalog.models.rolled_out("late"), catalog.models.barred("late")) == ([], {2})


@pytest.mark.parametrize("way", ["canary", "shadow"])
def test_an_alias_of_what_is_tried_no_more_names_nothing(catalog: Catalog, way: str) -> None:
    """However it ended: taken back, promoted, or overtaken by another version in production; one that was simply given is an alias."""
    catalog.models.promote(move("production", 1))
    catalog.models.promote(move(way, 2, "5 %"))
    assert catalog.models.named("late") == {"production": 1, way: 2}
    (trial,) = catalog.models.rolled_out("late")
    catalog.models.conclude(trial, START, "it failed", promotes=False)
    assert (catalog.models.named("late"), catalog.models.aliases("late")) == ({"production": 1}, {"production": 1, way: 1})
    assert [(one.alias, one.before, one.reason) for one in catalog.models.undone("late")] == [(way, 2, "it failed")]
    catalog.models.promote(move(way, 2, "10 %"))
    assert (catalog.models.named("late"), catalog.models.undone("late")) == ({"production": 1, way: 2}, [])
    catalog.models.promote(move("production", 3))
    assert catalog.models.named("late") == {"production": 3}
    catalog.models.promote(move(way, 1))
    assert catalog.models.named("late") == {"production": 3, way: 1}


def test_what_a_person_took_back_is_no_server_s_doing(catalog: Catalog) -> None:
    catalog.models.promote(move("production", 1))
    catalog.models.promote(move("canary", 2, "5 %"))
    catalog.models.rollback("late", "canary", START, "enough", "anna")
    assert (catalog.models.named("late"), catalog.models.undone("late")) == ({"production": 1}, [])


def test_a_canary_that_is_over_is_not_taken_back(catalog: Catalog) -> None:
    """Promoted it is production: taking its old alias back would bar the version that answers."""
    catalog.models.promote(move("production", 1))
    catalog.models.promote(move("canary", 2, "5 %"))
    (trial,) = catalog.models.rolled_out("late")
    catalog.models.conclude(trial, START, "well", promotes=True)
    with pytest.raises(Refused, match="no version of late is canary now"):
        catalog.models.rollback("late", "canary", START, "enough", "anna")
    assert catalog.models.barred("late") == set()
    catalog.models.promote(move("canary", 3, "5 %"))
    catalog.models.rollback("late", "canary", START, "enough", "anna")
    with pytest.raises(Refused, match="what was tried as canary is over"):
        catalog.models.rollback("late", "canary", START, "enough", "anna")
    assert catalog.models.barred("late") == {3}
