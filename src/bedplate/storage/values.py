"""Values: scalars and checks as JSON in the record itself, pickles as blobs.

A scalar's JSON is kept in the draft's `value`; above 64 kB it is a blob. Not-a-number and the infinities have no JSON form and are
kept as `{"$float": "nan"}`; bytes, times, decimals, tuples, sets and records take msgspec's form and come back as JSON types (text,
numbers, lists, mappings). A consumer whose annotation names another type has it converted by the pipeline.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core import digests
from bedplate.core.check import Check
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.kinds import Kind, View
from bedplate.core.records import Draft, Version

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
        return self._kept(Draft(artifact=request.artifact, kind="scalar", digest=_scalar_digest(text), meta=dict(request.meta)), text)

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The value, as JSON types; of a value made of parts, a mapping of their keys to their values."""
        return _inward(_decoded(version, self._text(version)))

    def combine(self, artifact: str, parts: Mapping[str, Version], attempt: str) -> Draft:
        """One mapping of the parts' keys to their values."""
        values = {key: _decoded(version, self._text(version)) for key, version in sorted(parts.items())}
        return self._kept(_together(artifact, "scalar", parts), digests.canonical(values))

    def keys(self, version: Draft) -> tuple[str, ...]:
        """The keys of a mapping, or the items of a list, as text. Raises UserError for another value."""
        value = self.load(version, "scalar", None)
        if not isinstance(value, dict | list):
            raise UserError(f"{version.artifact} has no keys", why=f"it is a {type(value).__name__}", next="return a list or a mapping")
        return tuple(str(key) for key in value)

    def missing(self, version: Draft) -> list[str]:
        """The blob of a long value, when it is gone."""
        return _missing_blob(self.blobs, version)

    def verify(self, version: Draft) -> None:
        """Compute the digest again. Raises CorruptError."""
        _compare(version, _digest(version, self._text(version), _scalar_digest))

    def keeps(self, version: Draft) -> Iterable[str]:
        """The blob of a long value."""
        return [version.uri] if version.uri else []

    def _kept(self, draft: Draft, text: bytes) -> Draft:
        if len(text) <= MOST_INLINE:
            return msgspec.structs.replace(draft, value=text.decode(), size_bytes=len(text))
        return msgspec.structs.replace(draft, uri=self.blobs.relative(self.blobs.put(text)), size_bytes=len(text))

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
        return Draft(
            artifact=request.artifact, kind="check", digest=_check_digest(text), value=text.decode(), size_bytes=len(text), meta=meta
        )

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The Check; of one made of parts, all their findings."""
        found = _inward(_decoded(version, (version.value or "").encode()))
        try:
            return (
                Check.all(*msgspec.convert(found, dict[str, Check]).values()) if "parts" in version.meta else msgspec.convert(found, Check)
            )
        except msgspec.ValidationError as error:
            raise CorruptError(f"the record of {version.artifact} is not a check", why=str(error), next="bedplate doctor") from error

    def combine(self, artifact: str, parts: Mapping[str, Version], attempt: str) -> Draft:
        """One check of the findings of all parts."""
        values = {key: _decoded(version, (version.value or "").encode()) for key, version in sorted(parts.items())}
        text = digests.canonical(values).decode()
        return msgspec.structs.replace(_together(artifact, "check", parts), value=text, size_bytes=len(text))

    def keys(self, version: Draft) -> tuple[str, ...]:
        """The keys of its parts."""
        return tuple(key for key, _ in version.meta.get("parts", []))

    def missing(self, version: Draft) -> list[str]:
        """Nothing: it is in the record."""
        return []

    def verify(self, version: Draft) -> None:
        """Compute the digest again. Raises CorruptError."""
        _compare(version, _digest(version, (version.value or "").encode(), _check_digest))

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


def _scalar_digest(text: bytes) -> str:
    return digests.of_bytes(b"s1\n", text)


def _check_digest(text: bytes) -> str:
    return digests.of_bytes(b"c1\n", text)


def _together(artifact: str, kind: Kind, parts: Mapping[str, Version]) -> Draft:
    listed = [[key, parts[key].digest] for key in sorted(parts)]
    return Draft(artifact=artifact, kind=kind, digest=digests.of_parts((key, digest) for key, digest in listed), meta={"parts": listed})


def _digest(version: Draft, text: bytes, one: Callable[[bytes], str]) -> str:
    """The digest of a value as it is; of one made of parts, from the digests of their values."""
    if "parts" not in version.meta:
        return one(text)
    return digests.of_parts((key, one(digests.canonical(value))) for key, value in _decoded(version, text).items())


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
