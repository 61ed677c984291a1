"""Blobs, files, values and staged outcomes on the local disk: written whole or not at all, and nothing but what was written read back."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from bedplate.core import digests
from bedplate.core.errors import CorruptError, InternalError, StoreError, UserError
from bedplate.core.records import Outcome
from bedplate.core.sources import Entry, Files
from bedplate.storage import disk, gc
from bedplate.storage.blobs import Blobs
from bedplate.storage.local import local_store
from bedplate.storage.store import Store
from bedplate.testing.store_contract import save

HEAVY = "polars deltalake duckdb numpy pyarrow pandas arro3 lightgbm sklearn"
SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return local_store(tmp_path / "store")


def everything(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_the_same_bytes_are_kept_once(blobs: Blobs) -> None:
    """Under their SHA-256, which `sha256sum` shows too; whoever writes them."""
    digest = blobs.put(b"hello")
    source = blobs.root / "source"
    source.write_bytes(b"hello")
    assert blobs.put_file(source) == (digest, 5)
    assert digest == "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert everything(blobs.root / "blobs") == [blobs.path(digest)]
    assert blobs.get(digest) == b"hello"


def test_many_writers_of_one_blob(blobs: Blobs) -> None:
    """32 at once leave one whole object and no temporary file."""
    content = os.urandom(300_000)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(blobs.put(content))) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {digests.of_bytes(content)}
    assert len(found) == 32
    assert everything(blobs.root) == [blobs.path(found[0])]
    assert blobs.get(found[0]) == content


def test_a_corrupt_blob_is_never_handed_out(blobs: Blobs) -> None:
    """The message names the file and the command that finds what makes it again."""
    digest = blobs.put(b"hello")
    blobs.path(digest).chmod(0o644)
    blobs.path(digest).write_bytes(b"jello")
    for read in (blobs.get, blobs.check):
        with pytest.raises(CorruptError, match=str(blobs.path(digest))) as error:
            read(digest)
        assert "bedplate doctor" in error.value.next
    assert blobs.has(digest, 5)


def test_a_lost_blob_says_what_to_do(blobs: Blobs) -> None:
    """Reading it names the file; asking for it is no error."""
    digest = digests.of_bytes(b"never kept")
    assert not blobs.has(digest)
    for read in (blobs.get, blobs.check):
        with pytest.raises(StoreError, match="is gone"):
            read(digest)


@pytest.mark.parametrize("digest", ["", "sha256:../../etc/passwd", "sha256:" + "g" * 64, "../" * 21 + "x"])
def test_what_is_no_digest_is_no_path(digest: str) -> None:
    """A blob's path is made of hex digits alone."""
    with pytest.raises(InternalError):
        Blobs.relative(digest)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "", "a\0b", "a\\..\\b"])
