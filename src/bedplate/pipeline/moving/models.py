"""Bring registered models over: each version under its number, with the files that it is made of, its stage and its aliases.

Choices: a version's files are looked for with its run or logged model first, which are here by now; what lies elsewhere is asked of the
source. Nothing is unpickled: which framework wrote a version is read from its own description, as of any client's. A model of this
record that no source brought keeps its name: the source's is left out, and told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bedplate.catalog.tracking.registered import Registration, serving_stage
from bedplate.catalog.tracking.theirs import TheirModel, TheirVersion
from bedplate.catalog.tracking.tracked import Named
from bedplate.core import digests
from bedplate.core.errors import BedplateError
from bedplate.storage.flavours import File

from .moved import Moved

_ACTOR = "bedplate import mlflow"
Listing = Mapping[str, File]


class ModelMove:
    """Brings the models of one import; what of it is done is counted in `move`."""

    def __init__(self, move: Moved, random_bits: Callable[[int], int]) -> None:
        self._move = move
        self._random_bits = random_bits
        self._registry = move.catalog.tracking.registry
        self._marks = move.brought.marks(move.source.place, "model")

    def all(self) -> None:
        """Bring every registered model."""
        for theirs in self._move.source.models():
            try:
                self._model(theirs)
            except BedplateError as error:
                self._move.troubles.append(f"model {theirs.name} is left out: {error.line}")

    def _model(self, theirs: TheirModel) -> None:
        name, is_new = theirs.name, theirs.name not in self._marks
        self._move.count("models", 1, new=is_new)
        if is_new and self._registry.exists(name) and not self._move.brought.came("model", name):
            self._move.troubles.append(f"model {name} is left out: one of this record's own has its name")
            return
        if is_new:
            self._move.brought.thing("model", name, self._move.source.place, lambda: self._create(theirs))
        for version in theirs.versions:
            is_new = f"{name}@{version.number}" not in self._marks
            self._move.count("versions", 1, new=is_new)
            if is_new:
                self._version(name, version)
        for alias, number in theirs.aliases.items():
            if self._registry.get(name).aliases.get(alias) is None:
                self._registry.set_alias(name, alias, number, _ACTOR, self._move.now())

    def _create(self, theirs: TheirModel) -> None:
        if not self._registry.exists(theirs.name):
            tags = [Named(key, value) for key, value in theirs.tags.items()]
            self._registry.create(theirs.name, theirs.created_ms, said=theirs.description, tags=tags)

    def _version(self, name: str, theirs: TheirVersion) -> None:
        source, listing = self._listing(name, theirs)
        if not listing:
            self._move.troubles.append(f"{name}@{theirs.number} has no files here: its source is {theirs.source or 'unknown'}")
        draft = self._move.store.adopt(name, listing, {"run": theirs.run, "source": theirs.source[:1000]})
        asked = Registration(
            draft=draft, source=source, made_by=theirs.user, attempt=f"{self._random_bits(128):032x}", run=theirs.run,
            logged_model=theirs.logged_model, description=theirs.description,
            tags=tuple(Named(key, value) for key, value in theirs.tags.items()),
        )  # fmt: skip

        def put() -> None:
            self._move.brought.number_next(name, theirs.number)
            made = self._registry.register(asked, theirs.created_ms)
            if theirs.stage != "None":
                self._registry.transition(name, made.number, serving_stage(theirs.stage), theirs.updated_ms)

        self._move.brought.thing("model", f"{name}@{theirs.number}", self._move.source.place, put)

    def _listing(self, name: str, theirs: TheirVersion) -> tuple[str, Listing]:
        """What a version says it is made of, in this record's words, and its files."""
        for owner, scheme in ((theirs.logged_model, "models:"), (theirs.run, "runs:")):
            below = _below(theirs.source, owner) if owner else None
            if below is not None and (found := self._kept(owner, below)):
                return f"{scheme}/{owner}/{below}".rstrip("/"), found
        kept = [self._move.keep(one) for one in self._move.source.files_at(name, theirs)]
        return theirs.source, {one.path: File(digest=digests.PREFIX + one.sha256, size=one.size_bytes) for one in kept if one}

    def _kept(self, owner: str, below: str) -> Listing:
        files = self._move.catalog.tracking.files.below(owner, below)
        cut = len(below) + 1 if below else 0
        return {one.path[cut:] or one.path: File(digest=digests.PREFIX + one.sha256, size=one.size) for one in files}


def _below(source: str, owner: str) -> str | None:
    """The path below an owner's files that a source names; None where it names none of theirs."""
    for marker in (f"/{owner}/artifacts", f"runs:/{owner}", f"models:/{owner}"):
        _, found, after = source.partition(marker)
        if found and (not after or after.startswith("/")):
            return after.strip("/")
    return None
