"""The local store keeps the store's contract."""

from __future__ import annotations

from pathlib import Path

from bedplate.storage.local import local_store
from bedplate.storage.store import Store
from bedplate.testing.store_contract import StoreContract


class TestLocalStore(StoreContract):
    def make(self, folder: Path) -> Store:
        return local_store(folder)
