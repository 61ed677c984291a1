"""Buckets through obstore: `s3://`, `gs://` and `az://`, or what speaks their protocols.

The address may carry options: `s3://bucket/folder?endpoint=http://127.0.0.1:9000&region=eu-central-1`. Credentials come from the
environment (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY, ..) or the machine's role, not from the address.

Choices: uploads carry a SHA-256 that the server checks; a download that is cut off is begun again; every request has a time limit and is
repeated with growing pauses for a minute. Limits: an upload in parts that was killed leaves parts that no listing shows: give the bucket
a rule that drops unfinished uploads after a day.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore import exceptions as gone_wrong
from obstore.store import from_url

from bedplate.core import addresses
from bedplate.core.errors import CorruptError, Refused, StoreError, UserError
from bedplate.storage import blobs, disk
from bedplate.storage.bucket import Object

Answer = TypeVar("Answer")
PROOF = "bedplate.json"
"""An object that every store of ours has: that it cannot be made twice proves put-if-absent."""
_TRIES = 3
_PART = 8 << 20
_MOST_DELETED = 1000
_RETRIES: Any = {"max_retries": 8, "retry_timeout": timedelta(seconds=60)}


def open_bucket(url: str, *, proves: bool = True) -> ObjectBucket:
    """The bucket at an address; with `proves` it is seen to keep put-if-absent. Raises UserError, StoreError, Refused."""
    bucket = ObjectBucket(addresses.store(url))
    if proves:
        bucket.prove()
    return bucket


class ObjectBucket:
    """A `Bucket` in obstore's words."""

    def __init__(self, url: str) -> None:
        parts, self._given = addresses.bucket(url)
        self._url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._store = self._made(parts.scheme)

    @property
    def url(self) -> str:
        """Its address, without options."""
        return self._url

    @property
    def options(self) -> dict[str, str]:
        """What deltalake is told; it reads the same environment."""
        endpoint = self._given.get("endpoint", os.environ.get("AWS_ENDPOINT_URL", ""))
        found = {"timeout": "60s", "connect_timeout": "10s"}
        if self._url.startswith("s3://"):
            found |= {"aws_region": self._region(), "aws_conditional_put": "etag"}
            found |= {"aws_endpoint_url": endpoint} if endpoint else {}
            found |= {"aws_virtual_hosted_style_request": "true"} if self._virtual() else {}
        return found | ({"allow_http": "true"} if endpoint.startswith("http://") else {})

    def read(self, key: str) -> bytes | None:
        try:
            return self._ask("read", key, lambda: bytes(obstore.get(self._store, key).bytes()))
        except FileNotFoundError:
            return None

    def fetch(self, key: str, path: Path) -> None:
        def work() -> None:
            state, found = hashlib.sha256(), obstore.get(self._store, key)
            with disk.new_file(path) as file:
                for piece in found.stream(min_chunk_size=1 << 20):
                    state.update(piece)
                    file.write(piece)
                if key.startswith(f"{blobs.FOLDER}/") and state.hexdigest() != path.name:
                    why = "its bytes do not have the digest that it is named by"
                    raise CorruptError(f"{self._at(key)} is corrupt", why=why, next="bedplate doctor --deep")

        try:
            self._ask("read", key, work)
        except FileNotFoundError as error:
            why = "a version that the record names needs it"
            raise StoreError(f"{self._at(key)} is gone", why=why, next="run again: what made it runs again") from error

    def write(self, key: str, content: bytes) -> None:
        self._put(key, content)

    def send(self, path: Path, key: str) -> None:
        self._put(key, path, chunk_size=_PART)

    def create(self, key: str, content: bytes) -> bool:
        try:
            self._put(key, content, mode="create")
        except (gone_wrong.AlreadyExistsError, gone_wrong.PreconditionError):
            return False
        return True

    def size(self, key: str) -> int | None:
        try:
            return self._ask("look at", key, lambda: int(obstore.head(self._store, key)["size"]))
        except FileNotFoundError:
            return None

    def list(self, prefix: str) -> Iterator[Object]:
        try:
            for page in obstore.list(self._store, prefix.rstrip("/") or None):
                yield from (Object(found["path"], found["size"], found["last_modified"].timestamp()) for found in page)
        except gone_wrong.BaseError as error:
            raise self._error(error, "list", prefix) from error

    def delete(self, keys: Iterable[str]) -> None:
        listed = list(keys)
        for start in range(0, len(listed), _MOST_DELETED):
            some = listed[start : start + _MOST_DELETED]
            with contextlib.suppress(FileNotFoundError):
                self._ask("delete", some[0], functools.partial(obstore.delete, self._store, some))

    def prove(self) -> None:
        """See that the store keeps put-if-absent. Raises Refused where it overwrites instead."""
        if self.create(PROOF, b"{}") and self.create(PROOF, b"{}"):
            raise Refused(
                f"the store at {self.url} cannot hold a lake",
                why="it put an object that should only be made where there is none: two writers would overwrite each other's commits",
                next="take a store that keeps If-None-Match (S3, GCS, Azure, MinIO, R2 and Ceph do)",
            )

    def _made(self, scheme: str) -> Any:
        client: Any = {"timeout": "60s", "connect_timeout": "10s"}
        config: Any = None
        if scheme == "s3":
            endpoint = self._given.get("endpoint", os.environ.get("AWS_ENDPOINT_URL", ""))
            config = {"region": self._region(), "checksum_algorithm": "SHA256", "virtual_hosted_style_request": self._virtual()}
            config |= {"endpoint": endpoint} if endpoint else {}
            client["allow_http"] = endpoint.startswith("http://")
        try:
            return from_url(self._url, config=config, client_options=client, retry_config=_RETRIES)
        except (gone_wrong.BaseError, ValueError) as error:
            raise UserError(
                f"the store at {self._url} cannot be opened", why=_said(error), next="see docs/how-to/use-a-bucket.md"
            ) from error

    def _region(self) -> str:
        return self._given.get("region", os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION", "us-east-1")))

    def _virtual(self) -> bool:
        return self._given.get("virtual_hosted", "") in ("1", "true")

    def _put(self, key: str, content: bytes | Path, **how: Any) -> None:
        try:
            self._ask("write", key, lambda: obstore.put(self._store, key, content, **how))
        except FileNotFoundError as error:
            raise StoreError(
                f"cannot write {self._at(key)}: there is no such bucket",
                why=_said(error),
                next="make the bucket, or correct the setting store",
            ) from error

    def _ask(self, doing: str, key: str, work: Callable[[], Answer]) -> Answer:
        """Ask, and again where the answer was cut off. Raises FileNotFoundError where there is no such object."""
        tried = 0
        while True:
            try:
                return work()
            except gone_wrong.NotFoundError as error:
                raise FileNotFoundError(key) from error
            except (gone_wrong.AlreadyExistsError, gone_wrong.PreconditionError):
                raise
            except gone_wrong.BaseError as error:
                tried += 1
                if tried == _TRIES or isinstance(error, gone_wrong.PermissionDeniedError | gone_wrong.UnauthenticatedError):
                    raise self._error(error, doing, key) from error

    def _error(self, error: Exception, doing: str, key: str) -> StoreError:
        if isinstance(error, gone_wrong.PermissionDeniedError | gone_wrong.UnauthenticatedError):
            return StoreError(
                f"cannot {doing} {self._at(key)}: the store does not let us in",
                why=_said(error),
                next="check the credentials in the environment (AWS_ACCESS_KEY_ID, ..), then: bedplate target test",
            )
        return StoreError(
            f"cannot {doing} {self._at(key)}",
            why=_said(error),
            next="what was committed before is whole; see that the store can be reached: bedplate target test",
        )

    def _at(self, key: str) -> str:
        return f"{self._url}/{key}"


def _said(error: Exception) -> str:
    """The first line of what the library says, without its own debug form."""
    return str(error).split("\n\nDebug source")[0].splitlines()[0][:300]
