"""The store in a bucket keeps the store's contract: a real S3 server that this session starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_servers import S3Server

from bedplate.storage.remote import remote_store
from bedplate.storage.store import Store
from bedplate.testing.store_contract import StoreContract

objects = pytest.importorskip("bedplate.storage.backends.objects", reason="obstore is not installed")


class TestS3Store(StoreContract):
    @pytest.fixture(autouse=True)
    def server(self, s3_server: S3Server) -> None:
        self.s3 = s3_server

    def make(self, folder: Path) -> Store:
        return remote_store(folder, objects.open_bucket(f"s3://{self.s3.bucket()}/lake?endpoint={self.s3.endpoint}"))