def test_names_stay_inside(name: str) -> None:
    """No relative name leads out of its folder."""
    with pytest.raises(UserError):
        disk.inside(Path("/root"), name)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk: the old content, no temporary file, one clear error."""
    path = tmp_path / "file"
    disk.write(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="the disk is full"):
        disk.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert everything(tmp_path) == [path]


def test_a_writer_that_is_killed_leaves_only_a_hidden_file(tmp_path: Path) -> None:
    """No half-written file under a real name; `gc` collects what is left."""
    code = (
        "import os, signal, sys; from pathlib import Path; from bedplate.storage.blobs import Blobs\n"
        "with Blobs(Path(sys.argv[1])).writer() as sink:\n"
        "    sink.write(b'x' * 1000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    (left,) = everything(tmp_path)
    assert left.name.startswith(disk.TEMPORARY)
    assert gc.collect(tmp_path, set(), SOON, False).files == 1
    assert everything(tmp_path) == []


def test_a_blob_written_again_is_young(store: Store) -> None:
    """A writer that finds its bytes there renews them: `gc` does not take them from under a version about to be committed."""
    version = save(store, "pickle", [1])
    path = store.root / version.uri
    os.utime(path, (0, 0))
    save(store, "pickle", [1])
    assert store.gc([], datetime.now(UTC) - timedelta(hours=1), False).files == 0
    os.utime(path, (0, 0))
    assert store.gc([], datetime.now(UTC) - timedelta(hours=1), False).files == 1


def test_a_changed_file_of_a_version_is_found(store: Store, tmp_path: Path) -> None:
    """A consumer who got around the read-only mode harms nobody: the next folder is checked, and so is the version."""
    (tmp_path / "a.txt").write_text("one")
    version = save(store, "files", tmp_path / "a.txt")
    path = store.load(version, "path")
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o644)
    path.write_text("ONE!")
    for read in (lambda: store.load(version, "path"), lambda: store.verify(version)):
        with pytest.raises(StoreError):
            read()


def test_a_view_folder_is_made_again(store: Store, tmp_path: Path) -> None:
    """It is derived: losing a file of it, or all of it, loses nothing."""
    for name in ("a", "b"):
        (tmp_path / "work" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "work" / name).write_text(name)
    version = save(store, "files", tmp_path / "work")
    folder = store.load(version, "path")
    (folder / "a").unlink()
    assert {p.name: p.read_text() for p in store.load(version, "path").iterdir()} == {"a": "a", "b": "b"}
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_store_without_hard_links_copies(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On such a file system a copy that a consumer wrote to is replaced."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a.txt").write_text("one")
    version = save(store, "files", tmp_path / "a.txt")
    path = store.load(version, "path")
    inode = path.stat().st_ino
    assert store.load(version, "path").stat().st_ino == inode
    path.chmod(0o644)
    path.write_text("ONE")
    assert store.load(version, "path").read_text() == "one"


def test_what_is_no_file_is_refused(store: Store, tmp_path: Path) -> None:
    """A path that is not there, a link to a folder, two files of one name, a name that leads out."""
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(UserError, match="does not exist"):
        save(store, "files", work / "nothing")
    (work / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="link to a folder"):
        save(store, "files", work)
    (tmp_path / "a").write_text("1")
    for names, words in ((("x", "x"), "two files are named 'x'"), (("../x",), "would leave")):
        entries = tuple(Entry(name, str(tmp_path / "a"), 1, "") for name in names)
        with pytest.raises(UserError, match=words):
            save(store, "files", Files().bind(entries))


def test_a_lost_file_of_a_version_is_named(store: Store, tmp_path: Path) -> None:
    """`exists` sees it, and what made it makes it again under the same digest."""
    (tmp_path / "a.txt").write_text("one")
    version = save(store, "files", tmp_path / "a.txt")
    blob = store.root / Blobs.relative(digests.of_bytes(b"one"))
    blob.unlink()
    assert store.missing(version) == [str(blob.relative_to(store.root))]
    with pytest.raises(StoreError, match="is gone"):
        store.load(version, "path")
    assert save(store, "files", tmp_path / "a.txt", attempt="a-2", prior=version).digest == version.digest
    assert store.exists(version)


def test_gc_stops_at_a_folder_that_it_cannot_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better nothing collected than something that a manifest in there names."""
    save(store, "pickle", [1])

    def denied(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(StoreError, match="cannot read"):
        store.gc([], SOON, False)


def test_a_staged_outcome_is_whole_or_not_there(store: Store) -> None:
    """What a power cut left unfinished is no outcome: its step runs again, and no other is held up."""
    store.stage(Outcome(attempt="a-1", message="done"))
    path = store.root / "staged" / "a-1.json"
    for left in (path.read_bytes()[:-5], b""):
        path.write_bytes(left)
        assert store.staged("a-1") is None


def test_asking_whether_bytes_exist_imports_nothing_heavy(store: Store) -> None:
    """A fully cached run asks for every version of every kind, and may not load Polars for it."""
    code = (
        "import sys; from pathlib import Path; from bedplate.storage.local import local_store\n"
        "from bedplate.core.records import Version; import msgspec\n"
        "store = local_store(Path(sys.argv[1]))\n"
        "print(all(store.exists(v) for v in msgspec.json.decode(sys.argv[2], type=list[Version])),\n"
        "      sorted({n.partition('.')[0] for n in sys.modules} & set(sys.argv[3].split())))"
    )
    versions = [save(store, "table", pl.DataFrame({"a": [1]})), save(store, "pickle", [1]), save(store, "scalar", 1)]
    text = msgspec.json.encode(versions).decode()
    answer = subprocess.run([sys.executable, "-c", code, str(store.root), text, HEAVY], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True []"
