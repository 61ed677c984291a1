"""A store on the local file system with every shelf of this floor; assembly adds the models' shelf."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bedplate.core.kinds import Kind

from . import disk
from .cache import Cache
from .manifests import FilesShelf
from .shelf import Shelf
from .store import Store
from .tables import TableShelf
from .values import CheckShelf, PickleShelf, ScalarShelf


def local_store(
    root: Path,
    shelves: Mapping[Kind, Shelf] | None = None,
    *,
    pickles: bool = True,
    makes: bool = True,
    cache: Cache | None = None,
) -> Store:
    """The store at `root`; `shelves` adds kinds or replaces them. A server passes `pickles=False`.

    The folder is made when it is not there, unless `makes` is False. Raises StoreError where it cannot be.
    """
    if makes:
        disk.make_folder(root)
    own: dict[Kind, Shelf] = {"table": TableShelf(root), "files": FilesShelf(root), "scalar": ScalarShelf(root), "check": CheckShelf()}
    if pickles:
        own["pickle"] = PickleShelf(root)
    return Store(root, {**own, **(shelves or {})}, cache)
