"""The record is backed up while others write to it: one moment, with everything that was acknowledged before it."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bedplate.catalog.archive import read_record, write_record
from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock

WRITER = str(Path(__file__).with_name("catalog_writer.py"))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f72_everything_acknowledged_before_is_in_it(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Three writers at full speed, five backups: each restores whole, and has all that was acknowledged when it began."""
    place: str = str(tmp_path / "catalog.db")
    opened: Any = open_database(Path(place))
    if engine == "postgresql":
        place = f"{request.getfixturevalue('postgres_url')}?schema=load_{os.urandom(4).hex()}"
        opened = importlib.import_module("bedplate.catalog.backends.postgres").open_url(place)
    catalog = Catalog.open(opened, SystemClock())
    words = [[sys.executable, WRITER, place, f"w{number}", "1000000"] for number in range(3)]
    writers = [subprocess.Popen(word, stdout=subprocess.PIPE, text=True) for word in words]
    try:
        seen: set[str] = set()
        for number in range(5):
            for writer in writers:
                assert writer.stdout is not None
                seen |= {writer.stdout.readline().split()[0] for _ in range(4)}
            file = io.BytesIO()
            catalog.database.snapshot(lambda file=file: write_record(catalog.database, file))  # type: ignore[misc]  # a default
            copy = open_database(tmp_path / f"copy{number}.db")
            read_record(copy, file.getvalue().splitlines())
            assert copy.faults() == []
            again = Catalog.open(copy, SystemClock())
            versions = again.artifacts.versions("shared", 10**6)
            assert seen <= {version.ref for version in versions}
            assert {again.runs.attempt(version.attempt).status for version in versions} == {"done"}
            again.close()
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
        catalog.close()
