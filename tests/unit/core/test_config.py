"""Settings: where a value is taken from, and what a wrong one gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bedplate.core.config import SETTINGS, resolve
from bedplate.core.errors import UserError

FILE = Path("/somewhere/flights.py")


def test_the_environment_goes_before_the_target_and_the_target_before_the_file() -> None:
    file = {"cpu": 1, "lease": "5 s", "keep": "3 days", "target": {"big": {"cpu": 8, "lease": "9 s"}}}
    config = resolve(FILE, file, {"BEDPLATE_CPU": "4"}, "big")
    assert (config["cpu"], config["lease"], config["keep"], config["queue"]) == ("4", "9 s", "3 days", "20000")


def test_every_default_can_be_read() -> None:
    assert all(setting.read(setting.default) is not None or setting.default == "none" for setting in SETTINGS)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("cpu", "many", "'many' is not a number"),
        ("cpu", "-1", "'-1' is not a number"),
        ("cpu", "inf", "'inf' is not a number"),
        ("memory", "lots", "'lots' is not a size"),
        ("lease", "soon", "'soon' is not a duration"),
        ("watts", "65", "'65' is not a power"),
        ("checkpoints", "2.5", "'2.5' is not a whole number"),
        ("drift_psi", "", "'' is not a number"),
        ("price", "nan USD/hour", "'nan USD/hour' is not a price"),
        ("price", "inf USD/hour", "'inf USD/hour' is not a price"),
        ("price", f"{'9' * 400} USD/hour", f"'{'9' * 400} USD/hour' is not a price"),
        ("price", "3.2 USD/day", "'3.2 USD/day' is not a price"),
        ("price", "3.2 EUR/hour", "'3.2 EUR/hour' is not a price"),
        ("price", "-1 USD/hour", "'-1 USD/hour' is not a price"),
        ("price", "3.2", "'3.2' is not a price"),
        ("online", "memcached://cache", "'memcached://cache' is not known"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_its_setting(name: str, value: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        resolve(FILE, {name: value}, {})
    assert refused.value.what == f"the setting {name}: {says}"
    assert refused.value.next


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ({"stat": ".x"}, "no setting 'stat'"),
        ({"target": 3}, "'target' in bedplate.toml is not a table"),
        ({"target": {"big": 3}}, "'target' in bedplate.toml is not a table"),
        ({"default_target": "big"}, "no target 'big' in bedplate.toml"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(file: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        resolve(FILE, file, {})
    assert refused.value.next


def test_a_misspelt_variable_is_refused_and_the_right_one_named() -> None:
    with pytest.raises(UserError, match="no setting 'BEDPLATE_MEMRY'") as refused:
        resolve(FILE, {}, {"BEDPLATE_MEMRY": "3"})
    assert refused.value.next == "did you mean BEDPLATE_MEMORY?"
    with pytest.raises(UserError, match="no setting 'BEDPLATE_NOPE'"):
        resolve(FILE, {}, {"BEDPLATE_NOPE": "1"})
    assert resolve(FILE, {}, {"BEDPLATE_TARGET": "local", "BEDPLATER": "1", "BED": "2"}).target == "local"
