"""What each contract suite of the record begins with: an engine's empty record, and a clock that the test moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.database import Database

from .clock import ManualClock


class RecordContract(ABC):
    """Tests of one engine; each gets a fresh record."""

    @abstractmethod
    def make(self, folder: Path) -> Database:
        """A database that keeps its record in (or under the name of) a folder; the same folder, the same record."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Time, as the test says."""
        return ManualClock()

    @pytest.fixture
    def catalog(self, tmp_path: Path, clock: ManualClock) -> Iterator[Catalog]:
        """An empty record."""
        catalog = Catalog.open(self.make(tmp_path), clock)
        yield catalog
        catalog.close()
