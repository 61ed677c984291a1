"""Held: what is kept under one artifact's name, as a notebook reads it (`bedplate.open(".")["late"]`)."""

from __future__ import annotations

from typing import Any, Final

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import Clock
from bedplate.core.errors import NotFound
from bedplate.core.kinds import Kind, View
from bedplate.core.records import Version
from bedplate.storage.store import Store

from .served import served
from .wiring.graph import Graph
from .wiring.wires import DEFAULT_VIEW

LOADED_AS: Final[dict[Kind, View]] = {**DEFAULT_VIEW, "table": "polars", "service": "polars"}
"""How a kind is loaded where nothing else is asked for: as a step receives it, but frames are read at once."""


class Held:
    """The versions of one artifact, or the predictions of one service."""

    def __init__(self, name: str, *, graph: Graph, catalog: Catalog, store: Store, clock: Clock) -> None:
        self.name = name
        self._graph = graph
        self._catalog = catalog
        self._store = store
        self._clock = clock

    def __repr__(self) -> str:
        known, head = self.versions, self._catalog.artifacts.head(self.name)
        count = f"{len(known)} version{'s' if len(known) != 1 else ''}"
        told = f"{count}, {f'head {head.ref}' if head else 'no head'}" if known else "nothing yet"
        return f"<{self.name}: {told}>"

    @property
    def versions(self) -> list[Version]:
        """Its versions, newest first."""
        return self._catalog.artifacts.versions(self.name)

    def load(self, version: int | str | None = None, view: View | None = None) -> Any:
        """A version (the head without one; a number, alias or digest) as `view`, by default the kind's own.

        Of a service: everything that it has predicted, with the labels that are known. Raises NotFound.
        """
        found = self._predictions() if self._is_service() else self._catalog.artifacts.get(self._ref(version))
        return self._store.load(found, view or LOADED_AS[found.kind], self._graph.spec(self.name))

    def _ref(self, version: int | str | None) -> str:
        return self.name if version is None else f"{self.name}@{version}"

    def _is_service(self) -> bool:
        nodes = self._graph.nodes
        node = nodes.get(self.name) or nodes.get(self._graph.makers.get(self.name, ""))
        return node is not None and node.declaration.decorator == "service"

    def _predictions(self) -> Version:
        found = served(self._store, self.name, self._clock.now())
        if found is None:
            raise NotFound(f"'{self.name}' has predicted nothing yet", next=f"bedplate serve {self.name}")
        return found
