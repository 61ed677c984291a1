"""Registered models and versions in the protocol's words, and what a version's source leads to."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bedplate.catalog.tracking.files import ClientFile, Owner
from bedplate.catalog.tracking.registered import ModelVersion, RegisteredModel
from bedplate.catalog.tracking.registry_search import PROMPT
from bedplate.catalog.tracking.tracked import Named
from bedplate.core import client_paths
from bedplate.core.client_paths import Place, Source
from bedplate.core.digests import PREFIX
from bedplate.core.records import Record
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Resource, invalid, missing
from bedplate.storage.flavours import File
from bedplate.storage.models import stored_of

from .artifact_forms import seen_place
from .words import AskedTag, Int64, need_model

_NO_FILES: Final = ("dummy-source", "prompt-template")
"""What clients give as the source of a prompt, which is kept in tags."""


class AsksModel(Asks, frozen=True, kw_only=True):
    """What is about a registered model."""

    name: str


class AsksVersion(AsksModel, frozen=True, kw_only=True):
    """What is about a version."""

    version: Int64


class Sent(Record, frozen=True, kw_only=True):
    """What a version is made of: its files, and the run and logged model that they are of; `made` where it is an output of that run."""

    listing: dict[str, File]
    run: str = ""
    logged_model: str = ""
    made: bool = False


def on_model(_desk: Desk, asked: AsksModel) -> Resource:
    """A registered model."""
    return Resource("model", asked.name)


def on_known_model(desk: Desk, asked: AsksModel) -> Resource:
    """A registered model that is there."""
    if not desk.catalog.tracking.registry.exists(asked.name):
        raise missing(f"Registered Model with name={asked.name} not found")
    return Resource("model", asked.name)


def named(tags: list[AskedTag]) -> tuple[Named, ...]:
    """Tags as the record has them."""
    return tuple(Named(one.key, one.value) for one in tags)


def told_model(model: RegisteredModel) -> dict[str, Any]:
    """A registered model."""
    told: dict[str, Any] = {
        "name": model.name, "creation_timestamp": model.created_ms, "last_updated_timestamp": model.updated_ms,
        "tags": model.tags, "latest_versions": [told_version(one) for one in model.latest],
        "aliases": [{"alias": alias, "version": str(number)} for alias, number in model.aliases.items()],
    }  # fmt: skip
    return {**told, "description": model.description} if model.description else told


def told_version(version: ModelVersion) -> dict[str, Any]:
    """A version; why it cannot be served, where it cannot, stands in its status message."""
    told: dict[str, Any] = {
        "name": version.name, "version": str(version.number), "creation_timestamp": version.created_ms,
        "last_updated_timestamp": version.updated_ms, "current_stage": version.serving_stage, "source": version.source, "status": "READY",
        "tags": version.tags, "aliases": version.aliases,
    }  # fmt: skip
    more = {"description": version.description, "run_id": version.run, "user_id": version.made_by, "model_id": version.logged_model,
            "status_message": f"cannot be served: {version.cannot_serve}" if version.cannot_serve else ""}  # fmt: skip
    return {**told, **{name: value for name, value in more.items() if value}}


def uri_of(version: ModelVersion) -> str:
    """Where a client downloads a version: its files as they were registered."""
    return client_paths.address(Place(owner="version", id=version.name, number=version.number))


def sent_by(desk: Desk, source: str, run_id: str, model_id: str, tags: list[AskedTag]) -> Sent:
    """The files that a source names, and their run. Raises Fault for what is not ours, not there or not to be seen.

    Who may not write to that run takes a copy: the version names the run, and the run's own outputs stay as they were.
    """
    sent = _sent_by(desk, source, run_id, model_id, tags)
    run = run_id or sent.run
    experiment = _experiment_of(desk, run)
    if experiment is not None and run != sent.run and not desk.may("run.read", experiment):
        raise missing(f"Run with id={run_id[:100]} not found")
    return msgspec.structs.replace(sent, run=run, made=experiment is not None and desk.may("run.write", experiment))


def _experiment_of(desk: Desk, run: str) -> Resource | None:
    """The experiment of a run; None where the record has no such run."""
    owner = desk.catalog.tracking.files.owner_of("run", run) if run else None
    return None if owner is None else Resource("experiment", str(owner.experiment))


def _sent_by(desk: Desk, source: str, run_id: str, model_id: str, tags: list[AskedTag]) -> Sent:
    if any(one.key == PROMPT for one in tags) and source in _NO_FILES:
        return Sent(listing={})
    found = client_paths.source(source)
    if found.place is None:
        return _of_version(desk, found)
    owner = _owner(desk, found.place, source)
    if owner.kind == "run" and run_id and run_id != owner.id:
        raise invalid(f"Invalid model version source: {source[:200]!a} is not of run {run_id[:64]!a}, which 'run_id' names")
    if owner.kind == "model" and model_id and model_id != owner.id:
        raise invalid(f"Invalid model version source: {source[:200]!a} is not model {model_id[:64]!a}, which 'model_id' names")
    folder = found.place.path
    listing = _listing(desk.catalog.tracking.files.below(owner.id, folder), folder)
    if owner.kind == "run":
        if model_id:
            need_model(desk, model_id, "run.read")
        return Sent(listing=listing, run=owner.id, logged_model=model_id)
    return Sent(listing=listing, run=desk.catalog.tracking.logged.get(owner.id).run, logged_model=owner.id)


def _owner(desk: Desk, place: Place, source: str) -> Owner:
    owner = desk.catalog.tracking.files.owner(place)
    if owner.deleted:
        raise missing(f"Invalid model version source: there is nothing at {source[:200]!a}")
    seen_place(desk, msgspec.structs.replace(place, experiment=owner.experiment))
    return owner


def _of_version(desk: Desk, source: Source) -> Sent:
    """The files of another version, which stands for itself from then on."""
    seen_place(desk, Place(owner="version", id=source.model))
    registry = desk.catalog.tracking.registry
    is_number = source.version.isdecimal() and len(source.version) < 10
    number = int(source.version) if is_number else registry.by_alias(source.model, source.version).number
    version = registry.version(source.model, number)
    if version.origin != "client":
        raise invalid(f"Invalid model version source: {source.model} version {number} is the project's, and has no files of a client")
    listing = stored_of(registry.artifact(source.model, number)).listing
    return Sent(listing=listing, run=version.run, logged_model=version.logged_model)


def _listing(files: list[ClientFile], folder: str) -> dict[str, File]:
    """Files by their path below a folder; a file itself by its name."""
    prefix = f"{folder}/" if folder else ""
    return {
        one.path[len(prefix) :] if one.path.startswith(prefix) else one.path.rpartition("/")[2]: File(
            digest=PREFIX + one.sha256, size=one.size
        )
        for one in files
    }
