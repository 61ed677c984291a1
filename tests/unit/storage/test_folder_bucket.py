"""A folder in the words of a bucket, and which places are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.core.digests import of_bytes
from bedplate.core.errors import BedplateError, CorruptError, StoreError, UserError
from bedplate.core.extras import load
from bedplate.storage.blobs import Blobs
from bedplate.storage.folder_bucket import FolderBucket
from bedplate.storage.places import bucket_at, objects_at


def test_objects_are_put_and_found(tmp_path: Path) -> None:
    """Whole, by key; what is not there is None, and deleting it no error."""
    bucket = FolderBucket(tmp_path / "b")
    assert (bucket.read("a/b"), bucket.size("a/b"), list(bucket.list("a/"))) == (None, None, [])
    bucket.write("a/b", b"one")
    bucket.write("a/b", b"two!")
    assert (bucket.create("a/b", b"3"), bucket.create("a/c", b"3")) == (False, True)
    assert [(one.key, one.size) for one in bucket.list("a/")] == [("a/b", 4), ("a/c", 1)]
    bucket.fetch("a/b", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"two!"
    bucket.delete(["a/b", "a/b", "a/c"])
    assert list(bucket.list("a/")) == []
    with pytest.raises(StoreError, match="is gone"):
        bucket.fetch("a/b", tmp_path / "copy")


def test_a_blob_is_checked_on_the_way(tmp_path: Path) -> None:
    """Bytes of another digest than the key names leave nothing behind, in either direction."""
    bucket, key = FolderBucket(tmp_path / "b"), Blobs.relative(of_bytes(b"right"))
    (tmp_path / "wrong").write_bytes(b"wrong")
    with pytest.raises(CorruptError):
        bucket.send(tmp_path / "wrong", key)
    assert bucket.size(key) is None
    bucket.write(key, b"wrong")
    with pytest.raises(CorruptError):
        bucket.fetch(key, tmp_path / key)
    assert not (tmp_path / key).exists()


@pytest.mark.parametrize("key", ["../x", "/x", "", "a/../../x"])
def test_keys_never_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError):
        FolderBucket(tmp_path).write(key, b"")


@pytest.mark.parametrize("url", ["ftp://host/x", "folder", ""])
def test_an_unknown_store_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="names no known place"):
        bucket_at(url)


def test_a_place_may_be_a_path(tmp_path: Path) -> None:
    """With or without its scheme."""
    assert [objects_at(place).url for place in (str(tmp_path), f"file://{tmp_path}")] == [f"file://{tmp_path}"] * 2


def test_what_an_extra_brings_is_said() -> None:
    """Not an import error, but what to install."""
    with pytest.raises(BedplateError, match="a store at x:// needs a package") as error:
        load("bedplate_no_such_package.objects", "a store at x://", "s3")
    assert error.value.next == "pip install 'bedplate[s3]'"
