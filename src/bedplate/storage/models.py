"""The shelf of models: each file a blob, and a description that says what the files are and what the model takes.

A version's `schema` is that description as JSON (`flavours.Stored`), which is also kept as a blob, the version's `uri`: flavour,
signature, example rows, and each file with its digest and size. `meta` holds what people ask about: flavour, describe, metrics.

An example of a hundred rows or more is taken to be the training table: how it is distributed, and what the model says of it, is kept as
one more blob, the reference that `watch` finds drift by.

The digest is over flavour, signature, the flavour's own digest of parameters and text, and the project's code behind a function; the
example's rows, the reference and the metrics are not part of it. An equal digest keeps the files of the prior version, byte for byte.

A blob's digest is checked before its bytes are read as a model. Nothing is unpickled: flavours refuse what is not their own format.
"""

from __future__ import annotations

import copy
import importlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.kinds import View
from bedplate.core.model import Model, Predictor, RowPredictor
from bedplate.core.records import Draft, Version

from . import client_models, disk, flavours, signatures
from .blobs import FOLDER, Blobs
from .far import Ask
from .flavours import File, Files, Flavour, Stored
from .runtimes import Source
from .shelf import Save
from .sketch import Reference

DIGEST_VERSION = 1
CodeBehind = Callable[[Callable[..., Any]], dict[str, str]]
"""A function of the project -> the digest of each part of the code that it reaches."""


class ModelShelf:
    """Keeps the versions of kind `model`; `behind` tells the project's code that a function of its own reaches, which is kept with it,
    `ask` reaches the servers that have remote models.
    """

    def __init__(self, root: Path, behind: CodeBehind | None = None, ask: Ask | None = None) -> None:
        self.root = root
        self._blobs = Blobs(root)
        self._behind = behind
        self._ask = ask

    def save(self, request: Save) -> Draft:
        """Store a trained model. Raises UserError for an object that no flavour keeps, or whose example does not fit it."""
        model = request.value
        if not isinstance(model, Model) or model.native is None:
            raise UserError(f"{request.artifact} is not a trained model", next="return Model(native, example=x)")
        if model.ref:
            why = f"{model.ref} was loaded, and knows the first rows of its example only"
            raise UserError(f"{request.artifact} is {model.ref}, which is stored already", why=why, next="return Model(native, example=x)")
        model = copy.copy(model)
        model.example = signatures.collected(model.example)
        flavour = flavours.find(flavours.flavour_of(model), self._ask)
        stored = _described(flavour, model, self._code(_functions(flavour, model)))
        incoming = disk.make_folder(self.root / FOLDER / "incoming")
        with disk.guard("write", incoming), tempfile.TemporaryDirectory(prefix=disk.TEMPORARY, dir=incoming) as folder:
            flavour.save(model, Path(folder))
            files = {str(path.relative_to(folder)): path for path in sorted(Path(folder).rglob("*")) if path.is_file()}
            digest = _digest(flavour, stored, files)
            prior = request.prior
            if prior is not None and prior.digest == digest and not self.missing(prior):
                stored = msgspec.structs.replace(stored, files=stored_of(prior).files)
            else:
                stored = msgspec.structs.replace(stored, files={at: self._keep(path) for at, path in files.items()})
            stored = self._with_reference(stored, model.example, flavour, files)
        return self._draft(request, stored, digest, flavour.describe(model))

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Model:
        """A Model that predicts. Raises UserError where its library is not installed, StoreError or CorruptError for its bytes."""
        stored = stored_of(version)
        client_models.refuse_opaque(version, version.ref if isinstance(version, Version) else version.artifact)
        for file in stored.files.values():
            self._blobs.check(file.digest)
        predictor = flavours.find(stored.flavour, self._ask).load(self._files(stored), stored)
        ref = version.ref if isinstance(version, Version) else version.artifact
        self._same_code(stored, predictor, ref)
        return Model(
            native=getattr(predictor, "native", None), predictor=predictor, ref=ref, flavour=stored.flavour, example=stored.example,
            metrics=dict(version.meta.get("metrics", {})),
        )  # fmt: skip

    def tried(self, model: Model, folder: Path) -> tuple[Model, Source | None]:
        """A trained model as it would be loaded, from files in an empty folder: nothing is kept. Raises UserError as `save` does."""
        flavour = flavours.find(flavours.flavour_of(model), self._ask)
        flavour.save(model, folder)
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        stored = _described(flavour, model, {})
        predictor = flavour.load(files, stored)
        loaded = Model(native=getattr(predictor, "native", None), predictor=predictor, flavour=flavour.name, example=stored.example)
        source = Source(stored=stored, files=files, predictor=predictor) if isinstance(predictor, RowPredictor) else None
        return loaded, source

    def source(self, version: Draft, predictor: Predictor) -> Source | None:
        """What runtimes are made from: a loaded version that computes on rows of numbers; None for one that does not."""
        stored = stored_of(version)
        if not isinstance(predictor, RowPredictor):
            return None
        return Source(stored=stored, files=self._files(stored), predictor=predictor)

    def _code(self, functions: Iterable[Callable[..., Any]]) -> dict[str, str]:
        """The digest of each part of the project's code that a model's functions reach."""
        behind = self._behind
        return {} if behind is None else {name: digest for function in functions for name, digest in behind(function).items()}

    def _same_code(self, stored: Stored, predictor: Predictor, ref: str) -> None:
        """Raises UserError where the function of a model reaches other code than when it was stored."""
        functions = getattr(predictor, "functions", ())
        if not functions or not stored.code or self._behind is None:
            return
        now = self._code(functions)
        changed = sorted(name for name in now.keys() | stored.code.keys() if now.get(name) != stored.code.get(name))
        if changed:
            raise UserError(
                f"the code behind {ref} has changed since it was stored: {', '.join(changed)}",
                why="its predictions would not be those that were validated",
                next="bedplate run (trains and validates with the new code), or put the old back",
            )

    def reference(self, version: Draft) -> Reference | None:
        """The distribution of the table that the model was trained on; None where only an example of it is known."""
        kept = stored_of(version).reference
        if kept is None:
            return None
        try:
            return msgspec.json.decode(self._blobs.get(kept.digest), type=Reference)
        except msgspec.MsgspecError as error:
            raise CorruptError(f"the reference of {version.artifact} cannot be read", why=str(error)) from None

    def missing(self, version: Draft) -> list[str]:
        """Which blobs are gone or of another size; imports nothing."""
        stored = stored_of(version)
        gone = [self._blobs.relative(file.digest) for file in _blobs_of(stored) if not self._blobs.has(file.digest, file.size)]
        return gone if version.uri in gone or (self.root / version.uri).exists() else [version.uri, *gone]

    def verify(self, version: Draft) -> None:
        """Read every blob, and compute the model's digest again. Raises StoreError or CorruptError."""
        stored = stored_of(version)
        sent = stored.listing or stored.flavour == client_models.OPAQUE
        described = () if sent else (digests.of_bytes(version.schema.encode()),)
        for digest in (*described, *(file.digest for file in _blobs_of(stored))):
            self._blobs.check(digest)
        found = client_models.digest_of(stored.listing) if sent else _digest(flavours.find(stored.flavour), stored, self._files(stored))
        if found != version.digest:
            raise CorruptError(f"{version.artifact}: its files are not the model that was stored", why=f"{found} is not {version.digest}")

    def adopt(self, model: str, listing: Mapping[str, File], meta: Mapping[str, Any]) -> Draft:
        """A version of files that are in the store already, as a client sent them; nothing is written. Raises StoreError, CorruptError."""
        about = listing.get(client_models.FILE)
        readable = about is not None and about.size <= client_models.MOST_BYTES
        found = client_models.described(self._blobs.get(about.digest) if about is not None and readable else None, frozenset(listing))
        place = about if about is not None else next(iter(listing.values()), None)
        uri = self._blobs.relative(place.digest) if place is not None else ""
        return client_models.draft(model, client_models.stored(found, listing), found, uri, meta)

    def keeps(self, version: Draft) -> Iterable[str]:
        """The description, every file and the reference."""
        files = dict.fromkeys(self._blobs.relative(file.digest) for file in _blobs_of(stored_of(version)))
        return [*([version.uri] if version.uri and version.uri not in files else []), *files]

    def _keep(self, path: Path) -> File:
        digest, size = self._blobs.put_file(path)
        return File(digest=digest, size=size)

    def _with_reference(self, stored: Stored, example: Any, flavour: Flavour, files: Files) -> Stored:
        if example is None or len(example) < signatures.REFERENCE_ROWS:
            return stored
        backend = importlib.import_module(".backends.reference", __package__)
        text = digests.canonical(backend.reference(example, flavour.load(files, stored)))
        return msgspec.structs.replace(stored, reference=File(digest=self._blobs.put(text), size=len(text)))

    def _files(self, stored: Stored) -> Files:
        return {name: self._blobs.path(file.digest) for name, file in stored.files.items()}

    def _draft(self, request: Save, stored: Stored, digest: str, described: dict[str, Any]) -> Draft:
        text = digests.canonical(stored)
        metrics = {name: float(value) for name, value in request.value.metrics.items()}
        return Draft(
            artifact=request.artifact,
            kind="model",
            digest=digest,
            uri=self._blobs.relative(self._blobs.put(text)),
            schema=text.decode(),
            size_bytes=sum(file.size for file in stored.files.values()),
            meta={**request.meta, "flavour": stored.flavour, "describe": described, "metrics": metrics},
        )


