"""Artifacts: files of runs, logged models, traces and registered versions, behind addresses `mlflow-artifacts:/`.

Every path is judged by the one resolver (`core/client_paths.py`) and is then a key in the record; what comes in is streamed to the store,
what goes out is a download. A run's files can be written until it ends.
"""

from __future__ import annotations

import posixpath
from typing import Any, Final

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.files import ClientFile, Frozen, Full, Owner, full, listing
from bedplate.core import client_paths
from bedplate.core.client_paths import Place
from bedplate.core.digests import PREFIX
from bedplate.core.errors import NotFound
from bedplate.core.units import show_bytes
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, Reply, Resource, invalid, missing, on_server
from bedplate.storage.models import stored_of

from .artifact_forms import listed, seen_place, sent
from .words import Int64

PROXY: Final = "/api/2.0/mlflow-artifacts"
API: Final = "/api/2.0/mlflow"


class Addressed(Asks, frozen=True):
    """What lies at an address."""

    address: str


class VersionFile(Asks, frozen=True):
    """A file of a registered version, by address."""

    name: str
    number: Int64
    path: str


class Listing(Asks, frozen=True):
    """What lies in a folder, by address."""

    path: str = ""


class RunFolder(Asks, frozen=True):
    """What lies in a folder of a run."""

    run_id: str = ""
    run_uuid: str = ""
    path: str = ""
    page_token: str = ""


class RunFile(Asks, frozen=True):
    """A file of a run."""

    path: str
    run_id: str = ""
    run_uuid: str = ""


class ModelFile(Asks, frozen=True):
    """A file of a registered version."""

    name: str
    version: Int64
    path: str


def place_of(address: str) -> Place:
    """Where an address leads. Raises Fault."""
    place = client_paths.place(address)
    if place.owner == "version":
        raise invalid("Invalid path: a registered version is not written to")
    return place


def on_place(desk: Desk, asked: Addressed) -> Resource:
    """The experiment of an address."""
    return Resource("experiment", str(desk.catalog.tracking.files.owner(place_of(asked.address)).experiment))


def on_run(desk: Desk, asked: RunFolder | RunFile) -> Resource:
    """The experiment of a run."""
    return Resource("experiment", str(_run(desk, asked).experiment))


def on_version(_desk: Desk, asked: VersionFile | ModelFile) -> Resource:
    """A registered model."""
    return Resource("model", asked.name)


def download(desk: Desk, asked: Addressed) -> Reply:
    """A file."""
    place = place_of(asked.address)
    return _file(desk, desk.catalog.tracking.files.owner(place).id, client_paths.file_path(place.path))


def download_run(desk: Desk, asked: RunFile) -> Reply:
    """A file of a run."""
    return _file(desk, _run(desk, asked).id, client_paths.file_path(asked.path))


def download_version(desk: Desk, asked: VersionFile | ModelFile) -> Reply:
    """A file of a registered version, as it was registered."""
    number = asked.number if isinstance(asked, VersionFile) else asked.version
    path = client_paths.file_path(asked.path)
    file = version_files(desk.catalog, asked.name, number).get(path)
    if file is None:
        raise missing(f"there is no file '{path}' in {asked.name} version {number}")
    return sent(desk, file[0], posixpath.basename(path))


def version_files(catalog: Catalog, name: str, number: int) -> dict[str, tuple[str, int]]:
    """Digest (64 hex digits) and size of each file of a registered version, by path. Raises NotFound."""
    stored = stored_of(catalog.tracking.registry.artifact(name, number))
    files = stored.listing or stored.files
    return {path: (file.digest.removeprefix(PREFIX), file.size) for path, file in files.items()}


def list_folder(desk: Desk, asked: Listing) -> dict[str, Any]:
    """What lies in a folder, by names relative to it. Where one may look is asked of what is listed."""
    place = client_paths.place(asked.path)
    seen_place(desk, place)
    files = desk.catalog.tracking.files
    if place.owner == "version":
        found = [(path, size) for path, (_, size) in version_files(desk.catalog, place.id, place.number).items()]
        folder = f"{place.path}/" if place.path else ""
        entries = listing([one for one in found if one[0].startswith(folder)], place.path)
    else:
        entries = files.listed(files.owner(place).id, place.path)
    return {"files": listed(entries, below=place.path)}


def list_run(desk: Desk, asked: RunFolder) -> dict[str, Any]:
    """What lies in a folder of a run."""
    owner = _run(desk, asked)
    folder = client_paths.folder_path(asked.path)
    entries = desk.catalog.tracking.files.listed(owner.id, folder)
    root = client_paths.address(Place(owner="run", id=owner.id, experiment=owner.experiment))
    return {"root_uri": root, "files": listed(entries)}


