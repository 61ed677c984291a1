"""Uploads in parts that go wrong (F55): nothing corrupt is taken for whole, no parts are left, and a last call made twice does no harm."""

from __future__ import annotations

import importlib
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from real_servers import _MOTO, S3Server
from s3_faults import S3Faults

from bedplate.core.digests import PREFIX, of_file
from bedplate.core.errors import StoreError
from bedplate.storage.blobs import Blobs

pytest.importorskip("obstore", reason="obstore is not installed")
objects = importlib.import_module("bedplate.storage.backends.objects")
BIG = 24_000_000


@pytest.fixture
def faults(s3_server: S3Server) -> Iterator[S3Faults]:
    found = S3Faults(s3_server.port)
    yield found
    found.close()


@pytest.fixture
def name(s3_server: S3Server) -> str:
    return s3_server.bucket()


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(bytes(range(256)) * (BIG // 256))
    return path


def left_over(server: S3Server, name: str) -> int:
    """How many uploads have begun and not ended."""
    asked = urllib.request.Request(f"{server.endpoint}/{name}?uploads", headers={"Authorization": _MOTO})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return int(answer.read().count(b"<Upload>"))


def opened(server: Any, name: str) -> Any:
    return objects.open_bucket(f"s3://{name}/lake?endpoint={server.endpoint}")


def test_f55_a_part_that_was_lost_fails_the_upload(s3_server: S3Server, faults: S3Faults, name: str, big: Path) -> None:
    """What was there stays, and the parts that arrived are let go."""
    bucket, key = opened(faults, name), "tables/late/part.parquet"
    bucket.write(key, b"before")
    faults.tell("lose a part")
    with pytest.raises(StoreError, match="cannot write"):
        bucket.send(big, key)
    assert faults.harmed >= 1
    assert opened(s3_server, name).read(key) == b"before"
    assert left_over(s3_server, name) == 0
    faults.tell("none")
    bucket.send(big, key)
    assert bucket.size(key) == BIG


def test_f55_a_part_that_arrives_as_another_is_never_taken_for_whole(faults: S3Faults, name: str, big: Path) -> None:
    """Either the server refuses it by the checksum that it was sent with, or whoever fetches it sees that the digest is another."""
    key = Blobs.relative(of_file(big))
    assert key.endswith(of_file(big).removeprefix(PREFIX))
    bucket = opened(faults, name)
    faults.tell("flip a byte")
    with suppress(StoreError):
        bucket.send(big, key)
    assert faults.harmed >= 1
    with pytest.raises(StoreError, match=r"is corrupt|is gone"):
        bucket.fetch(key, big.with_name(Path(key).name))


def test_f55_the_last_call_made_twice_does_no_harm(s3_server: S3Server, faults: S3Faults, name: str, big: Path) -> None:
    """Its answer was lost, so it is made again: the upload counts, is whole, and is there once."""
    bucket, key = opened(faults, name), "tables/late/part.parquet"
    faults.tell("lose the answer")
    bucket.send(big, key)
    assert faults.harmed == 1
    assert [one.size for one in opened(s3_server, name).list("tables/")] == [BIG]
    assert bucket.read(key) == big.read_bytes()
    assert left_over(s3_server, name) == 0
