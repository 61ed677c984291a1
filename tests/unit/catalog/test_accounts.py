"""Accounts, grants, tokens and sessions in the record; the first start; the files of keys."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.credentials import SESSION_IDLE, SESSION_LASTS
from bedplate.catalog.first_start import first_start
from bedplate.catalog.keys import Keys
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.security.decide import Actor, Grant, Scope
from bedplate.security.tokens import Presented, read
from bedplate.storage.private import keep_private, private_folder, read_private
from bedplate.testing.clock import ManualClock

BITS = random.SystemRandom().getrandbits


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def catalog(tmp_path: Path, clock: ManualClock) -> Iterator[Catalog]:
    made = Catalog.open(open_database(tmp_path / "catalog.db"), clock)
    made.accounts.add("root", "", clock.now(), is_admin=True)
    made.accounts.add("ann", "hash", clock.now())
    yield made
    made.close()


def presented(text: str) -> Presented:
    found = read(text)
    assert found is not None
    return found


def test_a_name_is_taken_once_in_any_case(catalog: Catalog, clock: ManualClock) -> None:
    """`Ann` would be read as `ann`."""
    for name in ("ann", "ANN"):
        with pytest.raises(Refused, match="already"):
            catalog.accounts.add(name, "", clock.now())


def test_the_last_admin_stays(catalog: Catalog, clock: ManualClock) -> None:
    """Not to be made a user, switched off or removed, while there is no other that may come in."""
    for act in (
        lambda: catalog.accounts.set_admin("root", False, clock.now()),
        lambda: catalog.accounts.set_active("root", False, clock.now()),
        lambda: catalog.accounts.remove("root"),
    ):
        with pytest.raises(Refused, match="last admin"):
            act()
    catalog.accounts.set_admin("ann", True, clock.now())
    catalog.accounts.remove("root")
    assert [one.name for one in catalog.accounts.all()] == ["ann"]


def test_a_token_is_its_accounts_until_it_ends(catalog: Catalog, clock: ManualClock) -> None:
    """It expires by default, counts no more once revoked, and its text is nowhere in the record (ST-10)."""
    made = catalog.credentials.add_token("ann", "laptop", clock.now(), BITS, role="viewer", resource="experiment:3")
    known = presented(made.text)
    scope = Scope(role="viewer", resource="experiment:3")
    assert catalog.credentials.of_token(known, clock.now()) == Actor(name="ann", scope=scope, how="token", key=made.id)
    assert catalog.credentials.of_token(known, clock.now() + timedelta(days=89)) is not None
    assert catalog.credentials.of_token(known, clock.now() + timedelta(days=90)) is None
    secret = made.text.rpartition("_")[2]
    assert not any(secret in str(row) for table in catalog.database.tables() for row in catalog.database.dump(table))
    catalog.credentials.revoke("ann", made.id, clock.now())
    assert catalog.credentials.of_token(known, clock.now()) is None
    with pytest.raises(NotFound):
        catalog.credentials.revoke("ann", made.id, clock.now())


def test_only_ones_own_token_is_revoked(catalog: Catalog, clock: ManualClock) -> None:
    """Another account's id is not found."""
    made = catalog.credentials.add_token("root", "server", clock.now(), BITS)
    with pytest.raises(NotFound):
        catalog.credentials.revoke("ann", made.id, clock.now())
    assert catalog.credentials.of_token(presented(made.text), clock.now()) is not None


def test_who_is_off_or_gone_does_not_come_in(catalog: Catalog, clock: ManualClock) -> None:
    """With a token or a session; switched on again the token counts, the session does not."""
    token = catalog.credentials.add_token("ann", "laptop", clock.now(), BITS)
    session, _ = catalog.credentials.add_session("ann", clock.now(), BITS)
    catalog.accounts.set_active("ann", False, clock.now())
    assert catalog.credentials.of_token(presented(token.text), clock.now()) is None
    assert catalog.credentials.of_session(presented(session.text), clock.now()) is None
    catalog.accounts.set_active("ann", True, clock.now())
    assert catalog.credentials.of_token(presented(token.text), clock.now()) is not None
    assert catalog.credentials.of_session(presented(session.text), clock.now()) is None
    catalog.accounts.remove("ann")
    assert catalog.credentials.of_token(presented(token.text), clock.now()) is None


def test_a_new_password_ends_sessions_and_by_choice_tokens(catalog: Catalog, clock: ManualClock) -> None:
    """Every session but the one that asked (ST-05)."""
    token = presented(catalog.credentials.add_token("ann", "laptop", clock.now(), BITS).text)
    here, there = (presented(catalog.credentials.add_session("ann", clock.now(), BITS)[0].text) for _ in range(2))
    catalog.accounts.set_password("ann", "other", clock.now(), spared=here.digest)
    assert catalog.credentials.of_session(here, clock.now()) is not None
    assert catalog.credentials.of_session(there, clock.now()) is None
    assert catalog.credentials.of_token(token, clock.now()) is not None
    catalog.accounts.set_password("ann", "third", clock.now(), ends_tokens=True)
    assert catalog.credentials.of_session(here, clock.now()) is None
    assert catalog.credentials.of_token(token, clock.now()) is None


def test_a_session_ends_when_it_is_left_alone(catalog: Catalog, clock: ManualClock) -> None:
    """Twelve hours after its last use, and after a week whatever its use."""
    key = presented(catalog.credentials.add_session("ann", clock.now(), BITS)[0].text)
    assert catalog.credentials.of_session(key, clock.now() + SESSION_IDLE) is not None
    assert catalog.credentials.of_session(key, clock.now() + SESSION_IDLE + timedelta(seconds=1)) is None
    for _ in range(int(SESSION_LASTS / SESSION_IDLE)):
        clock.forward(SESSION_IDLE.total_seconds() - 1)
        found = catalog.credentials.of_session(key, clock.now())
        assert found is not None
        assert found.stale
        catalog.credentials.note_seen(key.digest, clock.now())
    clock.forward(60)
    assert catalog.credentials.of_session(key, clock.now()) is None