def upload(desk: Desk, asked: Addressed) -> dict[str, Any]:
    """Take a file: its bytes to the store while they come, then its row; equal bytes sent again change nothing."""
    place = place_of(asked.address)
    path = client_paths.file_path(place.path)
    files = desk.catalog.tracking.files
    owner = files.owner(place)
    if files.get(owner.id, path) is None:
        refusing(lambda: files.check_open(owner))
    digest, size = taken(desk, owner, path)
    file = ClientFile(path=path, sha256=digest.removeprefix(PREFIX), size=size, changed_ms=desk.now_ms)
    refusing(lambda: desk.write(lambda catalog: catalog.tracking.files.put(place, file, desk.limits.experiment_bytes)))
    return {}


def taken(desk: Desk, owner: Owner, path: str) -> tuple[str, int]:
    """Receive the body into the store: its digest and size.

    Raises Fault 413 for one larger than may be uploaded, or than its experiment has room for: before its bytes are in the store, where
    they would lie until `gc` though no file names them.
    """
    body, most, quota = desk.upload(), desk.limits.file_bytes, desk.limits.experiment_bytes
    room = desk.catalog.tracking.files.room(owner, path, quota) if quota else most

    def check(size: int) -> None:
        if size > most:
            raise _too_large(most)
        if size > room:
            raise _told_full(full(owner, path, quota))

    check(body.length or 0)
    with desk.store.receive() as sink:
        for piece in body.pieces():
            check(sink.size + len(piece))
            sink.write(piece)
    return sink.digest, sink.size


def _told_full(error: Full) -> Fault:
    return Fault("RESOURCE_EXHAUSTED", f"{error.what}: {error.why}; {error.next}", status=413)


def refusing(work: Any) -> Any:
    """Do `work`; what the files refuse becomes a Fault that clients do not repeat."""
    try:
        return work()
    except Frozen as error:
        raise Fault("RESOURCE_CONFLICT", f"{error.what}: {error.why}") from None
    except Full as error:
        raise _told_full(error) from None


def delete(desk: Desk, asked: Addressed) -> dict[str, Any]:
    """Delete a file or a folder."""
    place = place_of(asked.address)
    refusing(lambda: desk.catalog.tracking.files.delete(place))
    return {}


def server_info(_desk: Desk, _asked: Any) -> dict[str, Any]:
    """What this server can do beyond the least that its clients take for granted."""
    return {"store_type": "SqlStore", "workspaces_enabled": False, "trace_archival_enabled": False, "multipart_uploads_enabled": True,
            "multipart_downloads_enabled": False}  # fmt: skip


def _run(desk: Desk, asked: RunFolder | RunFile) -> Owner:
    run = asked.run_id or asked.run_uuid
    found = desk.catalog.tracking.files.owner_of("run", run)
    if found is None:
        raise NotFound(f"Run with id={run[:80]} not found")
    return found


def _file(desk: Desk, owner: str, path: str) -> Reply:
    found = desk.catalog.tracking.files.get(owner, path)
    if found is None:
        raise missing(f"there is no file '{path}'")
    return sent(desk, found.sha256, posixpath.basename(path))


def _too_large(most: int) -> Fault:
    return Fault("BAD_REQUEST", f"the file is larger than {show_bytes(most)}, the setting upload_limit", status=413)


ENDPOINTS: Final = (
    Endpoint("GET", f"{PROXY}/artifacts", Listing, "experiment.list", on_server, list_folder),
    Endpoint("GET", f"{PROXY}/artifacts/registry/{{name}}/{{number}}/{{path...}}", VersionFile, "model.read", on_version, download_version),
    Endpoint("GET", f"{PROXY}/artifacts/{{address...}}", Addressed, "artifact.read", on_place, download),
    Endpoint("PUT", f"{PROXY}/artifacts/{{address...}}", Addressed, "artifact.write", on_place, upload, body="bytes"),
    Endpoint("DELETE", f"{PROXY}/artifacts/{{address...}}", Addressed, "artifact.delete", on_place, delete, writes=True),
    Endpoint("GET", f"{API}/artifacts/list", RunFolder, "artifact.read", on_run, list_run),
    Endpoint("GET", "/get-artifact", RunFile, "artifact.read", on_run, download_run),
    Endpoint("GET", f"{API}/get-artifact", RunFile, "artifact.read", on_run, download_run),
    Endpoint("GET", "/model-versions/get-artifact", ModelFile, "model.read", on_version, download_version),
    Endpoint("GET", f"{API}/model-versions/get-artifact", ModelFile, "model.read", on_version, download_version),
    Endpoint("GET", "/api/3.0/mlflow/server-info", msgspec.Struct, "experiment.list", on_server, server_info),
)
