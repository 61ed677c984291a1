"""Addresses of databases: passwords come from the environment, and are never shown."""

from __future__ import annotations

import pytest

from bedplate.core.errors import UserError
from bedplate.stages.ingest.address import filled, shown


def test_a_place_is_filled_and_quoted() -> None:
    """A password with an @ stays one part of the address."""
    assert filled("postgresql://shop:${WORD}@db/shop", {"WORD": "p@ss/1"}) == "postgresql://shop:p%40ss%2F1@db/shop"


def test_a_whole_address_may_come_from_the_environment() -> None:
    assert filled("${SHOP_URL}", {"SHOP_URL": "postgresql://a:b@db/shop"}) == "postgresql://a:b@db/shop"


def test_a_password_in_the_project_file_is_refused_without_being_repeated() -> None:
    with pytest.raises(UserError, match="has a password") as told:
        filled("postgresql://shop:hunter2@db/shop", {})
    assert "hunter2" not in f"{told.value} {told.value.why} {told.value.next}"


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(UserError, match="SHOP is not set"):
        filled("postgresql://shop:${SHOP}@db/shop", {})


def test_what_is_shown_has_no_user_and_no_password() -> None:
    assert shown("postgresql://shop:${WORD}@db:5432/shop") == "postgresql://db:5432/shop"
    assert shown("sqlite:///orders.db") == "sqlite:///orders.db"
