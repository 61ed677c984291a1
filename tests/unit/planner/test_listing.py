"""Lists of the catalogue: every kind, the word that narrows them, cells of mapped columns."""

from __future__ import annotations

import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import NotFound
from bedplate.planner.facts.listing import COLUMNS, cell, listing


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_has_rows_with_their_columns_and_a_source(kind: str) -> None:
    rows = listing(kind, knowledge())
    assert rows
    assert all(row.source for row in rows)
    assert any(cell(row, column) is not None for row in rows for column in COLUMNS[kind])


def test_a_word_narrows_a_list_by_name_alias_or_column() -> None:
    known = knowledge()
    assert {row.name for row in listing("accelerators", known, "h100-sxm")} == {"H100-SXM5-80GB"}
    assert all("H200" in str(cell(row, "accelerator")) for row in listing("prices", known, "h200-SXM"))
    assert listing("models", known, "no such model") == ()


def test_a_column_of_a_map_is_its_key() -> None:
    chip = listing("accelerators", knowledge(), "h100-sxm")[0]
    assert cell(chip, "tflops.bf16") == pytest.approx(989, rel=0.01)
    assert cell(chip, "tflops.fp4") is None


def test_an_unknown_list_names_those_there_are() -> None:
    with pytest.raises(NotFound, match="there is no list of 'gpus'"):
        listing("gpus", knowledge())
