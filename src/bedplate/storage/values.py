"""Values: scalars and checks as JSON in the record itself, pickles as blobs.

A scalar's JSON is kept in the draft's `value`; above 64 kB it is a blob. Not-a-number and the infinities have no JSON form and are
kept as `{"$float": "nan"}`; bytes, times, decimals, sets and records take msgspec's form and come back as JSON types (a consumer whose
annotation is such a type has it converted by the pipeline).
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core import digests
from bedplate.core.check import Check
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.kinds import View
from bedplate.core.records import Draft

from . import manifests
from .blobs import Blobs
from .shelf import Save

MOST_INLINE = 64_000
_FLOAT = "$float"


class ScalarShelf:
    """Keeps numbers, text, lists and mappings: whatever has a JSON form."""

    def __init__(self, root: Path) -> None:
        self.blobs = Blobs(root)

    def save(self, request: Save) -> Draft:
        """Keep a value as canonical JSON. Raises UserError for what has none."""
        try:
            text = digests.canonical(_outward(msgspec.to_builtins(request.value)))
        except (TypeError, ValueError, RecursionError) as error:
            raise UserError(
                f"{request.artifact}: a {type(request.value).__name__} has no JSON form",
                why=str(error),
                next="return numbers, text, lists or mappings; for any Python object annotate the return as Pickle[...]",
            ) from error
        draft = Draft(
            artifact=request.artifact, kind="scalar", digest=digests.of_bytes(b"s1\n", text), size_bytes=len(text), meta=dict(request.meta)
        )
        if len(text) <= MOST_INLINE:
            return msgspec.structs.replace(draft, value=text.decode())
        return msgspec.structs.replace(draft, uri=self.blobs.relative(self.blobs.put(text)))

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The value, as JSON types."""
        return _inward(_decoded(version, self._text(version)))

    def missing(self, version: Draft) -> list[str]:
        """The blob of a long value, when it is gone."""
        return _missing_blob(self.blobs, version)

    def verify(self, version: Draft) -> None:
        """Compute the digest again. Raises CorruptError."""
        _compare(version, digests.of_bytes(b"s1\n", self._text(version)))

    def keeps(self, version: Draft) -> Iterable[str]:
        """The blob of a long value."""
        return [version.uri] if version.uri else []

    def _text(self, version: Draft) -> bytes:
        return self.blobs.get(manifests.digest_at(version.uri)) if version.uri else (version.value or "").encode()


class CheckShelf:
    """Keeps verdicts: a Check's JSON in the record."""

    def save(self, request: Save) -> Draft:
        """Keep a Check. Raises UserError for anything else."""
        if not isinstance(request.value, Check):
            raise UserError(
                f"{request.artifact} returned a {type(request.value).__name__}, not a Check",
                why="a check function returns what it found",
                next="return Check.at_least(...), Check.at_most(...), Check.compare(...) or Check.all(...)",
            )
        text = digests.canonical(_outward(msgspec.to_builtins(request.value)))
        meta = {**request.meta, "passed": request.value.passed}
        digest = digests.of_bytes(b"c1\n", text)
        return Draft(artifact=request.artifact, kind="check", digest=digest, value=text.decode(), size_bytes=len(text), meta=meta)

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The Check."""
        found = _inward(_decoded(version, (version.value or "").encode()))
        try:
            return msgspec.convert(found, Check)
        except msgspec.ValidationError as error:
            raise CorruptError(f"the record of {version.artifact} is not a check", why=str(error), next="bedplate doctor") from error

    def missing(self, version: Draft) -> list[str]:
        """Nothing: it is in the record."""
        return []

    def verify(self, version: Draft) -> None:
        """Compute the digest again. Raises CorruptError."""
        _compare(version, digests.of_bytes(b"c1\n", (version.value or "").encode()))

    def keeps(self, version: Draft) -> Iterable[str]:
        """Nothing: it is in the record."""
        return []


class PickleShelf:
    """Keeps Python objects of functions annotated `Pickle[...]`, and of no others; a server has no such shelf."""

    def __init__(self, root: Path) -> None:
        self.blobs = Blobs(root)

    def save(self, request: Save) -> Draft:
        """Pickle the value. Raises UserError for what cannot be pickled."""
        try:
            content = pickle.dumps(request.value, protocol=5)
        except Exception as error:  # a class may raise anything while it is pickled
            raise UserError(
                f"{request.artifact}: this {type(request.value).__name__} cannot be pickled", why=str(error), next="return plain data"
            ) from error
        digest = self.blobs.put(content)
        meta = {**request.meta, "pickle": 5, "type": f"{type(request.value).__module__}.{type(request.value).__qualname__}"}
        uri = self.blobs.relative(digest)
        return Draft(artifact=request.artifact, kind="pickle", digest=digest, uri=uri, size_bytes=len(content), meta=meta)

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The object, once its bytes are seen to be those that were kept."""
        content = self.blobs.get(version.digest)
        try:
            return pickle.loads(content)
        except Exception as error:  # a class may raise anything while it is read back
            raise UserError(
                f"{version.artifact} cannot be unpickled here", why=repr(error), next="run again: what made it runs again with today's code"
            ) from error

    def missing(self, version: Draft) -> list[str]:
        """The blob, when it is gone."""
        return _missing_blob(self.blobs, version)

    def verify(self, version: Draft) -> None:
        """Read the blob. Raises CorruptError."""
        self.blobs.check(version.digest)

    def keeps(self, version: Draft) -> Iterable[str]:
        """The blob."""
        return [version.uri]


def _missing_blob(blobs: Blobs, version: Draft) -> list[str]:
    return [version.uri] if version.uri and not blobs.has(manifests.digest_at(version.uri), version.size_bytes) else []


def _compare(version: Draft, found: str) -> None:
    if found != version.digest:
        raise CorruptError(f"the value of {version.artifact} has the digest {found}, not {version.digest}", next="bedplate doctor")


def _decoded(version: Draft, text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise CorruptError(f"the value of {version.artifact} is not JSON", why=str(error), next="bedplate doctor") from error


def _outward(value: Any) -> Any:
    """JSON types, with floats that JSON lacks spelt out."""
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(value)}
    if isinstance(value, Mapping):
        if _FLOAT in value:
            raise ValueError(f"the key '{_FLOAT}' is taken")
        return {key: _outward(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_outward(item) for item in value]
    return value


def _inward(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_FLOAT}:
            return float(value[_FLOAT])
        return {key: _inward(item) for key, item in value.items()}
    return [_inward(item) for item in value] if isinstance(value, list) else value
