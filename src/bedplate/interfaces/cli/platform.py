"""The record and the bytes of a state, with a project in the folder or without: what `up` and the verbs about accounts stand on."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bedplate.assembly import configure, open_database, open_store
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import MACHINE, Clock, clock_of
from bedplate.core.config import Config
from bedplate.core.errors import NotFound
from bedplate.pipeline.code.load import find_project
from bedplate.storage.store import Store

_NO_PROJECT = "project.py"


class Standing(NamedTuple):
    """A state. `project` is the project file where there is one; `environ` what a child needs to stand on the same."""

    config: Config
    project: Path | None
    environ: Mapping[str, str]
    catalog: Catalog
    clock: Clock
    random_bits: Callable[[int], int]

    def opens(self) -> Catalog:
        """The catalog on a connection of its own."""
        return Catalog(open_database(self.config))

    def store(self) -> Store:
        """The bytes; pickles are not read."""
        return open_store(self.config, pickles=False)


def stand(given: str | None, target: str, *, state: str = "", store: str = "", makes: bool = True) -> Standing:
    """Open the state of the project in this folder, or of this folder where it has none; where there is none it is made, if it `makes`.

    `state` is the URL of a record, or a folder; `store` the URL of the bytes. Raises UserError, CatalogError, Refused.
    """
    try:
        project: Path | None = find_project(Path.cwd(), given)
    except NotFound:
        if given is not None:
            raise
        project = None
    environ = {**os.environ, **_overriding(state, store)}
    config = configure(project or Path.cwd() / _NO_PROJECT, target, environ)
    database = open_database(config, makes=makes)
    clock = database.clock if config["clock"] == MACHINE else clock_of(config)
    return Standing(config, project, environ, Catalog.open(database, clock), clock, random.SystemRandom().getrandbits)


def _overriding(state: str, store: str) -> dict[str, str]:
    """The settings that the options stand for."""
    found = {}
    if "://" in state:
        found["BEDPLATE_CATALOG"] = state
    elif state:
        found["BEDPLATE_STATE"] = str(Path(state).resolve())
    if store:
        found["BEDPLATE_STORE"] = store if "://" in store else f"file://{Path(store).resolve()}"
    return found
