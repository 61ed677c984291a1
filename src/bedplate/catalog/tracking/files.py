"""A client's files: keys in the record, bytes in the store under their digest.

An owner is a run, a logged model or a trace. Its files can be written while it is open (a run that goes on, a model that is not ready) and
are frozen then; to send again what is there already is no change. A name is a file or a folder, never both.

Deleted runs and models keep their files until `forget`, which `gc` calls: bytes that a model version names stay with that.
Limits: a listing reads every name below a folder; one folder shows at most 100,000.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bedplate.catalog.database import Database, Row
from bedplate.core.client_paths import ANY, Place, may_name
from bedplate.core.digests import PREFIX
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.records import Record

MOST_LISTED = 100_000
MOST_PARTS = 10_000
_OPEN_RUN = ("RUNNING", "SCHEDULED")
_OPEN_MODEL = "LOGGED_MODEL_PENDING"
_AFTER_SLASH = "0"


class Frozen(Refused):
    """Files whose owner is closed: a run that ended, a model that is ready."""


class Full(Refused):
    """An experiment whose files take all that they may."""


class Owner(Record, frozen=True, kw_only=True):
    """Whose files they are; `why_closed` is empty while they may be written."""

    kind: Literal["run", "model", "trace"]
    id: str
    experiment: int
    why_closed: str = ""
    deleted: bool = False


class ClientFile(Record, frozen=True, kw_only=True):
    """One file: its path below its owner, the digest of its bytes (64 hex digits), their number, and when it came (ms)."""

    path: str
    sha256: str
    size: int
    changed_ms: int


class Listed(Record, frozen=True, kw_only=True):
    """One line of a folder: a file with its size in bytes (-1: not known), or a folder."""

    path: str
    size: int = -1
    is_dir: bool = False


class Parted(Record, frozen=True, kw_only=True):
    """A file that comes in parts."""

    id: str
    owner: str
    path: str
    made_by: str
    parts: int
    created_ms: int


class Files:
    """What clients sent; writes are for inside a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def owner(self, place: Place) -> Owner:
        """Whose files a place is among. Raises NotFound where there is no such owner, or it is another experiment's."""
        found = self.owner_of(place.owner, place.id) if place.owner != "version" else None
        if found is None or place.experiment not in (ANY, found.experiment):
            raise NotFound(f"There is no {place.owner} with id={place.id}")
        return found

    def owner_of(self, kind: str, name: str) -> Owner | None:
        """The owner of that kind; None where there is none."""
        if kind == "run":
            row = self._database.one("owner_run", id=name)
            return None if row is None else _run(name, row)
        if kind == "model":
            row = self._database.one("owner_logged", id=name)
            return None if row is None else _model(name, row)
        row = self._database.one("owner_trace", id=name)
        return None if row is None else Owner(kind="trace", id=name, experiment=row[0])

    def put(self, place: Place, file: ClientFile, quota_bytes: int = 0) -> None:
        """A file has come and its bytes are in the store.

        Raises NotFound, Frozen where the owner is closed, Full for its experiment (`quota_bytes`, 0: no end), and UserError for a name that
        is a folder. A file that is there with these bytes stays as it is, whatever the owner's state.
        """
        owner = self.owner(place)
        there = self._database.one("client_file", owner=owner.id, path=file.path)
        if there is not None and there[1] == file.sha256:
            return
        self.check_open(owner)
        self._check_name(owner.id, file.path)
        before = there[2] if there is not None else 0
        if quota_bytes and file.size > self.room(owner, file.path, quota_bytes):
            raise full(owner, file.path, quota_bytes)
        self._grow(owner.experiment, file.size - before)
        self._database.run(
            "client_file_put", owner=owner.id, path=file.path, sha256=file.sha256, size_bytes=file.size, changed_ms=file.changed_ms
        )

    def room(self, owner: Owner, path: str, quota_bytes: int) -> int:
        """The most bytes that a file there may have, where its experiment's files may take `quota_bytes`; as many as it has, always."""
        there = self._database.one("client_file", owner=owner.id, path=path)
        return max(0, quota_bytes - self.taken(owner.experiment)) + (there[2] if there is not None else 0)

    def check_open(self, owner: Owner) -> None:
        """Raises Frozen where the owner's files are."""
        if owner.why_closed:
            raise Frozen(f"the files of {owner.kind} {owner.id} are frozen", why=owner.why_closed, next="set the run RUNNING again")

    def get(self, owner: str, path: str) -> ClientFile | None:
        """One file, or None; of a run of the project, what its step kept beside the record (its size is not known: -1)."""
        row = self._database.one("client_file", owner=owner, path=path)
        if row is not None:
            return _file(row)
        return next((one for one in self._said(owner) if one.path == path), None)

    def below(self, owner: str, folder: str = "") -> list[ClientFile]:
        """Every file below a folder, in order, with whole paths; a file's own path gives that file."""
        if not folder:
            return [_file(row) for row in self._database.rows("client_files_of", owner=owner, limit=MOST_LISTED)]
        found = [_file(row) for row in self._below(owner, folder)]
        one = self.get(owner, folder)
        return [one, *found] if one is not None else found

    def listed(self, owner: str, folder: str = "") -> list[Listed]:
        """What lies directly in a folder, files and folders, by name; nothing where it is a file or not there."""
        rows = self._below(owner, folder) if folder else self._database.rows("client_files_of", owner=owner, limit=MOST_LISTED)
        found = [(row[0], row[2]) for row in rows]
        said = [(one.path, one.size) for one in self._said(owner) if not folder or one.path.startswith(f"{folder}/")] if not rows else []
        return listing(found + said, folder)

    def delete(self, place: Place) -> int:
        """Delete a file, or a folder with what is in it; how many files. Raises NotFound, Frozen."""
        owner = self.owner(place)
        gone = self.below(owner.id, place.path)
        if not gone:
            return 0
        self.check_open(owner)
        if place.path:
            self._database.run("client_file_drop", owner=owner.id, path=place.path)
            self._database.run("client_files_drop_below", owner=owner.id, path=f"{place.path}/", upto=f"{place.path}{_AFTER_SLASH}")
        else:
            self._database.run("client_files_forget", owner=owner.id)
        self._grow(owner.experiment, -sum(file.size for file in gone))
        return len(gone)

    def begin_parts(self, place: Place, parted: Parted) -> None:
        """A file begins to come in parts. Raises as `put` does, and UserError for too many parts."""
        if not 0 < parted.parts <= MOST_PARTS:
            raise UserError(f"Invalid value for parameter 'num_parts': 1 to {MOST_PARTS} are taken")
        owner = self.owner(place)
        self.check_open(owner)
        self._check_name(owner.id, parted.path)
        self._database.run(
            "upload_add", id=parted.id, owner=owner.id, path=parted.path, made_by=parted.made_by, parts=parted.parts,
            created_ms=parted.created_ms,
        )  # fmt: skip

    def parted(self, upload: str) -> Parted | None:
        """A file that comes in parts, or None where it ended."""
        row = self._database.one("upload_get", id=upload)
        if row is None:
            return None
        return Parted(id=row[0], owner=row[1], path=row[2], made_by=row[3], parts=row[4], created_ms=row[5])

    def put_part(self, upload: str, number: int, sha256: str, size: int) -> None:
        """A part has come, perhaps again. Raises NotFound where the upload ended, UserError for a number that it does not have."""
        parted = self.parted(upload)
        if parted is None:
            raise NotFound(f"There is no upload with id={upload}")
        if not 0 < number <= parted.parts:
            raise UserError(f"Invalid value for parameter 'part_number': the upload has parts 1 to {parted.parts}")
        self._database.run("upload_part_put", upload=upload, number=number, sha256=sha256, size_bytes=size)

    def parts(self, upload: str) -> list[tuple[int, str, int]]:
        """Number, digest and size of each part that came, in order."""
        return [(row[0], row[1], row[2]) for row in self._database.rows("upload_parts_of", upload=upload)]

    def end_parts(self, upload: str) -> None:
        """Forget an upload in parts, whole or not."""
        self._database.run("upload_parts_drop", upload=upload)
        self._database.run("upload_drop", id=upload)

    def taken(self, experiment: int) -> int:
        """Bytes that the files of an experiment take."""
        return int(self._database.value("client_bytes", name=_counter(experiment)) or 0)

    def digests(self, before_ms: int) -> set[str]:
        """The digests (64 hex digits) that `gc` keeps: of owners not deleted before `before_ms`, and of parts that came since."""
        return {str(row[0]) for row in self._database.rows("client_digests", before_ms=before_ms)}

    def drop(self, owner: str, experiment: int) -> None:
        """Take an owner's files out of the record: it is gone itself."""
        size = sum(file.size for file in self.below(owner))
        if self._database.run("client_files_forget", owner=owner):
            self._grow(experiment, -size)

    def forget(self, before_ms: int) -> int:
        """Take the files of what was deleted before `before_ms` out of the record, and uploads that never ended; how many owners."""
        owners = self._database.rows("deleted_owners", before_ms=before_ms)
        for owner, experiment, size in owners:
            self._database.run("client_files_forget", owner=owner)
            self._grow(experiment, -int(size))
        for (upload,) in self._database.rows("uploads_stale", before_ms=before_ms):
            self.end_parts(upload)
        return len(owners)

    def _below(self, owner: str, folder: str) -> list[Row]:
        return self._database.rows("client_files_below", owner=owner, path=f"{folder}/", upto=f"{folder}{_AFTER_SLASH}", limit=MOST_LISTED)

    def _said(self, attempt: str) -> list[ClientFile]:
        """The files that a step of the project kept beside its record, where their names may name a file."""
        found = {row[0]: str(msgspec.json.decode(row[1])) for row in self._database.rows("files_said", attempt=attempt)}
        return [
            ClientFile(path=path, sha256=digest.removeprefix(PREFIX), size=-1, changed_ms=0)
            for path, digest in found.items()
            if may_name(path)
        ]

    def _check_name(self, owner: str, path: str) -> None:
        parts = path.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        clash = next((one for one in above if self._database.one("client_file", owner=owner, path=one) is not None), None)
        if clash is not None:
            raise UserError(f"Invalid path '{path}'", why=f"'{clash}' is a file")
        if self._database.rows("client_files_below", owner=owner, path=f"{path}/", upto=f"{path}{_AFTER_SLASH}", limit=1):
            raise UserError(f"Invalid path '{path}'", why="it is a folder")

    def _grow(self, experiment: int, by: int) -> int:
        return int(self._database.value("client_bytes_grow", name=_counter(experiment), by=by))


