"""`bedplate sign` and `verify` with the public `model_signing` tool: what one signs, the other verifies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.places import database_at
from bedplate.catalog.tracking.registered import Registration
from bedplate.core.clock import SystemClock
from bedplate.core.errors import CorruptError
from bedplate.pipeline.signed import check_signed
from bedplate.storage.flavours import File
from bedplate.storage.local import local_store
from bedplate.storage.models import ModelShelf

ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec", reason="cryptography is not installed")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
pytest.importorskip("model_signing.signing", reason="model-signing is not installed")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state with one registered version, of two files."""
    folder = tmp_path / "state"
    folder.mkdir()
    store = local_store(folder / "store", {"model": ModelShelf(folder / "store")})
    listing = {}
    for name, content in {"MLmodel": b"flavors: {}\n", "data/weights.bin": b"weights"}.items():
        path = tmp_path / "sent"
        path.write_bytes(content)
        listing[name] = File(digest=store.keep(path), size=len(content))
    catalog = Catalog.open(database_at(f"sqlite:///{folder}/catalog.db"), SystemClock())
    catalog.tracking.registry.create("late", 1)
    asked = Registration(draft=store.adopt("late", listing, {}), source="", made_by="ann", attempt="ab" * 16)
    catalog.together(lambda: catalog.tracking.registry.register(asked, 1))
    catalog.close()
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public half."""
    made = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(made.private_bytes(serialization.Encoding.PEM, *plain))
    public.write_bytes(made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def says(*words: str | Path, module: str = "bedplate") -> int:
    """How a command ends."""
    done = subprocess.run([sys.executable, "-m", module, *map(str, words)], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def test_each_verifies_what_the_other_signed(state: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Proves that a version signed here is verified by the public tool, and the other way round."""
    private, public = keys
    out = tmp_path / "late"
    assert says("sign", "late@1", "--key", private, "--out", out, "--state", state) == 0
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "MLmodel", "data/weights.bin", "model.sig",
    ]  # fmt: skip
    ours = ("verify", "key", "--signature", out / "model.sig", "--public_key", public, "--ignore-paths", out / "model.sig", out)
    assert says(*ours, module="model_signing") == 0
    assert says("verify", out, "--key", public, "--is", "late@1", "--state", state) == 0
    theirs = tmp_path / "theirs.sig"
    assert (
        says(
            "sign", "key", "--private_key", private, "--signature", theirs, "--ignore-paths", out / "model.sig", out, module="model_signing"
        )
        == 0
    )
    assert says("verify", out, "--key", public, "--signature", theirs) == 0


@pytest.mark.parametrize("change", ["altered", "added", "removed"])
def test_whatever_is_changed_is_found(change: str, state: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Proves that a byte, a file more and a file less each end with what corrupt files end with."""
    private, public = keys
    out = tmp_path / "late"
    assert says("sign", "late@1", "--key", private, "--out", out, "--state", state) == 0
    weights = out / "data" / "weights.bin"
    if change == "altered":
        weights.write_bytes(b"Weights")
    elif change == "added":
        (out / "data" / ".git").write_text("more")
    else:
        weights.unlink()
    assert says("verify", out, "--key", public) == 4


@pytest.mark.bad_input("a key or a signature that is none")
def test_what_cannot_be_signed_or_verified_is_told(state: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Proves that each is the user's mistake, without a traceback."""
    (tmp_path / "no.pem").write_text("no key")
    assert says("sign", "late@1", "--key", tmp_path / "no.pem", "--out", tmp_path / "a", "--state", state) == 2
    assert says("sign", "late@1", "--key", keys[0], "--out", state, "--state", state) == 2
    assert says("verify", tmp_path, "--key", keys[1]) == 2
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    text = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "other.pem").write_bytes(text)
    assert says("sign", "late@1", "--key", keys[0], "--out", tmp_path / "b", "--state", state) == 0
    assert says("verify", tmp_path / "b", "--key", tmp_path / "other.pem") == 4


def test_a_folder_is_named_from_where_one_stands(
    state: Path, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed and verified by relative names, as the how-to types them; what was changed is told in words."""
    monkeypatch.chdir(tmp_path)
    assert says("sign", "late@1", "--key", "key.pem", "--out", "out", "--state", state) == 0
    assert says("verify", "out", "--key", "public.pem", "--is", "late@1", "--state", state) == 0
    (tmp_path / "out" / "MLmodel").write_text("changed")
    with pytest.raises(CorruptError, match=r"Hash mismatch for 'MLmodel'\"\]\n"):
        check_signed(Path("out"), keys[1])
