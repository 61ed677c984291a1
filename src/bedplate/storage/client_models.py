"""Models that clients of the tracking API logged: folders of files, kept as they came, and what of them a flavour of ours can load.

A version's digest is over its sorted (path, sha256). Its description is that of any model (`flavours.Stored`) with one field more:
`listing`, every file that the client sent. Where the folder holds a framework's own file (LightGBM's text, XGBoost's UBJSON, ONNX, skops,
an exported PyTorch program) and says what it takes, it loads as a model of that flavour. Everything else is opaque: kept, listed, given
back byte for byte, and never loaded; `meta` says why (`cannot_serve`) and how to log it so that it can be served (`instead`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bedplate.core import digests
from bedplate.core.errors import Refused
from bedplate.core.model import Field, Signature
from bedplate.core.records import Draft, Record

from .flavours import File, Stored

FILE: Final = "MLmodel"
MOST_BYTES: Final = 1_000_000
"""The largest description that is read."""
OPAQUE: Final = "opaque"
ORIGIN: Final = "client"
_ZERO: Final[dict[str, Any]] = {"BOOL": False, "BYTES": ""}


class Described(Record, frozen=True, kw_only=True):
    """What a folder holds: the flavours that its client names, the one of ours that loads it with its files by our names, what it takes.

    `why` it cannot be served, and what to do `instead`, where it cannot.
    """

    flavours: tuple[str, ...] = ()
    flavour: str = OPAQUE
    files: dict[str, str] = msgspec.field(default_factory=dict)
    signature: Signature = Signature((), ())
    library: str = "rows"
    why: str = ""
    instead: str = ""


def described(mlmodel: bytes | None, paths: frozenset[str]) -> Described:
    """What a folder with these paths holds, by the bytes of its MLmodel (None where it has none)."""
    if mlmodel is None:
        return Described(why=f"it has no {FILE}" if paths else "it has no files", instead="log it with mlflow.<flavour>.log_model(...)")
    found: Described = importlib.import_module(".backends.mlmodel", __package__).described(mlmodel, paths)
    return found


def digest_of(listing: Mapping[str, File]) -> str:
    """The digest of a listing: over the sorted (path, sha256)."""
    return digests.of_parts((path, file.digest) for path, file in listing.items())


def stored(found: Described, listing: Mapping[str, File]) -> Stored:
    """The description of a version made of these files."""
    files = {name: listing[path] for name, path in found.files.items()}
    example = [{field.name: _zero(field) for field in found.signature.inputs}] if found.flavour != OPAQUE else []
    return Stored(
        flavour=found.flavour, library=found.library, signature=found.signature, files=files, example=example, listing=dict(listing)
    )


def draft(model: str, kept: Stored, found: Described, uri: str, meta: Mapping[str, Any]) -> Draft:
    """The version's draft; `uri` is one of its files, for its description stands in the record."""
    more = {"cannot_serve": found.why, "instead": found.instead} if found.why else {}
    return Draft(
        artifact=model, kind="model", digest=digest_of(kept.listing), uri=uri, schema=digests.canonical(kept).decode(),
        size_bytes=sum(file.size for file in kept.listing.values()),
        meta={"origin": ORIGIN, "flavour": kept.flavour, "flavours": list(found.flavours), **meta, **more},
    )  # fmt: skip


def refuse_opaque(version: Draft, ref: str) -> None:
    """Raises Refused for a version whose files no flavour loads: it says why, and how to log it instead."""
    why = version.meta.get("cannot_serve")
    if why:
        raise Refused(f"{ref} cannot be served", why=str(why), next=str(version.meta.get("instead", "")))


def _zero(field: Field) -> Any:
    return _ZERO.get(field.datatype, 0.0 if field.datatype.startswith("FP") else 0)
