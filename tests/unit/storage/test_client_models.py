"""Folders that clients logged as models: which of them a flavour of ours loads, and why the others cannot be served."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
import pytest

from bedplate.core.errors import CorruptError, Refused
from bedplate.core.records import Draft, Version
from bedplate.storage.backends import yaml_text
from bedplate.storage.client_models import described, refuse_opaque
from bedplate.storage.flavours import File
from bedplate.storage.local import local_store
from bedplate.storage.models import ModelShelf
from bedplate.storage.store import Store

SIGNATURE = '[{"type": "double", "name": "x", "required": true}, {"type": "long", "name": "n"}]'


def mlmodel(flavour: str, key: str, data: str, signature: str = SIGNATURE) -> bytes:
    """An MLmodel as the clients write it."""
    signed = f"signature:\n  inputs: '{signature}'\n  outputs: null\n  params: null\n" if signature else ""
    flavours = f"  {flavour}:\n    code: null\n    {key}: {data}\n  python_function:\n    loader_module: x\n"
    return f"artifact_path: model\nflavors:\n{flavours}{signed}".encode()


@pytest.mark.parametrize(
    ("flavour", "key", "data", "ours"),
    [
        ("lightgbm", "data", "model.lgb", "lightgbm"),
        ("lightgbm", "data", "model.skops", "sklearn"),
        ("xgboost", "data", "model.ubj", "xgboost"),
        ("xgboost", "data", "model.xgb", "xgboost"),
        ("sklearn", "pickled_model", "model.skops", "sklearn"),
        ("onnx", "data", "model.onnx", "onnx"),
    ],
)
def test_a_framework_s_own_file_loads_as_that_flavour(flavour: str, key: str, data: str, ours: str) -> None:
    found = described(mlmodel(flavour, key, data), frozenset({"MLmodel", data, "conda.yaml"}))
    assert (found.flavour, list(found.files.values()), found.why) == (ours, [data], "")
    assert [(field.name, field.datatype) for field in found.signature.inputs] == [("x", "FP64"), ("n", "INT64")]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("text", "paths", "why"),
    [
        (mlmodel("sklearn", "pickled_model", "model.pkl"), {"MLmodel", "model.pkl"}, "pickle"),
        (mlmodel("lightgbm", "data", "model.pkl"), {"MLmodel", "model.pkl"}, "pickle"),
        (mlmodel("pytorch", "model_data", "data"), {"MLmodel", "data/model.pth"}, "pickled"),
        (mlmodel("lightgbm", "data", "model.lgb", ""), {"MLmodel", "model.lgb"}, "no signature"),
        (mlmodel("lightgbm", "data", "../model.lgb"), {"MLmodel", "model.lgb"}, "not there"),
        (mlmodel("lightgbm", "data", "model.lgb", '[{"type": "datetime", "name": "d"}]'), {"model.lgb"}, "no number"),
        (mlmodel("onnx", "data", "model.onnx"), {"MLmodel", "model.onnx", "weights.bin"}, "beside it"),
        (mlmodel("prophet", "data", "model.pr"), {"MLmodel"}, "no flavour of ours"),
        (b"!!python/object/apply:os.system ['touch /tmp/never']\n", {"MLmodel"}, "tag"),
        (b"a: &a [x]\nb: [*a, *a]\n", {"MLmodel"}, "alias"),
        (b"[" * 5000, {"MLmodel"}, "levels"),
        (b"\xff\xfe", {"MLmodel"}, "cannot be read"),
        (b"a: [", {"MLmodel"}, "cannot be read"),
        (None, set(), "no files"),
    ],
)
def test_what_cannot_be_served_says_why_and_what_to_do_instead(text: bytes | None, paths: set[str], why: str) -> None:
    found = described(text, frozenset(paths))
    assert found.flavour == "opaque"
    assert why in found.why
    assert found.instead


def _store(folder: Path) -> Store:
    return local_store(folder, {"model": ModelShelf(folder)})


def _sent(store: Store, files: dict[str, bytes]) -> dict[str, File]:
    listing = {}
    for path, content in files.items():
        with store.receive() as sink:
            sink.write(content)
        assert sink.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
        listing[path] = File(digest=sink.digest, size=sink.size)
    return listing


def _version(draft: Draft) -> Version:
    return Version(**msgspec.structs.asdict(draft), number=1, created_at=datetime(2026, 1, 1, tzinfo=UTC), attempt="f" * 32)


def test_a_description_of_a_million_values_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One megabyte of them held up every write of a server for ten seconds, each time that it was registered."""
    text = b"flavors: [" + b"1," * 490_000 + b"]\n"
    read: list[object] = []
    monkeypatch.setattr(yaml_text._Events, "next", counted(read, yaml_text._Events.next))
    found = described(text, frozenset({"MLmodel"}))
    assert "too many" in found.why or "more than" in found.why
    assert len(read) < 50_000


def counted(read: list[object], then: Callable[..., object]) -> Callable[..., object]:
    """What counts the values that are read."""

    def next(events: object) -> object:
        read.append(events)
        return then(events)

    return next


def test_a_logged_booster_predicts_as_it_did_and_its_listing_is_its_digest(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(200, 2))
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, (x[:, 0] > 0).astype(float)), 5)
    store = _store(tmp_path)
    listing = _sent(store, {"MLmodel": mlmodel("lightgbm", "data", "model.lgb"), "model.lgb": booster.model_to_string().encode()})
    version = _version(store.adopt("churn", listing, {"run": "r"}))
    assert version.meta["flavour"] == "lightgbm"
    loaded = store.load(version, "model")
    assert loaded.predict({"x": x[:, 0].tolist(), "n": x[:, 1].tolist()}).tolist() == booster.predict(x).tolist()
    assert store.missing(version) == []
    store.verify(version)
    assert len(store.needs(version)) == 2  # the booster is in the listing and in the files, and is one object
    (tmp_path / f"blobs/sha256/{listing['MLmodel'].digest[7:9]}/{listing['MLmodel'].digest[7:]}").unlink()
    assert len(store.missing(version)) == 1


def test_an_opaque_model_is_kept_whole_and_never_loaded(tmp_path: Path) -> None:
    store = _store(tmp_path)
    listing = _sent(store, {"MLmodel": mlmodel("sklearn", "pickled_model", "model.pkl"), "model.pkl": b"\x80\x04cposix\nsystem\n"})
    version = _version(store.adopt("churn", listing, {}))
    store.verify(version)
    with pytest.raises(Refused, match="cannot be served"):
        store.load(version, "model")
    with pytest.raises(Refused, match="skops"):
        refuse_opaque(version, version.ref)


@pytest.mark.bad_input
def test_a_forged_booster_is_a_corrupt_file_and_not_a_crash(tmp_path: Path) -> None:
    store = _store(tmp_path)
    listing = _sent(store, {"MLmodel": mlmodel("lightgbm", "data", "model.lgb"), "model.lgb": b"\x80\x04K\x01."})
    with pytest.raises(CorruptError):
        store.load(_version(store.adopt("churn", listing, {})), "model")


def test_parts_are_joined_in_order_and_checked(tmp_path: Path) -> None:
    store = _store(tmp_path)
    parts = [file.digest for file in _sent(store, {"1": b"a" * 70_000, "2": b"b" * 10}).values()]
    digest, size = store.join(parts)
    assert (digest, size) == (f"sha256:{hashlib.sha256(b'a' * 70_000 + b'b' * 10).hexdigest()}", 70_010)
    path = store.blob(parts[1])
    path.chmod(0o644)
    path.write_bytes(b"x" * 10)
    with pytest.raises(CorruptError):
        store.join(parts)
