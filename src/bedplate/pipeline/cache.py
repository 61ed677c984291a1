"""Cache keys: what a step's result depends on, gathered into KeyParts (invariant 2).

Pure but for reading source files through `closure`. The key's digest is taken by `packages`' neighbour `closure.key`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core.digests import of_json
from bedplate.core.kinds import KIND_SCHEMA
from bedplate.core.records import Input, KeyParts, Part
from bedplate.core.sources import Entry

from .code.closure import files_of, step_code
from .code.load import Loaded, stat_of
from .code.packages import packages
from .why import FEATURES
from .wiring.graph import Graph, Node

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class Keyer:
    """Makes the KeyParts of a project's steps; the code closure of each function is worked out once."""

    def __init__(self, loaded: Loaded, graph: Graph, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self._loaded = loaded
        self._roots: list[Path] = [loaded.file.parent]
        self._graph = graph
        self._settings = settings
        self._code: dict[str, tuple[Part, ...]] = {}
        self._packages: dict[str, dict[str, str]] = {}

    def parts(self, node: Node, part: str, inputs: Mapping[str, Input], sources: Mapping[str, tuple[Entry, ...]]) -> KeyParts:
        """What the result of `node` (for one part) depends on, given its input versions and source entries."""
        own = self.own(node)
        return msgspec.structs.replace(
            own,
            inputs={name: given.version.digest if given.version else "" for name, given in inputs.items()},
            versions={name: given.version.ref if given.version else "" for name, given in inputs.items()},
            sources={name: fingerprint(entries) for name, entries in sources.items()},
            part=part,
        )

    def own(self, node: Node) -> KeyParts:
        """The part of it that is known before anything runs: code, settings, how features are looked up, packages, Python, kinds."""
        looked_up = {f"{FEATURES}{name}": _keyed(spec) for name, (_, spec) in self._graph.views(node).items()}
        return KeyParts(
            code=self.code(node),
            settings={**self.settings(node), **looked_up},
            packages=self._packages[node.name],
            python=PYTHON,
            kinds={out.kind: KIND_SCHEMA[out.kind] for out in node.outputs},
        )

    def settings(self, node: Node) -> dict[str, Any]:
        """The step's settings: what was set for this run, else the defaults."""
        given = self._settings.get(node.name, {})
        return {wire.name: given.get(wire.name, wire.default) for wire in node.wires if wire.role == "setting"}

    def edited(self) -> list[str]:
        """Files of the code that are not as they were read for it."""
        files = files_of([part for code in self._code.values() for part in code], self._roots)
        return [Path(name).name for name, stat in files.items() if stat_of(name) != stat]

    def code(self, node: Node) -> tuple[Part, ...]:
        """The step's code closure."""
        if node.name not in self._code:
            code = step_code(node, self._roots, self._loaded.file)
            self._code[node.name] = code
            self._packages[node.name] = packages(code, self._roots)
        return self._code[node.name]


def _keyed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a view of features depends on beside the rows: how it is keyed; not where a server reads it."""
    return {name: value for name, value in spec.items() if value and name != "online"}


def code_digest(code: Sequence[Part]) -> str:
    """One digest of a code closure: equal where every part is."""
    return of_json(sorted((part.name, part.digest) for part in code))


def fingerprint(entries: tuple[Entry, ...]) -> str:
    """A source's version: the digest of its entries (names, sizes, stamps)."""
    return of_json([[entry.name, entry.size, entry.stamp] for entry in entries])