def full(owner: Owner, path: str, quota_bytes: int) -> Full:
    """That a file has no room."""
    return Full(
        f"experiment {owner.experiment} has no room for {path}", why=f"its files may take {quota_bytes} bytes together",
        next="delete runs and run bedplate gc, or raise the setting upload_quota",
    )  # fmt: skip


def listing(files: list[tuple[str, int]], folder: str) -> list[Listed]:
    """What lies directly in a folder, of all (path, size) below it."""
    prefix = f"{folder}/" if folder else ""
    found: dict[str, Listed] = {}
    for path, size in files:
        name, slash, _ = path[len(prefix) :].partition("/")
        whole = f"{prefix}{name}"
        found.setdefault(whole, Listed(path=whole, is_dir=True) if slash else Listed(path=whole, size=size))
    return [found[path] for path in sorted(found)]


def _counter(experiment: int) -> str:
    return f"client_bytes:{experiment}"


def _file(row: Row) -> ClientFile:
    return ClientFile(path=row[0], sha256=row[1], size=row[2], changed_ms=row[3])


def _run(run: str, row: Row) -> Owner:
    experiment, origin, status, stage = row
    why = "a run of the project keeps what its steps said" if origin != "client" else ""
    why = why or ("the run is deleted" if stage != "active" else "" if status in _OPEN_RUN else f"the run ended ({status})")
    return Owner(kind="run", id=run, experiment=experiment, why_closed=why, deleted=stage != "active")


def _model(model: str, row: Row) -> Owner:
    experiment, status, deleted_ms = row
    why = "the model is deleted" if deleted_ms is not None else "" if status == _OPEN_MODEL else f"the model is finished ({status})"
    return Owner(kind="model", id=model, experiment=experiment, why_closed=why, deleted=deleted_ms is not None)
