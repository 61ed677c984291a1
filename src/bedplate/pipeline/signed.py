"""A model version as a folder of its files, signed with a key of one's own; and back: whether a folder is what was signed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bedplate.core.digests import of_file
from bedplate.core.errors import CorruptError, Refused, UserError
from bedplate.core.extras import load
from bedplate.core.records import Version
from bedplate.storage.flavours import File
from bedplate.storage.models import stored_of
from bedplate.storage.store import Store

SIGNATURE: Final = "model.sig"


def write_signed(store: Store, version: Version, key: Path, folder: Path) -> Path:
    """Write a version's files into a new folder, each compared with its digest, and sign them; the signature's path.

    Raises UserError for another kind, a folder that is there or a key that cannot be used, StoreError, CorruptError.
    """
    signing = _library()
    if version.kind != "model":
        raise UserError(f"{version.ref} is not signed", why=f"it is kept as {version.kind}, and models are")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", why="what is there would be signed as part of the model", next="--out NEW_FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in _files(version).items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()) or name == SIGNATURE:
            raise Refused(f"{version.ref} is not written", why=f"its file '{name}' would lie elsewhere, or in the signature's place")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.blob(file.digest), target)
        if of_file(target) != file.digest:
            raise CorruptError(f"{version.ref}: {name} is not what was stored", next="bedplate doctor --deep")
    signing.sign(folder, key, folder / SIGNATURE)
    return folder / SIGNATURE


def sign_folder(folder: Path, key: Path) -> Path:
    """Sign every file of a folder; the signature's path. Raises UserError for a key that cannot be used, or without the library."""
    _library().sign(folder, key, folder / SIGNATURE)
    return folder / SIGNATURE


def check_signed(folder: Path, key: Path, signature: Path | None = None) -> None:
    """Whether a folder is what was signed, by that key's other half. Raises CorruptError where it is not, UserError."""
    found = signature or folder / SIGNATURE
    if not folder.is_dir() or not found.is_file():
        raise UserError(f"{folder} has no signature", why=f"{found} is not there", next="--signature FILE names it")
    _library().verify(folder, key, found)


def is_version(version: Version, folder: Path) -> bool:
    """Whether a folder has just the files of a version, but for the signature."""
    wanted = {name: file.digest for name, file in _files(version).items()}
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there.pop(SIGNATURE, None)
    return wanted.keys() == there.keys() and all(of_file(path) == wanted[name] for name, path in there.items())


def _files(version: Version) -> Mapping[str, File]:
    """What a version is made of: a client's files as they were sent, or those of its flavour."""
    stored = stored_of(version)
    return stored.listing or stored.files


def _library() -> Any:
    return load("bedplate.pipeline.backends.oms", "signing models", "signing")
