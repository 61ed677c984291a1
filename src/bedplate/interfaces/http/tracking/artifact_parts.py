"""Large files in parts: begun, each part sent on its own (several at once, each again where it was lost), then put together, or given up.

The client is told a URL of this server for each part, and a token that is good for this experiment's files for an hour: its own credentials
are not sent there. The token ends with the upload.
"""

from __future__ import annotations

import posixpath
from datetime import timedelta
from typing import Any, Final

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.files import ClientFile, Owner, Parted
from bedplate.core import client_paths
from bedplate.core.client_paths import Place
from bedplate.core.digests import PREFIX
from bedplate.core.errors import NotFound
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, Resource, invalid, missing
from bedplate.security.decide import resource_name
from bedplate.security.permissions import least

from .artifacts import PROXY, place_of, refusing, taken

_LASTS: Final = timedelta(hours=1)


class Begin(Asks, frozen=True):
    """A file begins to come in parts; `folder` is an address, `path` the file's name on the client."""

    folder: str
    path: str
    num_parts: int


class Part(Asks, frozen=True):
    """One part."""

    upload_id: str
    number: int


class SentPart(msgspec.Struct):
    """A part as its client says that it was taken."""

    part_number: int
    etag: str


class Finish(Asks, frozen=True):
    """Every part was sent."""

    folder: str
    path: str
    upload_id: str
    parts: list[SentPart] = msgspec.field(default_factory=list)


class GiveUp(Asks, frozen=True):
    """The file is not sent after all."""

    folder: str
    path: str
    upload_id: str


def _place(asked: Begin | Finish | GiveUp) -> Place:
    folder = place_of(asked.folder)
    name = posixpath.basename(asked.path.replace("\\", "/"))
    path = client_paths.file_path(f"{folder.path}/{name}" if folder.path else name)
    return Place(owner=folder.owner, id=folder.id, experiment=folder.experiment, path=path)


def on_folder(desk: Desk, asked: Begin | Finish | GiveUp) -> Resource:
    """The experiment of an address."""
    return Resource("experiment", str(desk.catalog.tracking.files.owner(_place(asked)).experiment))


def on_upload(desk: Desk, asked: Part) -> Resource:
    """The experiment of an upload."""
    return Resource("experiment", str(_upload(desk, asked.upload_id)[1].experiment))


def _upload(desk: Desk, upload: str) -> tuple[Parted, Owner]:
    """An upload, and whose file it is. Raises Fault, NotFound."""
    files = desk.catalog.tracking.files
    parted = files.parted(upload)
    if parted is None:
        raise missing(f"there is no upload {upload[:80]!a}")
    owner = next((one for kind in ("run", "model", "trace") if (one := files.owner_of(kind, parted.owner)) is not None), None)
    if owner is None:
        raise NotFound(f"There is no owner of upload {parted.id}")
    return parted, owner


def begin(desk: Desk, asked: Begin) -> dict[str, Any]:
    """Begin: the upload's id, and where each part is sent."""
    place = _place(asked)
    upload = f"{desk.random_bits(128):032x}"
    parted = Parted(
        id=upload, owner=place.id, path=place.path, made_by=desk.actor.name, parts=asked.num_parts, created_ms=desk.now_ms
    )  # fmt: skip
    files = desk.catalog.tracking.files
    refusing(lambda: files.begin_parts(place, parted))
    owner = files.owner(place)
    minted = desk.catalog.credentials.add_token(
        desk.actor.name, f"upload {upload}", desk.now, desk.random_bits, role=least("contributor", desk.actor.scope.role),
        resource=resource_name("experiment", str(owner.experiment)), lasts=_LASTS,
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {minted.text}"}
    base = f"{desk.base}{PROXY}/mpu/part/{upload}"
    credentials = [{"url": f"{base}/{number}", "part_number": number, "headers": headers} for number in range(1, asked.num_parts + 1)]
    return {"upload_id": upload, "credentials": credentials}


def take_part(desk: Desk, asked: Part) -> Reply:
    """Take a part; its ETag is its digest."""
    parted, owner = _upload(desk, asked.upload_id)
    digest, size = taken(desk, owner, parted.path)
    sha256 = digest.removeprefix(PREFIX)
    desk.write(lambda catalog: catalog.tracking.files.put_part(asked.upload_id, asked.number, sha256, size))
    return Reply(headers=((b"etag", f'"{sha256}"'.encode()),))


def finish(desk: Desk, asked: Finish) -> dict[str, Any]:
    """Put the parts together, each as its client saw it taken."""
    place, files = _place(asked), desk.catalog.tracking.files
    parted = _parted(desk, place, asked.upload_id)
    came = {number: (sha256, size) for number, sha256, size in files.parts(parted.id)}
    said = {one.part_number: one.etag.strip('"') for one in asked.parts}
    lacking = [number for number in range(1, parted.parts + 1) if number not in came or said.get(number) != came[number][0]]
    if lacking or len(said) != parted.parts:
        raise invalid(f"Invalid value for parameter 'parts': part {lacking[0] if lacking else parted.parts + 1} is not as it was taken")
    if sum(size for _, size in came.values()) > desk.limits.file_bytes:
        raise invalid("Invalid value for parameter 'parts': together they are larger than the setting upload_limit")
    digest, size = desk.store.join(PREFIX + came[number][0] for number in sorted(came))
    file = ClientFile(path=place.path, sha256=digest.removeprefix(PREFIX), size=size, changed_ms=desk.now_ms)

    def work(catalog: Catalog) -> None:
        catalog.tracking.files.put(place, file, desk.limits.experiment_bytes)
        _end(catalog, desk, parted)

    refusing(lambda: desk.write(work))
    return {}


def give_up(desk: Desk, asked: GiveUp) -> dict[str, Any]:
    """Forget the parts; `gc` takes their bytes."""
    _end(desk.catalog, desk, _parted(desk, _place(asked), asked.upload_id))
    return {}


def _parted(desk: Desk, place: Place, upload: str) -> Parted:
    parted = desk.catalog.tracking.files.parted(upload)
    if parted is None or (parted.owner, parted.path) != (place.id, place.path):
        raise missing(f"there is no upload {upload[:80]!a} of {place.path}")
    return parted


def _end(catalog: Catalog, desk: Desk, parted: Parted) -> None:
    """The upload is over, and so is its token."""
    catalog.tracking.files.end_parts(parted.id)
    name = f"upload {parted.id}"
    for token in catalog.credentials.tokens(parted.made_by):
        if token.name == name and token.revoked_at is None:
            catalog.credentials.revoke(parted.made_by, token.id, desk.now)


ENDPOINTS: Final = (
    Endpoint("POST", f"{PROXY}/mpu/create/{{folder...}}", Begin, "artifact.write", on_folder, begin, writes=True),
    Endpoint("PUT", f"{PROXY}/mpu/part/{{upload_id}}/{{number}}", Part, "artifact.write", on_upload, take_part, body="bytes"),
    Endpoint("POST", f"{PROXY}/mpu/complete/{{folder...}}", Finish, "artifact.write", on_folder, finish),
    Endpoint("POST", f"{PROXY}/mpu/abort/{{folder...}}", GiveUp, "artifact.write", on_folder, give_up, writes=True),
)
