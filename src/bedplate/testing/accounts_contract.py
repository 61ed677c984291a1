"""What every Database owes accounts and the audit log. Part of `CatalogContract`."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import NotFound, Refused
from bedplate.security.decide import Grant
from bedplate.security.tokens import read

from .clock import ManualClock

SEED = bytes(range(32))
BITS = random.Random(7).getrandbits
"""Repeatable: a test's tokens open nothing."""


class AccountsContract:
    """Tests of accounts, tokens, sessions, grants and the audit log on one engine; needs the fixtures of `CatalogContract`."""

    def test_a_name_is_one_account_in_any_case(self, catalog: Catalog, clock: ManualClock) -> None:
        """The second is refused, and changes nothing."""
        catalog.accounts.add("ann", "hash", clock.now())
        with pytest.raises(Refused):
            catalog.accounts.add("ANN", "other", clock.now())
        assert [(one.name, one.password, one.is_admin, one.active) for one in catalog.accounts.all()] == [("ann", "hash", False, True)]

    def test_an_admin_stays(self, catalog: Catalog, clock: ManualClock) -> None:
        """Also where the other one cannot come in."""
        catalog.accounts.add("one", "", clock.now(), is_admin=True)
        catalog.accounts.add("two", "", clock.now(), is_admin=True)
        catalog.accounts.set_active("two", False, clock.now())
        with pytest.raises(Refused):
            catalog.accounts.set_admin("one", False, clock.now())
        catalog.accounts.set_active("two", True, clock.now())
        catalog.accounts.remove("one")
        assert catalog.accounts.count() == 1

    def test_what_ended_counts_nowhere(self, catalog: Catalog, clock: ManualClock) -> None:
        """A token when it is revoked or its time is over, a session when it is ended or the password changed."""
        catalog.accounts.add("ann", "hash", clock.now())
        made = [catalog.credentials.add_token("ann", name, clock.now(), BITS, lasts=timedelta(hours=1)) for name in ("a", "b")]
        tokens = [read(one.text) for one in made]
        minted, csrf = catalog.credentials.add_session("ann", clock.now(), BITS)
        session = read(minted.text)
        assert session is not None
        found = catalog.credentials.of_session(session, clock.now())
        assert found is not None
        assert (found.actor.name, found.csrf) == ("ann", csrf)
        catalog.credentials.revoke("ann", made[0].id, clock.now())
        known = [catalog.credentials.of_token(one, clock.now()) for one in tokens if one is not None]
        assert [one.name if one else "" for one in known] == ["", "ann"]
        catalog.accounts.set_password("ann", "other", clock.now(), ends_tokens=True)
        assert catalog.credentials.of_session(session, clock.now()) is None
        assert [one.revoked_at is not None for one in catalog.credentials.tokens("ann")] == [True, True]
        with pytest.raises(NotFound):
            catalog.credentials.revoke("ann", made[1].id, clock.now())

    def test_a_code_is_used_once(self, catalog: Catalog, clock: ManualClock) -> None:
        """Of a second factor."""
        catalog.accounts.add("ann", "hash", clock.now())
        catalog.accounts.set_totp("ann", "sealed", 5, clock.now())
        assert [catalog.accounts.use_totp("ann", counter) for counter in (5, 6, 6, 8, 7)] == [False, True, False, True, False]

    def test_a_grant_takes_the_place_of_another(self, catalog: Catalog, clock: ManualClock) -> None:
        """One role on one thing; those over everything count too; what ends takes its grants along."""
        catalog.accounts.add("ann", "", clock.now())
        for resource, role in (("experiment:3", "viewer"), ("experiment:3", "maintainer"), ("*", "viewer")):
            catalog.grants.put(Grant(account="ann", resource=resource, role=role))
        assert {(one.resource, one.role) for one in catalog.grants.there("ann", "experiment:3")} == {
            ("experiment:3", "maintainer"),
            ("*", "viewer"),
        }
        catalog.grants.ended("experiment:3")
        assert [one.resource for one in catalog.grants.of("ann")] == ["*"]
        with pytest.raises(NotFound):
            catalog.grants.put(Grant(account="eve", resource="*", role="viewer"))

    def test_the_log_is_a_chain_without_gaps(self, catalog: Catalog, clock: ManualClock) -> None:
        """Also past an act that failed; its end is signed once, and what is found of it is newest first."""

        def fails() -> None:
            raise Refused("no")

        catalog.audited("ann", "run.delete", "experiment:3", clock.now(), lambda: None, {"run": "a"})
        with pytest.raises(Refused):
            catalog.audited("ann", "run.delete", "experiment:3", clock.now(), fails)
        catalog.audit.add("eve", "run.delete", "experiment:3", clock.now(), outcome="refused")
        assert [(one.id, one.actor, one.outcome) for one in catalog.audit.found()] == [(2, "eve", "refused"), (1, "ann", "done")]
        head = catalog.audit.sign(SEED, clock.now())
        assert head is not None
        assert catalog.audit.sign(SEED, clock.now()) == head
        assert catalog.audit.verify([head.key], [head]) == []
        assert [one.what for one in catalog.audit.verify([])] == ["its head is signed with a key that is not known here"]
