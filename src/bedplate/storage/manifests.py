"""Files: a manifest (each file's name, digest and size, sorted by name) and a blob per file; many small ones are packed (`packs.py`).

A step returns a Path (a file or a folder) or `Files`; the bytes are copied into the store, so that the step may reuse its folder. The
version's digest is over names and content, never over times or modes. A consumer gets the files under their own names, read-only, in a
folder of hard links; each file's digest is checked whenever they are handed out.

Refused: links to folders, names that would leave the folder, two files of one name. Empty folders inside are not kept.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.kinds import View
from bedplate.core.records import Draft, Version
from bedplate.core.sources import Entry, Files

from . import disk, folders, packs
from .blobs import Blobs
from .shelf import Save

SHARDS = "shards"
"""In the draft of a packed version: its shards, as [digest, size]."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """One file of a manifest; `name` is relative, with `/`."""

    name: str
    digest: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """The files of a version, sorted by name; `single` where the value was one file and not a folder."""

    members: tuple[Member, ...]
    single: bool = False

    @property
    def digest(self) -> str:
        """Over names and content; a single file and a folder with just that file differ."""
        return digests.of_parts([*((member.name, member.digest) for member in self.members), *([("", "single")] if self.single else [])])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(member.size for member in self.members)


class FilesShelf:
    """Keeps files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = Blobs(root)

    def save(self, request: Save) -> Draft:
        """Copy the files of a Path, a bound `Files` or a list of Paths."""
        single, found = _listed(request.value)
        if not request.part and packs.pays(found):
            return self._packed(request, found)
        manifest = keep(self.blobs, found, single)
        return Draft(
            artifact=request.artifact, kind="files", digest=manifest.digest, uri=put(self.blobs, manifest), rows=None,
            size_bytes=manifest.size, meta={**request.meta, "files": len(manifest.members)},
        )  # fmt: skip

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """`path`: the folder, or the file where one was kept. `files`: a bound `Files` of them. `samples`: read one by one."""
        if view == "samples":
            return importlib.import_module("bedplate.storage.backends.samples").of(self.blobs, version)
        if SHARDS in version.meta:
            return self._unpacked(version, view)
        manifest = get(self.blobs, version.uri)
        folder = unfolded(self.root, self.blobs, manifest)
        if view == "path":
            return folder / manifest.members[0].name if manifest.single else folder
        entries = [Entry(member.name, str(folder / member.name), member.size, member.digest) for member in manifest.members]
        return Files(pattern=version.artifact).bind(tuple(entries))

    def combine(self, artifact: str, parts: Mapping[str, Version], attempt: str) -> Draft:
        """One version with a folder per part, named by its key; no byte is copied."""
        members: list[Member] = []
        for key in sorted(parts):
            disk.inside(Path(), key)
            for member in get(self.blobs, parts[key].uri).members:
                members.append(msgspec.structs.replace(member, name=f"{key}/{member.name}"))
        manifest = Manifest(tuple(sorted(members, key=lambda member: member.name)))
        digest = digests.of_parts((key, version.digest) for key, version in parts.items())
        meta = {"files": len(members), "parts": [[key, parts[key].digest] for key in sorted(parts)], "manifest": manifest.digest}
        uri = put(self.blobs, manifest)
        return Draft(artifact=artifact, kind="files", digest=digest, uri=uri, size_bytes=manifest.size, meta=meta)

    def keys(self, version: Draft) -> tuple[str, ...]:
        """The keys of its parts, or the names of its files."""
        if "parts" in version.meta:
            return tuple(key for key, _ in version.meta["parts"])
        if SHARDS in version.meta:
            return tuple(one.name for one in self._rows(version))
        return tuple(member.name for member in get(self.blobs, version.uri).members)

    def missing(self, version: Draft) -> list[str]:
        """The manifest or the blobs that are gone."""
        digest = digest_at(version.uri)
        if not self.blobs.has(digest):
            return [version.uri]
        if SHARDS in version.meta:
            return [self.blobs.relative(shard) for shard, size in version.meta[SHARDS] if not self.blobs.has(shard, size)]
        members = get(self.blobs, version.uri).members
        return [self.blobs.relative(member.digest) for member in members if not self.blobs.has(member.digest, member.size)]

    def verify(self, version: Draft) -> None:
        """Read every blob. Raises CorruptError."""
        if SHARDS in version.meta:
            self._verify_packed(version)
            return
        manifest = get(self.blobs, version.uri)
        if manifest.digest != version.meta.get("manifest", version.digest):
            raise CorruptError(f"the manifest of {version.artifact} is not the one that was kept", next="bedplate doctor")
        for member in manifest.members:
            self.blobs.check(member.digest)

    def keeps(self, version: Draft) -> Iterable[str]:
        """The manifest, its blobs and the view folder; of a version whose manifest is gone, what is known."""
        yield version.uri
        yield from (self.blobs.relative(shard) for shard, _ in version.meta.get(SHARDS, ()))
        yield folders.relative(version.meta.get("manifest", version.digest))
        if SHARDS not in version.meta and self.blobs.has(digest_at(version.uri)):
            yield from (self.blobs.relative(member.digest) for member in get(self.blobs, version.uri).members)

    def _packed(self, request: Save, found: list[tuple[str, Path]]) -> Draft:
        prior = request.prior
        known = self._rows(prior) if prior is not None and SHARDS in prior.meta and not self.missing(prior) else iter(())
        packed = packs.pack(self.blobs, found, known)
        shards = sorted({one.shard for one in packed})
        uri = self.blobs.relative(self.blobs.put(packs.table().write(packed, shards)))
        return Draft(
            artifact=request.artifact, kind="files", digest=packs.digest_of(packed), uri=uri, size_bytes=sum(one.size for one in packed),
            meta={
                **request.meta, "files": len(packed), "same": len(packed) - len({one.sha256 for one in packed}),
                SHARDS: [[shard, self.blobs.path(shard).stat().st_size] for shard in shards],
            },
        )  # fmt: skip

    def _rows(self, version: Draft) -> Iterator[packs.Packed]:
        rows: Iterator[packs.Packed] = packs.table().rows(
            self.blobs.path(digest_at(version.uri)), [shard for shard, _ in version.meta[SHARDS]]
        )
        return rows

    def _unpacked(self, version: Draft, view: View) -> Any:
        """Files of their own, for a consumer that wants paths: written out once, and again where they are not whole."""
        samples = importlib.import_module("bedplate.storage.backends.samples").of(self.blobs, version)
        sizes = ((one.name, one.size) for one in self._rows(version))
        folder = folders.written(self.root, version.digest, sizes, ((sample.name, sample.data) for sample in samples))
        if view == "path":
            return folder
        entries = (Entry(one.name, str(folder / one.name), one.size, f"{digests.PREFIX}{one.sha256.hex()}") for one in self._rows(version))
        return Files(pattern=version.artifact).bind(tuple(entries))

    def _verify_packed(self, version: Draft) -> None:
        self.blobs.check(digest_at(version.uri))
        if packs.digest_of(list(self._rows(version))) != version.digest:
            raise CorruptError(f"the table of {version.artifact} is not the one that was kept", next="bedplate doctor")
        for shard, _ in version.meta[SHARDS]:
            self.blobs.check(shard)


