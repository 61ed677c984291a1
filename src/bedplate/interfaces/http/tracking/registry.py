"""Registered models of the tracking API: make, describe, tag, rename, delete, find, and the aliases that name their versions."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.registered import serving_stage
from bedplate.catalog.tracking.registry_search import MODELS, Asked
from bedplate.catalog.tracking.tracked import Named
from bedplate.core.errors import Refused
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Resource, on_server, taken

from .registry_forms import AsksModel, AsksVersion, named, on_known_model, on_model, told_model, told_version
from .words import AskedTag, limit, page

MOST_MODELS: Final = 1_000
_MODEL = 0


class CreateModel(AsksModel, frozen=True, kw_only=True):
    """A new model."""

    tags: list[AskedTag] = msgspec.field(default_factory=list)
    description: str = ""


class DescribeModel(AsksModel, frozen=True, kw_only=True):
    """What a model is."""

    description: str = ""


class RenameModel(AsksModel, frozen=True, kw_only=True):
    """A model's new name."""

    new_name: str


class TagModel(AsksModel, frozen=True, kw_only=True):
    """A tag of a model."""

    key: str
    value: str = ""


class UntagModel(AsksModel, frozen=True, kw_only=True):
    """A tag to take away."""

    key: str


class SetAlias(AsksVersion, frozen=True, kw_only=True):
    """An alias for a version."""

    alias: str


class OneAlias(AsksModel, frozen=True, kw_only=True):
    """An alias."""

    alias: str


class Latest(AsksModel, frozen=True, kw_only=True):
    """The newest version of each stage."""

    stages: list[str] = msgspec.field(default_factory=list)


class SearchModels(Asks, frozen=True, kw_only=True):
    """Which models are looked for."""

    filter: str = ""
    max_results: int = 100
    order_by: list[str] = msgspec.field(default_factory=list)
    page_token: str = ""


def create(desk: Desk, asked: CreateModel) -> dict[str, Any]:
    """Register a model; who does is its maintainer."""
    try:
        model = desk.catalog.tracking.registry.create(asked.name, desk.now_ms, said=asked.description, tags=named(asked.tags))
    except Refused as error:
        raise taken(f"{error.what} {error.why}".strip()) from None
    desk.owns(Resource("model", asked.name))
    return {"registered_model": told_model(model)}


def get(desk: Desk, asked: AsksModel) -> dict[str, Any]:
    """One model."""
    return {"registered_model": told_model(desk.catalog.tracking.registry.get(asked.name))}


def describe(desk: Desk, asked: DescribeModel) -> dict[str, Any]:
    """Say what a model is."""
    return {"registered_model": told_model(desk.catalog.tracking.registry.describe(asked.name, asked.description, desk.now_ms))}


def rename(desk: Desk, asked: RenameModel) -> dict[str, Any]:
    """Give a model another name."""
    try:
        model = desk.catalog.tracking.registry.rename(asked.name, asked.new_name, desk.now_ms)
    except Refused as error:
        raise taken(f"{error.what} {error.why}".strip()) from None
    desk.catalog.grants.moved(f"model:{asked.name}", f"model:{asked.new_name}")
    return {"registered_model": told_model(model)}


def delete(desk: Desk, asked: AsksModel) -> dict[str, Any]:
    """Delete a model with its versions."""
    desk.catalog.tracking.registry.delete(asked.name, desk.now_ms)
    desk.catalog.grants.ended(f"model:{asked.name}")
    return {}


def search(desk: Desk, asked: SearchModels) -> dict[str, Any]:
    """A page of the models that who asks may see."""
    found, token = desk.catalog.tracking.registry_search.models(
        Asked(
            clauses=grammar.clauses(asked.filter, MODELS), orders=grammar.orders(asked.order_by, MODELS), names=desk.sees("model"),
            limit=limit("max_results", asked.max_results, MOST_MODELS), token=asked.page_token,
        )
    )  # fmt: skip
    return page("registered_models", [told_model(one) for one in found], token)


def latest(desk: Desk, asked: Latest) -> dict[str, Any]:
    """The newest version of each stage, of all or of some."""
    registry = desk.catalog.tracking.registry
    registry.get(asked.name)
    found = registry.latest(asked.name, [serving_stage(one) for one in asked.stages])
    return {"model_versions": [told_version(one) for one in found]}


def set_tag(desk: Desk, asked: TagModel) -> dict[str, Any]:
    """Tag a model."""
    desk.catalog.tracking.registry.set_tag(asked.name, _MODEL, Named(asked.key, asked.value), desk.now_ms)
    return {}


def drop_tag(desk: Desk, asked: UntagModel) -> dict[str, Any]:
    """Take a tag away."""
    desk.catalog.tracking.registry.drop_tag(asked.name, _MODEL, asked.key, desk.now_ms)
    return {}


def set_alias(desk: Desk, asked: SetAlias) -> dict[str, Any]:
    """Give a version an alias: a person's promotion."""
    desk.catalog.tracking.registry.set_alias(asked.name, asked.alias, asked.version, desk.actor.name, desk.now)
    return {}


def drop_alias(desk: Desk, asked: OneAlias) -> dict[str, Any]:
    """Take an alias away."""
    desk.catalog.tracking.registry.drop_alias(asked.name, asked.alias, desk.actor.name, desk.now)
    return {}


def by_alias(desk: Desk, asked: OneAlias) -> dict[str, Any]:
    """The version that an alias names."""
    return {"model_version": told_version(desk.catalog.tracking.registry.by_alias(asked.name, asked.alias))}


_AT: Final = "/api/2.0/mlflow/registered-models"
ENDPOINTS: Final = (
    Endpoint("POST", f"{_AT}/create", CreateModel, "model.create", on_server, create, writes=True),
    Endpoint("GET", f"{_AT}/get", AsksModel, "model.read", on_known_model, get),
    Endpoint("PATCH", f"{_AT}/update", DescribeModel, "model.write", on_known_model, describe, writes=True),
    Endpoint("POST", f"{_AT}/rename", RenameModel, "model.delete", on_known_model, rename, writes=True),
    Endpoint("DELETE", f"{_AT}/delete", AsksModel, "model.delete", on_known_model, delete, writes=True),
    Endpoint("GET", f"{_AT}/search", SearchModels, "model.list", on_server, search),
    Endpoint("GET", f"{_AT}/get-latest-versions", Latest, "model.read", on_known_model, latest),
    Endpoint("POST", f"{_AT}/get-latest-versions", Latest, "model.read", on_known_model, latest),
    Endpoint("POST", f"{_AT}/set-tag", TagModel, "model.write", on_known_model, set_tag, writes=True),
    Endpoint("DELETE", f"{_AT}/delete-tag", UntagModel, "model.write", on_known_model, drop_tag, writes=True),
    Endpoint("POST", f"{_AT}/alias", SetAlias, "model.promote", on_known_model, set_alias, writes=True),
    Endpoint("DELETE", f"{_AT}/alias", OneAlias, "model.promote", on_known_model, drop_alias, writes=True),
    Endpoint("GET", f"{_AT}/alias", OneAlias, "model.read", on_model, by_alias),
)
