"""Tables out of the cache tier: Arrow files that are mapped, and the copies that are made of what was read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from bedplate.core.kinds import View
from bedplate.core.records import Version
from bedplate.storage.cache import Cache


def load(cache: Cache, version: Version, view: View, lake: Callable[[], Any]) -> Any:
    """The version as `view`: from its copy, else from the `lake`, and then perhaps copied."""
    lazy = view == "polars.lazy"
    path = cache.get(version.digest)
    if path is not None:
        return pl.scan_ipc(path) if lazy else pl.read_ipc(path)
    found = lake()
    if not lazy:
        cache.put(version.digest, version.artifact, int(found.estimated_size()), partial(_write, found))
        return found
    if not cache.wanted(version.digest):
        return found
    path = cache.put(version.digest, version.artifact, 4 * version.size_bytes, partial(_sink, found))
    return found if path is None else pl.scan_ipc(path)


def _write(frame: pl.DataFrame, path: Path) -> None:
    frame.write_ipc(path, compression="uncompressed")


def _sink(frame: pl.LazyFrame, path: Path) -> None:
    """As a stream, in stored order."""
    frame.sink_ipc(path, compression="uncompressed", maintain_order=True)
