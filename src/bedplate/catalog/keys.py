"""The keys of a state, in its folder, their owner's alone (folder 0700, files 0600): made at first use, never sent anywhere.

`server.key` binds forms and seals second factors, `audit.key` signs the audit log, `audit.head` is the newest signed head. `bedplate
backup` leaves them out: who restores a copy elsewhere verifies its log with the public key of the old place (`bedplate audit verify
--key`).
"""

from __future__ import annotations

import importlib
import secrets
from pathlib import Path
from typing import Any, Final

import msgspec

from bedplate.core.errors import CorruptError
from bedplate.security.chain import Head
from bedplate.storage.private import keep_private, make_private, private_folder, read_private

FOLDER: Final = "keys"
_KEY_BYTES: Final = 32
_heads = msgspec.json.Decoder(Head)


class Keys:
    """The keys in a state folder; they are made where they are not there yet."""

    def __init__(self, state: Path) -> None:
        self._folder = private_folder(private_folder(state) / FOLDER)
        self.server = self._key("server.key")
        self.audit = self._key("audit.key")

    @property
    def audit_public(self) -> str:
        """The public half of the key that signs the audit log, in hex."""
        sealing: Any = importlib.import_module("bedplate.security.backends.sealing")
        public: str = sealing.public_of(self.audit)
        return public

    def keep_head(self, head: Head) -> None:
        """Keep the newest signed head outside of the record."""
        keep_private(self._folder / "audit.head", msgspec.json.encode(head).decode())

    def head(self) -> Head | None:
        """The newest head that was kept here; None where there is none. Raises CorruptError for what is none."""
        kept = read_private(self._folder / "audit.head")
        try:
            return None if kept is None else _heads.decode(kept)
        except msgspec.DecodeError as error:
            raise CorruptError(f"{self._folder / 'audit.head'} cannot be read", why=str(error)) from error

    def _key(self, name: str) -> bytes:
        path = self._folder / name
        kept = read_private(path) or make_private(path, secrets.token_bytes(_KEY_BYTES).hex())
        try:
            key = bytes.fromhex(kept)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise CorruptError(f"{path} holds no key", why=f"{_KEY_BYTES} bytes in hex belong there", next="bring it back from a copy")
        return key
