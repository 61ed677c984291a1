"""Sources for unit tests: listed and readable without a run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TypeVar

from bedplate.core.clock import SystemClock
from bedplate.core.sources import Entry, Source
from bedplate.stages.ingest import Doors

Bound = TypeVar("Bound", bound=Source)


def bound(source: Bound, folder: Path | str = ".", allow_networks: str = "none", before: tuple[Entry, ...] = ()) -> Bound:
    """The source as an ingest gets it, with what it holds now, listed as what follows `before`; nothing of it has been seen.

    Raises as a run would.
    """
    doors = Doors(Path(folder), Path(tempfile.mkdtemp(prefix="bedplate-downloads-")), SystemClock(), allow_networks)
    return source.bind(doors.listed(source, Path(folder), before), reader=doors)
