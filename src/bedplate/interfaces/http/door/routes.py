"""The one table of routes: a dictionary for paths without ids, patterns by their number of segments for those with.

A path is matched as it was decoded once; nothing is tidied: `//`, `.`, `..`, `;`, a NUL or a trailing `/` match no route, except within
the part of a path that names a file, which the files' own check judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from bedplate.core.errors import InternalError
from bedplate.security.permissions import PERMISSIONS

from .asked import Reader
from .endpoint import OPEN, Endpoint

_NONE: Final[Mapping[str, str]] = {}
_REGISTRY: Final = ("/api/2.0/mlflow/registered-models/", "/api/2.0/mlflow/model-versions/")


class Route(NamedTuple):
    """An endpoint, ready to be asked."""

    endpoint: Endpoint
    reader: Reader


class Found(NamedTuple):
    """What a path leads to: a route for each method, and what the path says."""

    methods: Mapping[str, Route]
    values: Mapping[str, str]


class _Pattern(NamedTuple):
    segments: tuple[str, ...]
    rest: str
    methods: dict[str, Route]

    def match(self, segments: list[str], path: str) -> dict[str, str] | None:
        if len(segments) < len(self.segments) + bool(self.rest) or (not self.rest and len(segments) != len(self.segments)):
            return None
        values: dict[str, str] = {}
        for mine, given in zip(self.segments, segments, strict=False):
            if mine.startswith("{"):
                if not given:
                    return None
                values[mine[1:-1]] = given
            elif mine != given:
                return None
        if self.rest:
            values[self.rest] = path.split("/", len(self.segments))[-1]
        return values


class Routes:
    """Where each path leads."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: dict[tuple[str, ...], _Pattern] = {}
        self.endpoints = tuple(endpoints)
        opened = [one for one in self.endpoints if one.action == OPEN]
        for endpoint in self.endpoints:
            if endpoint.action not in PERMISSIONS and endpoint not in opened:
                raise InternalError(f"{endpoint.path}: '{endpoint.action}' is in no row of the table of permissions")
            if endpoint.writes and endpoint in opened:
                raise InternalError(f"{endpoint.path} is open: it writes with desk.write, once it knows who asks")
        for endpoint in self.endpoints:
            route = Route(endpoint, Reader(endpoint.asks))
            for path in served_under(endpoint.path):
                self._add(path, route)
        self._ordered = sorted(self._patterns.values(), key=_rank)

    def _add(self, path: str, route: Route) -> None:
        if "{" not in path:
            methods = self._fixed.setdefault(path, {})
        else:
            *segments, last = path.split("/")
            rest = last[1:-4] if last.endswith("...}") else ""
            key = (*segments, last)
            pattern = self._patterns.setdefault(key, _Pattern(tuple(segments) if rest else key, rest, {}))
            methods = pattern.methods
        if route.endpoint.method in methods:
            raise InternalError(f"{route.endpoint.method} {path} is in the table of routes twice")
        methods[route.endpoint.method] = route

    def find(self, path: str) -> Found | None:
        """Where a decoded path leads; None: nowhere."""
        methods = self._fixed.get(path)
        if methods is not None:
            return Found(methods, _NONE)
        segments = path.split("/")
        for pattern in self._ordered:
            values = pattern.match(segments, path)
            if values is not None:
                return Found(pattern.methods, values)
        return None


def _rank(pattern: _Pattern) -> tuple[bool, int, list[bool]]:
    """Patterns without a rest first; then those that say more; then those that say it in words."""
    rest = bool(pattern.rest)
    return rest, -len(pattern.segments) if rest else 0, [part.startswith("{") for part in pattern.segments]


def served_under(path: str) -> tuple[str, ...]:
    """Every path under which a row of the table is served; the registry's under the name that MLflow's clients before 2.0 know, too."""
    paths = [path]
    if path.startswith(_REGISTRY):
        paths.append(path.replace("/mlflow/", "/preview/mlflow/", 1))
    return (*paths, *(f"/ajax-api/{one.removeprefix('/api/')}" for one in paths if one.startswith("/api/")))
