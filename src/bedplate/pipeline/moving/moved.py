"""The state of one import: where it comes from, what of it was counted, and how bytes are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.brought import Brought, Kept
from bedplate.catalog.tracking.theirs import Source, TheirFile
from bedplate.core import digests
from bedplate.core.client_paths import file_path
from bedplate.core.errors import BedplateError
from bedplate.storage.store import Store

Kind = Literal["experiments", "runs", "params", "metrics", "points", "files", "bytes", "logged_models", "models", "versions"]


class Moved:
    """What the parts of an import share; `now` says what time it is."""

    def __init__(self, source: Source, catalog: Catalog, store: Store, now: Callable[[], datetime]) -> None:
        self.source = source
        self.store = store
        self.catalog = catalog
        self.brought = Brought(catalog.database)
        self.now = now
        self.there: dict[str, int] = {}
        self.new: dict[str, int] = {}
        self.troubles: list[str] = []

    def count(self, what: Kind, many: int, *, new: bool) -> None:
        """Count what the source has; `new`: and what came now."""
        self.there[what] = self.there.get(what, 0) + many
        self.new[what] = self.new.get(what, 0) + (many if new else 0)

    def keep(self, file: TheirFile) -> Kept | None:
        """Put a file's bytes into the store; None, and told, where they cannot be had or its name may not stand."""
        try:
            file_path(file.path)
            with tempfile.TemporaryDirectory(prefix="bedplate-") as folder:
                path = self.source.fetch(file, Path(folder, "file"))
                size = path.stat().st_size
                digest = self.store.keep(path).removeprefix(digests.PREFIX)
        except (BedplateError, OSError) as error:
            self.troubles.append(f"{file.path} is left out: {error.line if isinstance(error, BedplateError) else error}")
            return None
        if size != file.size_bytes:
            self.troubles.append(f"{file.path} has {size} bytes, and its tracker says {file.size_bytes}: it is being written, or damaged")
        return Kept(file.path, digest, size)
