"""The record and the bytes of a state, with a project in the folder or without: what `up` stands on, and the verbs that need no project."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import click

from bedplate.assembly import Kept, OpenProject, assemble, configure, open_database, open_store
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import MACHINE, Clock, clock_of
from bedplate.core.config import Config
from bedplate.core.errors import NotFound
from bedplate.pipeline.code.load import find_project, load_project
from bedplate.pipeline.owner import is_empty
from bedplate.storage.store import Store

from .verb import Asked

_NO_PROJECT = "project.py"


def at_a_state(function: Callable[..., int]) -> Callable[..., int]:
    """The options of a verb that is about a state wherever it lies, with a project or without."""
    state = click.option("--state", default="", metavar="URL", help="The record: postgresql://..., or a folder (default: the project's).")
    store = click.option("--store", default="", metavar="URL", help="The bytes: s3://..., or a folder (default: the project's).")
    return state(store(function))


class Configured(NamedTuple):
    """Settings, the project file where there is one, and the environment in which a child finds the same."""

    config: Config
    project: Path | None
    environ: Mapping[str, str]


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
    config, project, environ = configured(given, target, state, store)
    database = open_database(config, makes=makes)
    clock = database.clock if config["clock"] == MACHINE else clock_of(config)
    return Standing(config, project, environ, Catalog.open(database, clock), clock, random.SystemRandom().getrandbits)


def configured(given: str | None, target: str, state: str = "", store: str = "") -> Configured:
    """The settings of a state, its project file where there is one, and the environment that says so. Raises UserError, NotFound."""
    try:
        project: Path | None = find_project(Path.cwd(), given)
    except NotFound:
        if given is not None:
            raise
        project = None
    environ = {**os.environ, **_overriding(state, store)}
    return Configured(configure(project or Path.cwd() / _NO_PROJECT, target, environ), project, environ)


def workspace(asked: Asked, state: str = "", store: str = "", *, makes: bool = True) -> OpenProject:
    """The project in this folder, or where there is none what clients logged here: it has no steps. None of it is made there.

    Raises NotFound where there is neither, ProjectError where the project has mistakes.
    """
    config, project, _ = configured(asked.project, asked.target, state, store)
    if project is not None:
        return assemble(config, load_project(project), makes=makes)
    _used(config, state).close()
    return assemble(config, None, makes=makes)


def record(asked: Asked, state: str = "", store: str = "") -> Kept:
    """What is on record there, without importing the project's file. Raises NotFound where there is neither."""
    config, project, _ = configured(asked.project, asked.target, state, store)
    return Kept(config, _used(config, state) if project is None else Catalog.open(open_database(config, makes=False), clock_of(config)))


def _used(config: Config, state: str) -> Catalog:
    """The record of a state without a project, to look at. Raises NotFound where nobody ever used it."""
    catalog = Catalog.open(open_database(config, makes=False), clock_of(config))
    if is_empty(catalog):
        location = catalog.database.location
        if not state:
            find_project(config.folder)
        raise NotFound(f"there is no record at {location}", why="nobody logged there yet", next="bedplate up --state URL makes one")
    return catalog


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