def keep(blobs: Blobs, found: Iterable[tuple[str, Path]], single: bool = False) -> Manifest:
    """Copy files into blobs: (name, path) pairs to a manifest. Raises UserError for a name twice or outside."""
    members: dict[str, Member] = {}
    for name, path in found:
        disk.inside(Path(), name)
        if name in members:
            raise UserError(f"two files are named '{name}'", why="files are kept by name", next="give them different names")
        digest, size = blobs.put_file(path)
        members[name] = Member(name, digest, size)
    return Manifest(tuple(members[name] for name in sorted(members)), single)


def put(blobs: Blobs, manifest: Manifest) -> str:
    """Keep the manifest as a blob; its path relative to the store."""
    return blobs.relative(blobs.put(msgspec.json.encode(manifest)))


def get(blobs: Blobs, uri: str) -> Manifest:
    """The manifest at this path, checked. Raises StoreError or CorruptError."""
    try:
        return msgspec.json.decode(blobs.get(digest_at(uri)), type=Manifest)
    except msgspec.DecodeError as error:
        raise CorruptError(f"{uri} is not a manifest", why=str(error), next="bedplate doctor") from error


def digest_at(uri: str) -> str:
    """The digest that a blob's path names."""
    return digests.PREFIX + uri.rpartition("/")[2]


def unfolded(root: Path, blobs: Blobs, manifest: Manifest) -> Path:
    """The folder with the manifest's files under their names, each read and checked. Raises StoreError or CorruptError."""
    for member in manifest.members:
        blobs.check(member.digest)
    entries = [(member.name, blobs.path(member.digest)) for member in manifest.members]
    return folders.linked(root, manifest.digest, entries)


def walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file under a folder as (relative name, path), sorted. Raises UserError for a link to a folder, a socket or a device."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and path.is_dir():
            raise UserError(f"{path} is a link to a folder", why="it might lead anywhere", next="copy what it leads to")
        if path.is_dir():
            yield from ((f"{path.name}/{name}", inner) for name, inner in walk(path))
        elif path.is_file():
            yield path.name, path
        else:
            raise UserError(f"{path} is not a file", why="only files and folders are kept", next="delete it in the step")


def _listed(value: Any) -> tuple[bool, list[tuple[str, Path]]]:
    if isinstance(value, Files):
        return False, [(entry.name, path) for entry, path in zip(value.entries or (), value.paths, strict=True)]
    if isinstance(value, list | tuple) and all(isinstance(path, str | Path) for path in value):
        return False, [(Path(path).name, _existing(Path(path))) for path in value]
    if isinstance(value, str | Path):
        path = _existing(Path(value))
        return (False, list(walk(path))) if path.is_dir() else (True, [(path.name, path)])
    raise UserError(
        f"a {type(value).__name__} is not a file or a folder",
        why="the function is annotated to return files",
        next="return a pathlib.Path, or change the return annotation",
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist", why="the step returned it as its result", next="write it before returning its path")
    if not (path.is_file() or path.is_dir()):
        raise UserError(f"{path} is not a file", why="only files and folders are kept", next="return the path of a file or a folder")
    return path
