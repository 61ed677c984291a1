"""Versions of registered models: made of files that this server keeps, described, tagged, staged, found, deleted.

A version stands for its files as they were when it was registered, whatever becomes of its run.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.registered import Registration, serving_stage
from bedplate.catalog.tracking.registry_search import VERSIONS, Asked
from bedplate.catalog.tracking.tracked import Named
from bedplate.core.records import Draft
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Fault, always, on_server
from bedplate.interfaces.http.door.writer import RETRY

from .registry_forms import AsksModel, AsksVersion, Sent, named, on_known_model, sent_by, told_version, uri_of
from .words import AskedTag, limit, page

MOST_VERSIONS: Final = 50_000


class CreateVersion(AsksModel, frozen=True, kw_only=True):
    """A new version."""

    source: str
    run_id: str = ""
    tags: list[AskedTag] = msgspec.field(default_factory=list)
    run_link: str = ""
    description: str = ""
    model_id: str = ""


class DescribeVersion(AsksVersion, frozen=True, kw_only=True):
    """What a version is."""

    description: str = ""


class Transition(AsksVersion, frozen=True, kw_only=True):
    """A version's stage."""

    stage: str
    archive_existing_versions: bool = False


class TagVersion(AsksVersion, frozen=True, kw_only=True):
    """A tag of a version."""

    key: str
    value: str = ""


class UntagVersion(AsksVersion, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str


class SearchVersions(Asks, frozen=True, kw_only=True):
    """Which versions are looked for."""

    filter: str = ""
    max_results: int = 10_000
    order_by: list[str] = msgspec.field(default_factory=list)
    page_token: str = ""


class Read(NamedTuple):
    """What was read before a version is registered: the files that were there then, and the draft that they make."""

    sent: Sent
    draft: Draft


def read(desk: Desk, asked: CreateVersion) -> Read:
    """Read what the files say of themselves: that may mean to fetch it from a bucket."""
    sent = sent_by(desk, asked.source, asked.run_id, asked.model_id, asked.tags)
    return Read(sent, desk.store.adopt(asked.name, sent.listing, {"run": sent.run, "source": asked.source[:1000]}))


def create(desk: Desk, asked: CreateVersion) -> dict[str, Any]:
    """Register a version of files that were sent. Raises Fault where they are no longer those that were read."""
    sent = sent_by(desk, asked.source, asked.run_id, asked.model_id, asked.tags)
    before, draft = desk.ahead
    if (sent.listing, sent.run) != (before.listing, before.run):
        raise Fault("TEMPORARILY_UNAVAILABLE", "files at 'source' came or went meanwhile: send this again", headers=RETRY)
    version = desk.catalog.tracking.registry.register(
        Registration(
            draft=draft, source=asked.source, made_by=desk.actor.name, attempt=f"{desk.random_bits(128):032x}", run=sent.run,
            made=sent.made, logged_model=sent.logged_model, description=asked.description, tags=named(asked.tags),
        ),
        desk.now_ms,
    )  # fmt: skip
    return {"model_version": told_version(version)}


def get(desk: Desk, asked: AsksVersion) -> dict[str, Any]:
    """One version."""
    return {"model_version": told_version(desk.catalog.tracking.registry.version(asked.name, asked.version))}


def describe(desk: Desk, asked: DescribeVersion) -> dict[str, Any]:
    """Say what a version is."""
    registry = desk.catalog.tracking.registry
    return {"model_version": told_version(registry.describe_version(asked.name, asked.version, asked.description, desk.now_ms))}


def transition(desk: Desk, asked: Transition) -> dict[str, Any]:
    """Give a version a stage."""
    found = desk.catalog.tracking.registry.transition(
        asked.name, asked.version, serving_stage(asked.stage), desk.now_ms, archive=asked.archive_existing_versions
    )
    return {"model_version": told_version(found)}


def delete(desk: Desk, asked: AsksVersion) -> dict[str, Any]:
    """Delete a version."""
    desk.catalog.tracking.registry.delete_version(asked.name, asked.version, desk.now_ms)
    return {}


def search(desk: Desk, asked: SearchVersions) -> dict[str, Any]:
    """A page of the versions that who asks may see."""
    found, token = desk.catalog.tracking.registry_search.versions(
        Asked(
            clauses=grammar.clauses(asked.filter, VERSIONS), orders=grammar.orders(asked.order_by, VERSIONS), names=desk.sees("model"),
            limit=limit("max_results", asked.max_results, MOST_VERSIONS), token=asked.page_token,
        )
    )  # fmt: skip
    return page("model_versions", [told_version(one) for one in found], token)


def download_uri(desk: Desk, asked: AsksVersion) -> dict[str, Any]:
    """Where a version's files are downloaded."""
    return {"artifact_uri": uri_of(desk.catalog.tracking.registry.version(asked.name, asked.version))}


def set_tag(desk: Desk, asked: TagVersion) -> dict[str, Any]:
    """Tag a version."""
    desk.catalog.tracking.registry.set_tag(asked.name, asked.version, Named(asked.key, asked.value), desk.now_ms)
    return {}


def drop_tag(desk: Desk, asked: UntagVersion) -> dict[str, Any]:
    """Take a tag away."""
    desk.catalog.tracking.registry.drop_tag(asked.name, asked.version, asked.key, desk.now_ms)
    return {}


_AT: Final = "/api/2.0/mlflow/model-versions"
ENDPOINTS: Final = (
    Endpoint("POST", f"{_AT}/create", CreateVersion, "model.write", on_known_model, create, writes=True, repeats=always, beforehand=read),
    Endpoint("GET", f"{_AT}/get", AsksVersion, "model.read", on_known_model, get),
    Endpoint("PATCH", f"{_AT}/update", DescribeVersion, "model.write", on_known_model, describe, writes=True),
    Endpoint("POST", f"{_AT}/transition-stage", Transition, "model.promote", on_known_model, transition, writes=True),
    Endpoint("DELETE", f"{_AT}/delete", AsksVersion, "model.delete", on_known_model, delete, writes=True),
    Endpoint("GET", f"{_AT}/search", SearchVersions, "model.list", on_server, search),
    Endpoint("GET", f"{_AT}/get-download-uri", AsksVersion, "model.read", on_known_model, download_uri),
    Endpoint("POST", f"{_AT}/set-tag", TagVersion, "model.write", on_known_model, set_tag, writes=True),
    Endpoint("DELETE", f"{_AT}/delete-tag", UntagVersion, "model.write", on_known_model, drop_tag, writes=True),
)
