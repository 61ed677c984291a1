"""What a warehouse query may name: artifacts by name or version, what services predicted, and the tables of the record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.export import TABLES, export
from bedplate.core.records import Version
from bedplate.storage.store import Store

from .served import PREDICTIONS, log_name, logs


def tables(names: Iterable[str], catalog: Catalog, store: Store, *, anew: bool = False) -> dict[str, Any]:
    """Name -> what the warehouse takes, for the names that a query asks for and that exist here.

    A table artifact is its pinned version's files, any other artifact one row with its value; a service's name is what it predicted
    (`"model/late"`: what a model was asked itself, `"shadow/late"`: what a shadow said). An artifact named like a table of the record
    hides it; `record.` is not needed otherwise. With `anew`, copies are fetched again.
    """
    served = set(logs(store))
    found: dict[str, Any] = {}
    for name in names:
        if (version := _version(catalog, name)) is not None:
            found[name] = store.pinned(version, anew=anew) if version.kind == "table" else _row(version)
        elif name in served and (files := store.log(log_name(PREDICTIONS, name)).files(anew=anew)):
            found[name] = files
        elif name in TABLES:
            found[name] = export(catalog.database, name)
    return found


def known(catalog: Catalog, store: Store) -> dict[str, list[str]]:
    """Every name that a query may use, with what it is."""
    names = catalog.artifacts.names()
    rows = [(name, f"{kind} artifact") for name, kind in names.items() if "[" not in name]
    rows += [(name, "predictions") for name in logs(store) if name not in names]
    rows += [(name, "record") for name in TABLES if name not in names]
    return {"table": [name for name, _ in rows], "what": [what for _, what in rows]}


def _version(catalog: Catalog, name: str) -> Version | None:
    base = name.partition("@")[0]
    return catalog.artifacts.find(name) if base in catalog.artifacts.names() else None


def _row(version: Version) -> dict[str, list[Any]]:
    return {
        "artifact": [version.artifact], "number": [version.number], "kind": [version.kind], "digest": [version.digest],
        "value": [version.value], "created_at": [version.created_at],
    }  # fmt: skip