def test_a_one_time_code_counts_once(catalog: Catalog, clock: ManualClock) -> None:
    """Nor does one of an earlier period after it; without a second factor no code counts."""
    assert not catalog.accounts.use_totp("ann", 7)
    catalog.accounts.set_totp("ann", "sealed", 6, clock.now())
    assert catalog.accounts.use_totp("ann", 7)
    assert not catalog.accounts.use_totp("ann", 7)
    assert not catalog.accounts.use_totp("ann", 6)
    assert catalog.accounts.use_totp("ann", 8)


def test_grants_count_where_they_were_given(catalog: Catalog) -> None:
    """On one thing or on everything; they follow a rename, and end with what they are about."""
    catalog.grants.put(Grant(account="ann", resource="model:late", role="viewer"))
    catalog.grants.put(Grant(account="ann", resource="*", role="contributor"))
    assert [one.role for one in catalog.grants.there("ann", "model:late")] == ["contributor", "viewer"]
    assert [one.role for one in catalog.grants.there("ann", "model:early")] == ["contributor"]
    catalog.grants.moved("model:late", "model:later")
    assert [one.account for one in catalog.grants.on("model:later")] == ["ann"]
    catalog.grants.ended("model:later")
    assert catalog.grants.on("model:later") == []
    assert catalog.grants.drop("ann", "*")
    assert not catalog.grants.drop("ann", "*")


@pytest.mark.parametrize(
    ("resource", "role"), [("*", "admin"), ("*", "owner"), ("run:3", "viewer"), ("experiment:", "viewer"), ("", "viewer")]
)
def test_an_odd_grant_is_refused(catalog: Catalog, resource: str, role: str) -> None:
    """Admin is not granted, and what is no resource is none."""
    with pytest.raises(UserError):
        catalog.grants.put(Grant(account="ann", resource=resource, role=role))


def test_two_states_begin_with_different_secrets(tmp_path: Path, clock: ManualClock) -> None:
    """A random token of 256 bits and keys of their own; `admin` has no password (DC-02, DC-01)."""
    tokens, keys = set(), set()
    for name in ("one", "two"):
        catalog = Catalog.open(open_database(tmp_path / name / "catalog.db"), clock)
        begun = first_start(catalog, tmp_path / name, clock.now(), BITS)
        assert begun.is_new
        assert read_private(tmp_path / name / "token") == begun.token
        assert catalog.accounts.get("admin").password == ""
        made = Keys(tmp_path / name)
        assert len(made.server) == len(made.audit) == 32
        tokens.add(begun.token)
        keys |= {made.server, made.audit}
        again = first_start(catalog, tmp_path / name, clock.now(), BITS)
        assert (again.token, again.is_new) == (begun.token, False)
        assert (Keys(tmp_path / name).server, Keys(tmp_path / name).audit) == (made.server, made.audit)
        catalog.close()
    assert (len(tokens), len(keys)) == (2, 4)


def test_a_revoked_first_token_is_not_made_again(tmp_path: Path, clock: ManualClock) -> None:
    """One whose year is over is: whoever starts the server owns the state."""
    catalog = Catalog.open(open_database(tmp_path / "catalog.db"), clock)
    token = first_start(catalog, tmp_path, clock.now(), BITS).token
    catalog.credentials.revoke("admin", presented(token).id, clock.now())
    assert first_start(catalog, tmp_path, clock.now(), BITS).token == ""
    keep_private(tmp_path / "token", catalog.credentials.add_token("admin", "first", clock.now(), BITS).text)
    clock.forward(91 * 86400)
    renewed = first_start(catalog, tmp_path, clock.now(), BITS)
    assert renewed.is_new
    assert catalog.credentials.of_token(presented(renewed.token), clock.now()) is not None
    catalog.close()


def test_the_files_of_a_state_are_their_owners_alone(tmp_path: Path, clock: ManualClock) -> None:
    """Whatever the umask: folders 0700; the record, its log, the keys and the token 0600 (SY-03)."""
    state, before = tmp_path / "state", os.umask(0)
    try:
        catalog = Catalog.open(open_database(state / "catalog.db"), clock)
        first_start(catalog, state, clock.now(), BITS)
        Keys(state)
        found = {path: stat.S_IMODE(path.lstat().st_mode) for path in (state, *state.rglob("*"))}
    finally:
        os.umask(before)
    assert {path.name: mode for path, mode in found.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}
    assert {"token", "server.key", "audit.key", "catalog.db", "catalog.db-wal"} <= {path.name for path in found}
    catalog.close()


def test_a_link_in_the_place_of_a_key_is_not_followed(tmp_path: Path) -> None:
    """Neither to read somebody's file as a key, nor to write over it (SY-05); and a file that others may read is no key."""
    victim = tmp_path / "victim"
    victim.write_text("keep")
    victim.chmod(0o600)
    folder = private_folder(tmp_path / "keys")
    (folder / "server.key").symlink_to(victim)
    with pytest.raises(Refused):
        read_private(folder / "server.key")
    keep_private(folder / "server.key", "new")
    assert (victim.read_text(), read_private(folder / "server.key")) == ("keep", "new")
    (folder / "server.key").chmod(0o644)
    with pytest.raises(Refused, match="is not read"):
        read_private(folder / "server.key")
    (tmp_path / "led").symlink_to(tmp_path)
    with pytest.raises(Refused, match="not a folder"):
        private_folder(tmp_path / "led")
