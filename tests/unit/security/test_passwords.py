"""Passwords and names of accounts: which are taken, how they are kept."""

from __future__ import annotations

import pytest

from bedplate.core.errors import UserError
from bedplate.security import passwords

GOOD = "plover quartz tandem 41"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "fewer than 12"),
        ("short-1!", "fewer than 12"),
        ("password1234", "guess"),
        ("adminadminadmin", "guess"),
        ("ann-plover-quartz", "holds the account's name"),
        ("qwertyuiop12", "guess"),
        ("x" * 257, "more than 256"),
        ("plover\nquartz tandem", "cannot be printed"),
    ],
)
def test_a_weak_password_is_refused(password: str, why: str) -> None:
    """With the reason, and never with the password in the message (DC-01, DC-04)."""
    with pytest.raises(UserError) as refused:
        passwords.check_password(password, "ann-plover" if "ann" in password else "somebody")
    said = str(refused.value)
    assert why in said or "guess" in said or refused.value.why
    assert not password or len(password) > 200 or password not in said


def test_a_good_one_is_taken_and_kept_as_argon2id() -> None:
    """With its own salt; the text is nowhere in what is kept."""
    passwords.check_password(GOOD, "ann")
    kept = passwords.hashed(GOOD, b"1" * 16)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in kept
    assert kept != passwords.hashed(GOOD, b"2" * 16)
    assert passwords.is_password(GOOD, kept)
    assert not passwords.is_password(GOOD + "x", kept)
    assert not passwords.is_outdated(kept)


def test_nobody_has_a_password() -> None:
    """An account without one, and one that is not there, fit none: not even the empty one, nor that of the stand-in."""
    for guess in ("", "nobody", GOOD):
        assert not passwords.is_password(guess, "")


def test_a_weaker_hash_is_outdated() -> None:
    """It is made anew at the next login."""
    assert passwords.is_outdated("$argon2id$v=19$m=8,t=1,p=1$MTExMTExMTE$vQ0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


@pytest.mark.parametrize("name", ["", "a" * 129, "a b", "a:b", "../a", "<b>", "a\nb", "-a", "ä", "local:root"])
def test_odd_names_are_refused(name: str) -> None:
    """A name stands in logs, cookies, headers and pages."""
    with pytest.raises(UserError):
        passwords.check_name(name)


@pytest.mark.parametrize("name", ["ann", "ann.b@example.com", "A-1_x+y"])
def test_ordinary_names_are_taken(name: str) -> None:
    """Mail addresses too."""
    passwords.check_name(name)
