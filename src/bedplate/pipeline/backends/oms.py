"""Signatures over a model's files in the open form (OpenSSF Model Signing), through the public library.

Choices: an elliptic-curve key of one's own, offline; the signature lies beside the files as `model.sig`, and is not signed itself. Every
file is signed, those of git too. Limits: no certificates, no keyless signing: the library's own command does those, and its signatures
are files that this verifies when they were made with a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from model_signing import hashing, signing, verifying

from bedplate.core.errors import CorruptError, UserError

SIGNATURE: Final = "model.sig"
"""Where a signature lies among the files; it is none of them."""
_DIGESTS: Final = re.compile(r": Expected 'Digest\(.*?\)', Actual 'Digest\(.*?\)'(?=[\"'])")
"""How the library tells of two digests: as Python writes bytes, of which nobody learns more than the file's name."""


def sign(folder: Path, key: Path, signature: Path) -> None:
    """Sign the files of a folder. Raises UserError for a key that cannot be used."""
    try:
        _signing().use_elliptic_key_signer(private_key=key).set_hashing_config(_hashing(folder, signature)).sign(
            folder.resolve(), signature
        )
    except (ValueError, TypeError, OSError) as error:
        raise UserError(
            f"nothing was signed with {key}", why=str(error), next="openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
        ) from error


def verify(folder: Path, public: Path, signature: Path) -> None:
    """Compare a folder with its signature. Raises CorruptError where it is not what was signed, or not by that key."""
    try:
        config = _verifying().use_elliptic_key_verifier(public_key=public).set_hashing_config(_hashing(folder, signature))
        config.verify(folder.resolve(), signature)
    except OSError as error:
        raise UserError(f"{folder} was not verified", why=str(error), next="bedplate verify FOLDER --key PUBLIC.pem") from error
    except Exception as error:  # the library tells what does not fit by many kinds of error, and each means that it does not
        raise CorruptError(f"{folder} is not what was signed", why=_plainly(error, folder), next="do not use it") from error


def _plainly(error: Exception, folder: Path) -> str:
    """What does not fit, as a person reads it: without digests, and the folder as it was named."""
    said = _DIGESTS.sub("", str(error)) or type(error).__name__
    return said.replace(str(folder.resolve()), str(folder))


def _hashing(folder: Path, signature: Path) -> hashing.Config:
    paths = [signature.resolve(), folder.resolve() / SIGNATURE]
    return _hashes().set_ignored_paths(paths=paths, ignore_git_paths=False)


_signing: Callable[[], signing.Config] = signing.Config
_verifying: Callable[[], verifying.Config] = verifying.Config
_hashes: Callable[[], hashing.Config] = hashing.Config
