"""SQL over a store in a bucket whose local copies rotted: the bucket is the truth, and is asked again."""

from __future__ import annotations

import importlib
from pathlib import Path

import polars as pl
import pytest
from real_servers import S3Server

from bedplate.assembly import ask
from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import SystemClock
from bedplate.core.errors import CorruptError
from bedplate.storage.local import local_store
from bedplate.storage.remote import remote_store
from bedplate.storage.shelf import Save
from bedplate.storage.store import Store
from bedplate.testing.records import History

pytest.importorskip("obstore", reason="obstore is not installed")
objects = importlib.import_module("bedplate.storage.backends.objects")
TABLE, LOG = "SELECT sum(n)::BIGINT AS n FROM numbers", "SELECT sum(n)::BIGINT AS n FROM served"


def filled(store: Store, folder: Path) -> Catalog:
    """A catalog that names a table of the store, which also has a log of predictions."""
    clock = SystemClock()
    catalog = Catalog.open(open_database(folder / "catalog.db"), clock)
    draft = store.save(Save(kind="table", artifact="numbers", value=pl.DataFrame({"n": range(50_000)}), attempt="a-1"))
    catalog.commit([History(catalog, clock).done("numbers", draft)])
    store.log("predictions/served").append({"n": [1, 2, 3]})
    return catalog


def rot(root: Path, how: str) -> None:
    for path in root.rglob("*.parquet"):
        whole = path.read_bytes()
        third = len(whole) // 3
        path.write_bytes({"all": b"rot", "none": b"", "middle": whole[:4] + bytes(third) + whole[4 + third :]}[how])


@pytest.mark.parametrize("how", ["all", "none", "middle"])
def test_copies_that_rotted_are_fetched_again(s3_server: S3Server, tmp_path: Path, how: str) -> None:
    """Of a table and of a log; each time, and by itself."""
    store = remote_store(tmp_path / "copies", objects.open_bucket(f"s3://{s3_server.bucket()}/lake?endpoint={s3_server.endpoint}"))
    catalog = filled(store, tmp_path)
    for _ in range(2):
        rot(store.root, how)
        assert ask(catalog, store, TABLE)["n"].to_list() == [sum(range(50_000))]
        assert ask(catalog, store, LOG)["n"].to_list() == [6]
    catalog.close()


def test_what_rotted_without_a_bucket_is_told(tmp_path: Path) -> None:
    """There is nothing to fetch it from: the table is named, and nothing wrong is answered."""
    store = local_store(tmp_path / "store")
    catalog = filled(store, tmp_path)
    rot(store.root, "all")
    with pytest.raises(CorruptError, match="the table numbers cannot be read"):
        ask(catalog, store, TABLE)
    catalog.close()
