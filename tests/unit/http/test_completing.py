"""What may come next in a filter that somebody is writing."""

from __future__ import annotations

import pytest

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.overview import What
from bedplate.interfaces.http.console.many_runs.completing import columns, completed

KNOWN: dict[What, list[str]] = {"metric": ["val/acc", "acc"], "param": ["my depth", "a`b"], "tag": ["team"]}


def knows(what: What, part: str) -> list[str]:
    return [name for name in KNOWN[what] if part.lower() in name.lower()]


@pytest.mark.parametrize(
    ("text", "start", "options"),
    [
        ("met", 0, ("metrics.",)),
        ("metrics.ac", 0, ("metrics.val/acc ", "metrics.acc ")),
        ("params.`my", 0, ("params.`my depth` ",)),
        ("params.a", 0, ('params."a`b" ',)),
        ("metrics.acc ", 12, ("> ", "< ", "= ", ">= ", "<= ", "!= ")),
        ("metrics.acc >", 12, ("> ", ">= ")),
        ("params.`my depth` i", 18, ("ILIKE ", "IN ", "IS NULL ", "IS NOT NULL ")),
        ("metrics.acc > 0.5 ", 18, ("AND ",)),
        ("tags.team = 'x AND y' ", 22, ("AND ",)),
        ("tags.team = 'x AND met", 12, ()),
        ("metrics.acc > 0.5 AND params.`my depth` =", 40, ("= ",)),
        ("metrics.acc > 0.5 AND tags.t", 22, ("tags.team ",)),
        ("status = ", 9, ("'FINISHED' ", "'RUNNING' ", "'FAILED' ", "'KILLED' ", "'SCHEDULED' ")),
        ("attributes.status = 'fa", 20, ("'FAILED' ",)),
        ("nonsense.x", 0, ()),
        ("((( \u202e", 5, ()),
    ],
)
def test_the_comparison_that_is_being_written_is_completed(text: str, start: int, options: tuple[str, ...]) -> None:
    """Proves each place of a comparison, and that quoted words end none."""
    found = completed(text, knows)
    assert (found.start, found.options) == (start, options)


def test_an_empty_filter_begins_with_every_kind() -> None:
    """Proves that someone who knows nothing yet sees what there is."""
    assert {"metrics.", "params.", "tags.", "attributes.", "metrics.acc "} <= set(completed("", knows).options)


def test_columns_are_found_by_any_part_of_their_name() -> None:
    """Proves that each suggestion is a column that can be read back."""
    assert columns("acc", knows) == ["metrics.val/acc", "metrics.acc"]
    assert columns("params.de", knows) == ["params.`my depth`"]
    assert "attributes.user_id" in columns("user", knows)
    for what, names in KNOWN.items():
        for name in names:
            order = grammar.orders((grammar.spelt(what, name),), grammar.RUNS)[0]
            assert (order.entity, order.key) == (what, name)
