"""A store in a bucket: the truth is there, and a local folder holds copies, for libraries that want files.

The shelves are those of the local store and know nothing of this: they write and read files under the folder. What a version needs is
what its shelf `keeps`; that is sent before `save` returns and fetched before `load` reads. The folder may be deleted at any time. Tables
send their own files, before the commit that names them (`backends/place.py`).

In the bucket: `blobs/`, `tables/`, `logs/`, `staged/` and `checkpoints/` as under a local store's root, and `bedplate.json`, which proves
put-if-absent. What an attempt writes is always sent, also where equal bytes are there: so it is young, and `gc` of another process, which
goes by age, does not take it from under a version that is about to be committed.

Limit: rejected rows and view folders stay on the machine that made them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bedplate.core.errors import CorruptError, StoreError
from bedplate.core.kinds import Kind, View
from bedplate.core.records import Draft, Outcome, Version

from . import blobs, client_models, disk, gc, remote_gc, staging, tables
from .blobs import Blobs
from .bucket import Bucket
from .cache import Cache, trim
from .flavours import File
from .logs import FOLDER as LOGS
from .logs import Log
from .manifests import FilesShelf
from .remote_checkpoints import BucketCheckpoints
from .shelf import Save, Shelf
from .sketch import Reference
from .store import TRAVELS, Store
from .tables import TableShelf
from .values import CheckShelf, PickleShelf, ScalarShelf

Answer = TypeVar("Answer")
_AT_ONCE = 16


def remote_store(
    root: Path,
    bucket: Bucket,
    shelves: Mapping[Kind, Shelf] | None = None,
    *,
    pickles: bool = True,
    makes: bool = True,
    cache: Cache | None = None,
) -> RemoteStore:
    """The store in `bucket`, with copies under `root`; `shelves` adds kinds or replaces them. A server passes `pickles=False`."""
    if makes:
        disk.make_folder(root)
    own: dict[Kind, Shelf] = {
        "table": TableShelf(root, bucket), "files": FilesShelf(root), "scalar": ScalarShelf(root), "check": CheckShelf(),
    }  # fmt: skip
    if pickles:
        own["pickle"] = PickleShelf(root)
    return RemoteStore(root, {**own, **(shelves or {})}, bucket, cache)


class RemoteStore(Store):
    """See the module; what each method is for stands at `Store`."""

    def __init__(self, root: Path, shelves: Mapping[Kind, Shelf], bucket: Bucket, cache: Cache | None = None) -> None:
        super().__init__(root, shelves, cache)
        self._bucket = bucket

    @property
    def objects(self) -> Bucket:
        return self._bucket

    def needs(self, version: Version) -> list[str]:
        return self._keys(version)

    def place(self, version: Draft) -> str:
        return f"{self._bucket.url}/{version.uri}"

    def save(self, request: Save) -> Draft:
        prior = request.prior
        if prior is not None and (request.append or prior.kind == "model") and not self.missing(prior):
            self._bring(prior)
        draft = super().save(request)
        known = set(self._keys(prior)) if prior is not None else set()
        self._send(key for key in self._of(draft).keeps(draft) if key.startswith(blobs.FOLDER) and not self._stays(key, known))
        return draft

    def _fetched(self, version: Version, view: View, spec: dict[str, Any] | None) -> Any:
        self._bring(version)
        try:
            return super()._fetched(version, view, spec)
        except CorruptError:  # the copy may be; what is in the bucket is looked at once more
            self._bring(version, anew=True)
            return super()._fetched(version, view, spec)

    def combine(self, artifact: str, kind: Kind, parts: Mapping[str, Version], attempt: str) -> Draft:
        if kind != "table":
            for part in parts.values():
                self._describe(part) if kind == "files" else self._bring(part)
        draft = super().combine(artifact, kind, parts, attempt)
        self._send([draft.uri] if draft.uri.startswith(blobs.FOLDER) else [])
        return draft

    def keys(self, version: Version) -> tuple[str, ...]:
        self._describe(version) if version.kind == "files" else self._bring(version)
        return super().keys(version)

    def missing(self, version: Version) -> list[str]:
        keys = self._keys(version)
        sizes = {f"{version.uri}/{name}": size for name, size, _ in tables.entries(version)} if version.kind == "table" else {}
        if version.kind == "service":
            return super().missing(version)
        found = _at_once(self._bucket.size, keys)
        return [key for key, size in zip(keys, found, strict=True) if size is None or size != sizes.get(key, size)]

    def verify(self, version: Version) -> None:
        with contextlib.suppress(StoreError):  # what is gone or corrupt is told below, by name
            self._bring(version, anew=not self.missing(version))
        super().verify(version)

    def shed(self, version: Version) -> list[str]:
        with contextlib.suppress(CorruptError):
            self._bring(version, anew=not self.missing(version))
        shed = super().shed(version) if version.kind == "table" else [key for key in self._keys(version) if self._is_corrupt(key)]
        self._bucket.delete(shed)
        return shed

    def files(self, version: Version, *, anew: bool = False) -> list[Path]:
        found = super().files(version)
        self._bring(version, anew=anew)
        return found

    def stage(self, outcome: Outcome) -> None:
        self._bucket.write(staging.relative(outcome.attempt), msgspec.json.encode(outcome, enc_hook=str))

    def staged(self, attempt: str) -> Outcome | None:
        return staging.decoded(self._bucket.read(staging.relative(attempt)))

    def unstage(self, attempts: Iterable[str]) -> None:
        self._bucket.delete([staging.relative(attempt) for attempt in attempts])

    def reference(self, version: Version) -> Reference | None:
        self._bring(version)
        return super().reference(version)

    def keep(self, path: Path) -> str:
        digest = super().keep(path)
        self._send([Blobs.relative(digest)])
        return digest

    @contextlib.contextmanager
    def receive(self) -> Iterator[blobs.Sink]:
        with super().receive() as sink:
            yield sink
        self._send([Blobs.relative(sink.digest)])

    def blob(self, digest: str) -> Path:
        key = Blobs.relative(digest)
        if not (self.root / key).is_file():
            self._bucket.fetch(key, self.root / key)
            if self.cache is not None:
                trim([self.root / place for place in TRAVELS], self.cache.most_bytes, {self.root / key})
        return super().blob(digest)

    def check(self, digest: str) -> None:
        (self.root / Blobs.relative(digest)).unlink(missing_ok=True)
        self.blob(digest)
        super().check(digest)

    def adopt(self, model: str, listing: Mapping[str, File], meta: Mapping[str, Any]) -> Draft:
        about = listing.get(client_models.FILE)
        if about is not None and about.size <= client_models.MOST_BYTES:
            self.blob(about.digest)
        return super().adopt(model, listing, meta)

    def checkpoints(self, key: str, count: int) -> BucketCheckpoints:
        return BucketCheckpoints(self.root, key, count, self._bucket)

    def log(self, name: str) -> Log:
        if name not in self._logs:
            self._logs[name] = Log(self.root, name, self._bucket)
        return self._logs[name]

    def logged(self, what: str) -> list[str]:
        place = f"{LOGS}/{what}/"
        return sorted({found.key.removeprefix(place).partition("/")[0] for found in self._bucket.list(place)})

    def gc(self, keep: Iterable[Version], older_than: datetime, dry_run: bool, blobs: Iterable[str] = ()) -> gc.GcReport:
        kept = {Blobs.relative(digest) for digest in blobs}
        for version in keep:
            kept.update(self._keys(version))
        report = remote_gc.collect(self._bucket, self.root, kept, older_than, dry_run)
        gc.collect(self.root, kept, older_than, dry_run)
        return report

    def _keys(self, version: Draft) -> list[str]:
        """The objects that a version needs; of files whose manifest is gone, that one."""
        if version.kind == "files":
            with contextlib.suppress(StoreError):
                self._describe(version)
        return [key for key in self._of(version).keeps(version) if key.startswith(TRAVELS)]

    def _describe(self, version: Draft) -> None:
        """Have the manifest of files here, and not the files."""
        if not (self.root / version.uri).exists():
            self._bucket.fetch(version.uri, self.root / version.uri)

    def _bring(self, version: Draft, *, anew: bool = False) -> None:
        """Have copies of everything that a version needs; with `anew`, fetched now."""
        if anew:
            for key in [version.uri, *self._keys(version)]:
                if key.startswith(TRAVELS) and (self.root / key).is_file():
                    (self.root / key).unlink(missing_ok=True)
        keys = self._keys(version)
        wanted = [key for key in keys if anew or not (self.root / key).exists()]
        _at_once(lambda key: self._bucket.fetch(key, self.root / key), wanted)
        if self.cache is not None and wanted:
            trim([self.root / place for place in TRAVELS], self.cache.most_bytes, {self.root / key for key in keys})

    def _send(self, keys: Iterable[str]) -> None:
        _at_once(lambda key: self._bucket.send(self.root / key, key), list(dict.fromkeys(keys)))

    def _stays(self, key: str, known: set[str]) -> bool:
        """Whether a kept version names it, and it is there."""
        return key in known and self._bucket.size(key) is not None

    def _is_corrupt(self, key: str) -> bool:
        try:
            self._bucket.fetch(key, self.root / key)
        except CorruptError:
            (self.root / key).unlink(missing_ok=True)
            return True
        except StoreError:
            return False
        return False


def _at_once(work: Callable[[str], Answer], keys: list[str]) -> list[Answer]:
    """Do it for every key, several at once; what the first of them raises is raised."""
    if len(keys) < 2:
        return [work(key) for key in keys]
    with ThreadPoolExecutor(min(_AT_ONCE, len(keys))) as pool:
        return list(pool.map(work, keys))