def _functions(flavour: Flavour, model: Model) -> tuple[Callable[..., Any], ...]:
    """The functions of the project without which a model cannot be loaded: few flavours have any."""
    ask = getattr(flavour, "functions", None)
    return ask(model) if ask is not None else ()


def _described(flavour: Flavour, model: Model, code: dict[str, str]) -> Stored:
    """A trained model's description, before its files. Raises UserError without an example, where the flavour needs one."""
    signature = flavour.signature(model)
    if model.example is None and getattr(flavour, "is_told", False):
        return Stored(flavour=flavour.name, library="rows", signature=signature, code=code)
    library, rows = signatures.library(model.example), signatures.rows(model.example)
    return Stored(flavour=flavour.name, library=library, signature=signature, example=rows, code=code)


def _blobs_of(stored: Stored) -> list[File]:
    return [*stored.files.values(), *stored.listing.values(), *([stored.reference] if stored.reference else [])]


def stored_of(version: Draft) -> Stored:
    """The description of a model version: flavour, signature, example. Raises CorruptError for what is none."""
    try:
        return msgspec.json.decode(version.schema, type=Stored)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{version.artifact}: its description cannot be read", why=str(error)) from None


def _digest(flavour: Flavour, described: Stored, files: Files) -> str:
    made_of = [DIGEST_VERSION, described.flavour, described.signature, flavour.digest(files)]
    return digests.of_json([*made_of, described.code] if described.code else made_of)
