"""Registered models and their versions as records, and which names they may have."""

from __future__ import annotations

import re
from typing import Final, Literal

from bedplate.core.errors import UserError
from bedplate.core.records import Draft, Record

from .tracked import Named

ServingStage = Literal["None", "Staging", "Production", "Archived"]
STAGES: Final[dict[str, ServingStage]] = {"none": "None", "staging": "Staging", "production": "Production", "archived": "Archived"}
LONGEST_NAME: Final = 250
LONGEST_TEXT: Final = 5_000
LONGEST_TAG: Final = 100_000
_NAME_REFUSED: Final = re.compile(r"[/:@\\\x00-\x1f\x7f\u2028\u2029]")
_ALIAS: Final = re.compile(r"[\w-]+\Z")
_NUMBERED: Final = re.compile(r"v\d+\Z", re.IGNORECASE)


class ModelVersion(Record, frozen=True, kw_only=True):
    """One version: what people say of it, where it came from, the aliases that name it; `cannot_serve` says why, where it cannot.

    `origin` is 'project' for what a run of the project made. Times are ms since the epoch.
    """

    name: str
    number: int
    description: str
    serving_stage: ServingStage
    source: str
    run: str
    logged_model: str
    made_by: str
    origin: Literal["project", "client"]
    created_ms: int
    updated_ms: int
    digest: str
    tags: tuple[Named, ...] = ()
    aliases: tuple[str, ...] = ()
    cannot_serve: str = ""


class RegisteredModel(Record, frozen=True, kw_only=True):
    """A model: what people say of it, today's aliases, the newest version of each stage."""

    name: str
    description: str
    created_ms: int
    updated_ms: int
    tags: tuple[Named, ...] = ()
    aliases: dict[str, int]
    latest: tuple[ModelVersion, ...] = ()


class Registration(Record, frozen=True, kw_only=True):
    """A version that a client registers: its draft (the bytes are in the store), by whom, and what it is said to be made of.

    `attempt` is an id for the case that no run of the record made it, or that it is not `made` there: who registers it may not write there.
    """

    draft: Draft
    source: str
    made_by: str
    attempt: str
    run: str = ""
    made: bool = True
    logged_model: str = ""
    description: str = ""
    tags: tuple[Named, ...] = ()


def model_name(name: str) -> str:
    """A name that a model may have. Raises UserError."""
    if not name.strip() or name.strip(". ") == "" or name != name.strip():
        raise UserError("Registered model name cannot be empty.", why="dots and spaces alone are no name")
    if len(name) > LONGEST_NAME:
        raise UserError(f"'name' exceeds the maximum length of {LONGEST_NAME} characters")
    if _NAME_REFUSED.search(name):
        raise UserError(f"Invalid model name {name[:80]!a}", why="a name has no '/', ':', '@', '\\' or control character")
    return name


def alias_name(alias: str) -> str:
    """A name that an alias may have. Raises UserError."""
    if not _ALIAS.match(alias) or len(alias) > LONGEST_NAME:
        raise UserError(f"Invalid alias name {alias[:80]!a}", why="letters, digits, '_' and '-' are taken")
    if alias.isdecimal() or _NUMBERED.match(alias) or alias.lower() == "latest":
        raise UserError(f"Invalid alias name '{alias}'", why="a version is called so")
    return alias


def serving_stage(stage: str) -> ServingStage:
    """A stage by its name, in any case. Raises UserError."""
    found = STAGES.get(stage.lower())
    if found is None:
        raise UserError(f"Invalid Model Version stage: {stage[:50]}. Value must be one of {', '.join(STAGES.values())}.")
    return found


def description(given: str) -> str:
    """What people say of it. Raises UserError for a text that is too long."""
    if len(given) > LONGEST_TEXT:
        raise UserError(f"'description' exceeds the maximum length of {LONGEST_TEXT} characters")
    return given.replace("\0", "\ufffd")


def tag(given: Named) -> Named:
    """A tag, checked. Raises UserError."""
    if not given.key.strip() or len(given.key) > LONGEST_NAME or re.search(r"[\x00-\x1f\x7f]", given.key):
        raise UserError(f"Invalid value for parameter 'key': a tag's name has 1 to {LONGEST_NAME} characters, none of control")
    if len(given.value) > LONGEST_TAG:
        raise UserError(f"'value' exceeds the maximum length of {LONGEST_TAG} characters")
    return Named(given.key, given.value.replace("\0", "\ufffd"))
