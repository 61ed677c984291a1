"""Where bytes may be kept, by the scheme of the store's address: a folder of this machine, or a bucket."""

from __future__ import annotations

from pathlib import Path

from bedplate.core import addresses, digests
from bedplate.core.errors import UserError
from bedplate.core.extras import load

from .bucket import Bucket
from .folder_bucket import FolderBucket

_COPIES = "copies"


def folder_at(url: str) -> Path:
    """The folder of an address `file://PATH`."""
    return Path(url.partition("://")[2])


def bucket_at(url: str, *, proves: bool = True) -> Bucket | None:
    """The bucket at an address; None for a folder. Raises UserError, Refused for a place that cannot hold a lake."""
    scheme = addresses.store(url).partition("://")[0]
    if scheme == "file":
        return None
    bucket: Bucket = load("bedplate.storage.backends.objects", f"a store at {scheme}://", "s3").open_bucket(url, proves=proves)
    return bucket


def copies_of(bucket: Bucket, state: Path) -> Path:
    """The folder for copies of a bucket's objects, in a project's state."""
    return state / _COPIES / digests.of_bytes(bucket.url.encode()).removeprefix(digests.PREFIX)[:16]


def objects_at(place: str) -> Bucket:
    """What is at an address or in a folder, to be copied: `s3://..`, `file://PATH` or a path. Raises UserError."""
    if not place:
        raise UserError("the address of a folder or bucket is empty", next="bedplate backup FOLDER")
    if "://" not in place:
        return FolderBucket(Path(place))
    return bucket_at(place, proves=False) or FolderBucket(folder_at(place))
