"""Store: where bytes are kept, on a local file system.

Under the root:

    blobs/sha256/ab/<digest>     content-addressed bytes: files, models, pickles, long values
    tables/<artifact>/           one Delta table per artifact, a commit per version
    logs/<name>/                 append-only Delta tables: predictions
    views/<digest>/              folders of hard links that give files back under their own names
    features/<digest>/           features tables sorted for the as-of join, memory-mapped
    staged/<attempt>.json        what an attempt made and the catalog does not know of yet
    checkpoints/<step key>/      states that a training step resumes from

The store knows no kind: it finds the `Shelf` of a kind in the table that it is given. What it returns is pinned by the catalog; what the
catalog does not name is invisible, and `gc` collects it. Nothing heavy is imported here: a hit costs a few `stat` calls.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core.errors import CorruptError, InternalError, StoreError, UserError
from bedplate.core.kinds import KIND_SCHEMA, READABLE, Kind, View
from bedplate.core.model import Model
from bedplate.core.records import Draft, Outcome, Version

from . import apart, disk, gc, previews, staging
from .blobs import FOLDER as BLOBS
from .blobs import Blobs, Sink, copied, gone
from .bucket import Bucket
from .cache import CACHED, Cache
from .checkpoints import FolderCheckpoints
from .flavours import File
from .folder_bucket import FolderBucket
from .logs import FOLDER as LOGS
from .logs import Log
from .models import ModelShelf
from .parts import Apart
from .previews import Preview
from .runtimes import Source
from .shelf import Parted, Save, Shelf
from .sketch import Reference
from .tables import FOLDER as TABLES
from .tables import Pinned, TableShelf

TRAVELS = (f"{BLOBS}/", f"{TABLES}/")
"""What a version needs lies under these; the rest of what a shelf keeps is derived from it."""


class Store:
    """Saves and loads versions of every kind that it has a shelf for; safe for several processes."""

    def __init__(self, root: Path, shelves: Mapping[Kind, Shelf], cache: Cache | None = None) -> None:
        self.root = root
        self.cache = cache
        self._shelves = dict(shelves)
        self._logs: dict[str, Log] = {}

    @property
    def objects(self) -> Bucket:
        """The bytes themselves, by key: for whoever copies them elsewhere."""
        return FolderBucket(self.root)

    def needs(self, version: Version) -> list[str]:
        """The objects that a version needs, by key, without what is derived from them."""
        return [key for key in self._of(version).keeps(version) if key.startswith(TRAVELS)]

    def place(self, version: Draft) -> str:
        """Where the version's bytes lie, for people."""
        return str(self.root / version.uri)

    def save(self, request: Save) -> Draft:
        """Put a value on disk. Its bytes are safe when this returns; the catalog makes them visible.

        Raises UserError for a value that cannot be kept as its kind, StoreError for a bad disk.
        """
        return self._shelf(request.kind).save(request)

    def load(self, version: Version, view: View, spec: dict[str, Any] | None = None) -> Any:
        """The committed version as `view`, out of the cache tier where there is one. Raises UserError, StoreError or CorruptError."""
        readable = READABLE.get(version.kind, frozenset())
        if view not in readable and not (view == "features" and version.kind == "table"):
            raise UserError(f"{version.ref} cannot be read as {view}", why=f"it is kept as {version.kind}: {', '.join(sorted(readable))}")
        if self.cache is None or version.kind != "table" or view not in CACHED:
            return self._fetched(version, view, spec)
        return importlib.import_module("bedplate.storage.backends.cached").load(
            self.cache, version, view, lambda: self._fetched(version, view, spec)
        )

    def _fetched(self, version: Version, view: View, spec: dict[str, Any] | None) -> Any:
        """The version out of the lake."""
        return self._of(version).load(version, view, spec)

    def part(self, version: Version, file: str) -> Any:
        """One of a table version's files (by its name in the record) as a lazy Polars frame: what a bucket fetches for a look is that file.

        Raises UserError for another kind, StoreError or CorruptError.
        """
        self._tables(version.kind, version.ref)
        files = [one for one in version.meta["files"] if one[0] == file]
        return self._fetched(msgspec.structs.replace(version, meta={"files": files}), "polars.lazy", None)

    def combine(self, artifact: str, kind: Kind, parts: Mapping[str, Version], attempt: str) -> Draft:
        """One version of an artifact made `each=`, from the versions of its parts by key; a table's parts become one commit.

        Raises UserError without parts, or where their columns differ.
        """
        if not parts:
            raise UserError(f"{artifact} has no parts yet", why="each= found no keys", next="run again when there are some")
        shelf = self._shelf(kind)
        return shelf.combine(artifact, parts, attempt) if isinstance(shelf, Parted) else Apart().combine(artifact, kind, parts)

    def keys(self, version: Version) -> tuple[str, ...]:
        """The keys that `each=` of this artifact runs for: its parts, its files, its items. Raises UserError where it has none."""
        shelf = self._shelf(version.kind)
        if isinstance(shelf, Parted):
            return shelf.keys(version)
        return tuple(key for key, _ in version.meta.get("parts", []))

    def exists(self, version: Version) -> bool:
        """Whether every byte that the version needs is there (by `stat`, not by reading)."""
        return not self.missing(version)

    def missing(self, version: Version) -> list[str]:
        """Which of the version's bytes are gone, by path relative to the root."""
        return self._of(version).missing(version)

    def verify(self, version: Version) -> None:
        """Read every byte of the version and compute its digest again. Raises CorruptError or StoreError."""
        missing = self.missing(version)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise StoreError(
                f"{version.ref}: {missing[0]}{more} is gone",
                why=f"it should lie under {self.root}",
                next=f"run again: what made {version.artifact} runs again",
            )
        self._of(version).verify(version)

    def shed(self, version: Version) -> list[str]:
        """Put away bytes of the version that are not what was written, so that making it again writes them; which."""
        if version.kind == "table":
            return self._tables(version.kind, version.ref).shed(version)
        blobs, shed = Blobs(self.root), []
        with contextlib.suppress(CorruptError):  # a manifest that is corrupt does not say which blobs there are
            for place in self._of(version).keeps(version):
                if place.startswith(f"{BLOBS}/") and blobs.shed(place):
                    shed.append(place)
        return shed

    def files(self, version: Version, *, anew: bool = False) -> list[Path]:
        """The Parquet files of a table version, in stored order; with `anew`, what is only a copy is fetched now.

        Raises UserError for another kind.
        """
        return self._tables(version.kind, version.ref).files(version)

    def pinned(self, version: Version, *, anew: bool = False) -> Pinned:
        """A table version's files and types, for DuckDB and other readers; see `files`."""
        return Pinned(paths=tuple(self.files(version, anew=anew)), schema=version.schema)

    def restore(self, artifact: str, pinned: Version | None, attempt: str) -> bool:
        """Undo a table commit that the catalog never learnt of: whether there was one.

        Where the table's last commit carries this attempt's id and is not the pinned version, the pinned version is made the table's
        newest again (with nothing pinned, the table is removed).
        """
        return self._tables("table", artifact).restore(artifact, pinned, attempt)

    def stage(self, outcome: Outcome) -> None:
        """Keep what an attempt made until the catalog knows of it."""
        staging.put(self.root, outcome)

    def staged(self, attempt: str) -> Outcome | None:
        """What the attempt staged; None where it did not get that far."""
        return staging.get(self.root, attempt)

    def unstage(self, attempts: Iterable[str]) -> None:
        """Forget staged outcomes that the catalog knows of, or that nobody wants."""
        staging.drop(self.root, attempts)

    def reference(self, version: Version) -> Reference | None:
        """What a model version was trained on, as sketches; None where only a few rows of it are known. Raises UserError, CorruptError."""
        shelf = self._shelf(version.kind)
        if not isinstance(shelf, ModelShelf):
            raise UserError(f"{version.ref} has no reference", why=f"it is kept as {version.kind}, and only a model has one")
        return shelf.reference(version)

    def source(self, version: Version, model: Model) -> Source | None:
        """What other runtimes of a loaded model version are made from; None where it does not compute on rows of numbers."""
        shelf = self._shelf(version.kind)
        return shelf.source(version, model.predictor) if isinstance(shelf, ModelShelf) else None

    def tried(self, model: Model, folder: Path) -> tuple[Model, Source | None]:
        """A trained model as it would be loaded, out of an empty folder; nothing is kept. Raises UserError where it cannot be stored."""
        shelf = self._shelf("model")
        if not isinstance(shelf, ModelShelf):
            raise InternalError("this store has no shelf of models")
        return shelf.tried(model, folder)

    def keep(self, path: Path) -> str:
        """Keep a file beside a step's record (a plot, a note): its digest. Raises StoreError."""
        return Blobs(self.root).put_file(path)[0]

    @contextlib.contextmanager
    def receive(self) -> Iterator[Sink]:
        """A sink for bytes that come from outside; when the block ends they are kept under `sink.digest`. Raises StoreError."""
        with Blobs(self.root).writer() as sink:
            yield sink

    def join(self, parts: Iterable[str]) -> tuple[str, int]:
        """Blobs one after the other as one: its digest and size in bytes. Raises StoreError, CorruptError."""
        with self.receive() as sink:
            for digest in parts:
                copied(self.blob(digest), digest, sink)
        return sink.digest, sink.size

    def blob(self, digest: str) -> Path:
        """A file with a blob's bytes, which are not looked at. Raises GoneError where they are not there, or a link to others is."""
        path = Blobs(self.root).path(digest)
        if path.is_symlink() or not path.is_file():
            raise gone(path)
        return path

    def preview(self, digest: str, name: str, *, rows: bool = True) -> Preview:
        """What is in a blob that somebody named so, and what of it may be shown; without `rows` no table is looked into.

        Raises StoreError where it is gone.
        """
        path = self.blob(digest)
        with disk.guard("read", path), path.open("rb") as file:
            head = file.read(previews.HEAD_BYTES)
            size = path.stat().st_size
        found = previews.preview(name, head, size)
        if not rows or found.form not in ("Parquet", "Arrow"):
            return found
        read = apart.first_rows(path, found.form, size)
        return read if read.wrong or not found.wrong else msgspec.structs.replace(read, wrong=found.wrong)

    def check(self, digest: str) -> None:
        """Read a blob and compute its digest again. Raises CorruptError, or StoreError where it is gone."""
        Blobs(self.root).check(digest)

    def adopt(self, model: str, listing: Mapping[str, File], meta: Mapping[str, Any]) -> Draft:
        """A model version of files that are in the store already (`receive`), as a client sent them; the catalog makes it visible."""
        shelf = self._shelf("model")
        if not isinstance(shelf, ModelShelf):
            raise InternalError("this store has no shelf of models")
        return shelf.adopt(model, listing, meta)

    def checkpoints(self, key: str, count: int) -> FolderCheckpoints:
        """The checkpoints of a step's cache key, of which the newest `count` are kept."""
        return FolderCheckpoints(self.root, key, count)

    def log(self, name: str) -> Log:
        """An append-only table, as `predictions/will_be_late`; it is made by the first append."""
        return self._logs.setdefault(name, Log(self.root, name))

    def logged(self, what: str) -> list[str]:
        """The names of the append-only tables that there are below `what`."""
        folder = self.root / LOGS / what
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def gc(self, keep: Iterable[Version], older_than: datetime, dry_run: bool, blobs: Iterable[str] = ()) -> gc.GcReport:
        """Collect what no version in `keep` needs and is older than `older_than`, which lies before every live lease.

        `blobs` are digests of files kept beside steps' records (`Store.keep`). Raises StoreError where the store cannot be read.
        """
        kept = {Blobs.relative(digest) for digest in blobs}
        for version in keep:
            kept.update(self._of(version).keeps(version))
        return gc.collect(self.root, kept, older_than, dry_run)

    def _of(self, version: Draft) -> Shelf:
        shelf = self._shelf(version.kind)
        return Apart() if "parts" in version.meta and not isinstance(shelf, Parted) else shelf

    def _shelf(self, kind: Kind) -> Shelf:
        shelf = self._shelves.get(kind)
        if shelf is None:
            known = ", ".join(sorted(self._shelves))
            raise InternalError(f"this store has no shelf for kind '{kind}'", why=f"it has {known}; kinds are {', '.join(KIND_SCHEMA)}")
        return shelf

    def _tables(self, kind: Kind, name: str) -> TableShelf:
        shelf = self._shelf(kind)
        if not isinstance(shelf, TableShelf):
            raise UserError(f"{name} is not a table", why=f"it is kept as {kind}")
        return shelf
