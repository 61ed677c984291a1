"""Copies that go while a step reads them: they may be deleted at any time, so the step is tried once more and reads them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

import bedplate

PROJECT = """
import shutil
from pathlib import Path

import polars as pl

from bedplate import Project

shop = Project("shop")


@shop.prepare
def rows() -> pl.DataFrame:
    return pl.DataFrame({"x": range(1000)})


@shop.prepare
def eager(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.head(1)


@shop.prepare
def total(rows: pl.LazyFrame) -> pl.LazyFrame:
    if not Path("deleted").exists():
        Path("deleted").touch()
        shutil.rmtree(".bedplate/cache")
    return rows.select(pl.col("x").sum())
"""


def test_a_step_whose_copy_is_deleted_reads_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try finds its copy gone, which is the world's fault and not the code's; the second reads the lake."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEDPLATE_COMPUTE", "inline")
    (tmp_path / "shop.py").write_text(PROJECT)
    project = bedplate.open(tmp_path)
    project.run("eager")
    assert list((tmp_path / ".bedplate" / "cache").glob("*.arrow"))
    summary = project.run("total")
    tries = [one for one in project.catalog.runs.attempts(summary.run.id) if one.step == "total"]
    assert [(one.status, one.cause) for one in tries] == [("failed", "world"), ("done", "")]
    assert "what it read was deleted while it ran" in tries[0].message
    assert project["total"].load()["x"].to_list() == [499_500]
