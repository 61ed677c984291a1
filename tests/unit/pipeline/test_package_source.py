"""A Package source is known by the package's version and its files' names and sizes."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from bedplate import Package
from bedplate.stages.ingest.listing import list_package


def test_the_stamp_of_a_packages_file_is_the_packages_version() -> None:
    """Nothing of the file is read: an installed package does not change in place."""
    (entry,) = list_package(Package("bedplate", "starter/data/*.csv"))
    assert (entry.name, entry.stamp) == ("starter/data/penguins.csv", importlib.metadata.version("bedplate"))
    assert entry.size == Path(entry.path).stat().st_size
