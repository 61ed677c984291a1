"""A source in a unit test of an ingest: bound as a run would bind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate import Files
from bedplate.core.errors import UserError
from bedplate.testing.sources import bound


def test_a_bound_source_reads_without_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("delay\n3\n")
    source = bound(Files("*.csv"), tmp_path)
    assert source.frame().collect()["delay"].to_list() == [3]
    assert source.new() == [tmp_path / "a.csv"]


def test_an_unbound_source_says_how_to_bind_it() -> None:
    with pytest.raises(UserError, match="not bound") as told:
        Files("*.csv").new()
    assert "bedplate.testing.sources.bound" in told.value.next
