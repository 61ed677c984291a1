"""The store in a bucket that is slow, cut off, refused, emptied, corrupted and written to by many at once."""

from __future__ import annotations

import importlib
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from real_servers import RcloneServer, S3Server
from tcp_proxy import TcpProxy

from bedplate.core.errors import CorruptError, Refused, StoreError, UserError
from bedplate.storage.checkpoints import SUMS
from bedplate.storage.remote import RemoteStore, remote_store
from bedplate.testing.store_contract import FRAME, save

pytest.importorskip("obstore", reason="obstore is not installed")
objects = importlib.import_module("bedplate.storage.backends.objects")
BIG = 24_000_000


@pytest.fixture
def url(s3_server: S3Server) -> str:
    """The address of a new bucket."""
    return f"s3://{s3_server.bucket()}/lake?endpoint={s3_server.endpoint}"


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[TcpProxy]:
    """A way to the server that can be made bad."""
    proxy = TcpProxy(s3_server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., RemoteStore]:
    """The store at an address, as on the machine of that name."""
    return lambda url, machine="here": remote_store(tmp_path / machine, objects.open_bucket(url))


def test_another_machine_reads_what_was_saved(opened: Callable[..., RemoteStore], url: str, tmp_path: Path) -> None:
    """A table, a scalar too long for the record, a pickle and files, none of which it has copies of; and the copies may go."""
    here, there = opened(url, "here"), opened(url, "there")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "a.txt").write_text("one")
    made = [save(here, "table", FRAME), save(here, "scalar", "x" * 100_000, artifact="long"), save(here, "pickle", [1], artifact="odd")]
    files = save(here, "files", tmp_path / "work", artifact="notes")
    for _ in range(2):
        assert_frame_equal(there.load(made[0], "polars"), FRAME)
        assert (there.load(made[1], "scalar"), there.load(made[2], "pickle")) == ("x" * 100_000, [1])
        assert (there.load(files, "path") / "a.txt").read_text() == "one"
        shutil.rmtree(tmp_path / "there")
    longer = save(there, "table", FRAME, attempt="a-2", prior=made[0], append=True)
    assert_frame_equal(here.load(longer, "polars"), pl.concat([FRAME, FRAME]))


def test_f54_answers_reset_in_the_middle(opened: Callable[..., RemoteStore], s3_server: S3Server, proxy: TcpProxy) -> None:
    """Every answer is cut off at some byte, again and again; what is saved and loaded is whole."""
    store = opened(f"s3://{s3_server.bucket()}/lake?endpoint={proxy.endpoint}")
    rows = pl.DataFrame({"n": range(200_000)})
    for after in (0, 100, 5000, 200_000):
        proxy.tell(after=after, breaks=2)
        version = save(store, "table", rows.with_columns(after=pl.lit(after)), attempt=f"a-{after}")
        proxy.tell(after=after, breaks=2)
        shutil.rmtree(store.root)
        assert store.load(version, "polars").height == rows.height
    assert proxy.broken >= 4


def test_f54_slow_answers(opened: Callable[..., RemoteStore], s3_server: S3Server, proxy: TcpProxy) -> None:
    """Half a second for each answer: many files are asked about at once, not one after the other."""
    store = opened(f"s3://{s3_server.bucket()}/lake?endpoint={proxy.endpoint}")
    parts = {f"k{n}": save(store, "pickle", n, artifact=f"x[k{n}]", part=True) for n in range(3)}
    many = [save(store, "table", FRAME, artifact=f"late[{n}]", attempt=f"a-{n}", part=True) for n in range(12)]
    whole = store.combine("late", "table", {str(n): version for n, version in enumerate(many)}, "a-99")
    proxy.tell(delay_s=0.5)
    began = time.monotonic()
    assert store.missing(whole) == []  # type: ignore[arg-type] # a draft has all that is asked about
    assert time.monotonic() - began < 4
    assert store.load(parts["k1"], "pickle") == 1


def test_the_server_is_gone(opened: Callable[..., RemoteStore], s3_server: S3Server, proxy: TcpProxy, monkeypatch: Any) -> None:
    """One message that names the bucket and what to do, and no secret."""
    monkeypatch.setattr(objects, "_RETRIES", {"max_retries": 0})
    store = opened(f"s3://{s3_server.bucket()}/lake?endpoint={proxy.endpoint}")
    proxy.close()
    time.sleep(0.1)
    with pytest.raises(StoreError, match=r"cannot write s3://bed-.*/lake/") as error:
        save(store, "pickle", [1])
    assert "bedplate target test" in error.value.next


@pytest.mark.bad_input("a bucket that is not there")
def test_a_bucket_that_is_not_there(s3_server: S3Server) -> None:
    """Refused when the store is opened, by name."""
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/x.*no such bucket"):
        objects.open_bucket(f"s3://no-such-bucket/x?endpoint={s3_server.endpoint}")


@pytest.mark.bad_input("a store that cannot hold a lake")
@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("hdfs://host/x", Refused, "hdfs:// is not offered"),
        ("s3://", UserError, "not the address of a bucket"),
        ("s3://key:secret@bucket/x", UserError, "not the address of a bucket: s3://bucket"),
        ("s3://bucket/x?password=1", UserError, "not the address of a bucket"),
    ],
)
def test_addresses_that_are_refused(url: str, error: type[Exception], says: str) -> None:
    """With the reason; a password in the address is not repeated."""
    with pytest.raises(error, match=says) as refused:
        objects.open_bucket(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["gs://bucket/x", "az://container/x"])
def test_other_clouds_are_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their addresses and credentials are understood; no server of theirs is at hand to ask more."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "someone")
    assert objects.open_bucket(url, proves=False).url == url


@pytest.mark.bad_input("a store that overwrites what should only be made once")
def test_f23_a_store_without_put_if_absent_refuses(rclone_server: RcloneServer, tmp_path: Path) -> None:
    """rclone's S3 server ignores If-None-Match: opening it is refused, before anything is committed."""
    with pytest.raises(Refused, match="cannot hold a lake") as error:
        objects.open_bucket(f"s3://{rclone_server.bucket()}/lake?endpoint={rclone_server.endpoint}")
    assert "overwrite each other" in error.value.why


@pytest.mark.bad_input("wrong credentials for a bucket")
def test_wrong_credentials(rclone_server: RcloneServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """rclone's server checks signatures: what is wrong is said, and the key is not shown."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-one")
    with pytest.raises(StoreError, match="does not let us in") as error:
        objects.open_bucket(f"s3://{rclone_server.bucket()}/lake?endpoint={rclone_server.endpoint}")
    assert "not-the-one" not in str(error.value)


def test_f15_a_corrupted_object(opened: Callable[..., RemoteStore], url: str) -> None:
    """One flipped byte in the bucket: loading elsewhere fails by its digest, `verify` finds it, shedding it makes room."""
    here, bucket = opened(url), objects.open_bucket(url)
    version = save(here, "pickle", list(range(1000)))
    content = bytearray(bucket.read(version.uri))
    content[500] ^= 1
    bucket.write(version.uri, bytes(content))
    with pytest.raises(CorruptError, match="is corrupt"):
        opened(url, "there").load(version, "pickle")
    with pytest.raises((CorruptError, StoreError)):
        here.verify(version)
    assert here.shed(version) == [version.uri]
    assert here.missing(version) == [version.uri]
    again = save(here, "pickle", list(range(1000)))
    assert opened(url, "third").load(again, "pickle") == list(range(1000))


def test_a_corrupted_copy_is_fetched_again(opened: Callable[..., RemoteStore], url: str) -> None:
    """The bucket is the truth: a copy that rotted here is replaced unasked."""
    store = opened(url)
    version = save(store, "pickle", [1, 2, 3])
    copy = store.root / version.uri
    copy.chmod(0o644)
    copy.write_bytes(b"rotten")
    assert store.load(version, "pickle") == [1, 2, 3]


def test_f24_missing_data_and_log_entries(opened: Callable[..., RemoteStore], url: str) -> None:
    """A file that is gone is named; other versions stay readable, also without the table's log, which then takes no commit."""
    store, bucket = opened(url), objects.open_bucket(url)
    versions = [save(store, "table", FRAME.with_columns(n=pl.lit(n)), attempt=f"a-{n}", number=n) for n in range(3)]
    gone = f"{versions[1].uri}/{versions[1].meta['files'][0][0]}"
    bucket.delete([gone, f"{versions[0].uri}/_delta_log/{1:020}.json"])
    there = opened(url, "there")
    assert [there.missing(version) for version in versions] == [[], [gone], []]
    with pytest.raises(StoreError, match="is gone"):
        there.load(versions[1], "polars")
    assert [there.load(versions[n], "polars")["n"][0] for n in (0, 2)] == [0, 2]
    with pytest.raises(StoreError, match=r"s3://bed-.*/tables/late"):
        save(there, "table", FRAME.head(1), attempt="a-9")


UPLOAD = """
import sys
from pathlib import Path
from bedplate.storage.backends.objects import open_bucket
bucket = open_bucket(sys.argv[1])
print("begins", flush=True)
bucket.send(Path(sys.argv[2]), "blobs/big")
"""


def test_f13_killed_in_the_middle_of_an_upload(s3_server: S3Server, proxy: TcpProxy, tmp_path: Path) -> None:
    """SIGKILL at several moments of a large upload: the object is not there, or whole; the next upload works."""
    name, big = s3_server.bucket(), tmp_path / "big"
    big.write_bytes(bytes(BIG))
    bucket = objects.open_bucket(f"s3://{name}/lake?endpoint={s3_server.endpoint}")
    proxy.tell(delay_s=0.05)
    for moment_s in (0.0, 0.05, 0.1, 0.2):
        words = [sys.executable, "-c", UPLOAD, f"s3://{name}/lake?endpoint={proxy.endpoint}", str(big)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            time.sleep(moment_s)
            process.kill()
        assert bucket.size("blobs/big") in (None, BIG)
    bucket.send(big, "blobs/big")
    assert bucket.size("blobs/big") == BIG


def test_f18_the_same_content_by_many_writers(opened: Callable[..., RemoteStore], url: str) -> None:
    """Sixteen writers on as many machines: all succeed, and it is kept once."""
    versions: list[Any] = []

    def write(number: int) -> None:
        versions.append(save(opened(url, f"m{number}"), "pickle", list(range(5000)), attempt=f"a-{number}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(versions) == 16
    assert len({version.uri for version in versions}) == 1
    assert len(list(objects.open_bucket(url).list("blobs/"))) == 1


SAVING = """
import sys
from pathlib import Path
import polars as pl
from bedplate.storage.backends.objects import open_bucket
from bedplate.storage.checkpoints import SUMS
from bedplate.storage.remote import remote_store
from bedplate.testing.store_contract import save
store = remote_store(Path(sys.argv[2]), open_bucket(sys.argv[1]))
for n in range(1000):
    version = save(store, "table", pl.DataFrame({"n": [n] * 1000, "turn": sys.argv[3]}), attempt=f"a-{sys.argv[3]}-{n}")
    print(n, version.meta["files"][0][0], flush=True)
"""


def test_f20_killed_in_the_middle_of_commits(opened: Callable[..., RemoteStore], url: str, tmp_path: Path) -> None:
    """kill -9 at random moments, again and again: what was acknowledged is whole, and the next commit works."""
    chance, there = random.Random(20261122), opened(url, "there")
    for turn in range(4):
        words = [sys.executable, "-c", SAVING, url, str(tmp_path / "here"), f"t{turn}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.4))
            process.kill()
            rest = [line for line in process.stdout.read().splitlines() if line.endswith(".parquet")]
        names = [line.split()[1] for line in [first, *rest]]
        bucket = objects.open_bucket(url)
        assert all(bucket.size(f"tables/late/{name}") for name in names)
        next_one = pl.DataFrame({"next": [turn]})
        version = save(there, "table", next_one, attempt=f"a-next-{turn}")
        assert_frame_equal(opened(url, f"third{turn}").load(version, "polars"), next_one)


def test_f22_a_reader_while_others_overwrite_and_collect(opened: Callable[..., RemoteStore], url: str) -> None:
    """A pinned version reads the same on a machine without copies, between overwrites and collections."""
    writer, pinned = opened(url), None
    for n in range(8):
        version = save(writer, "table", FRAME.with_columns(n=pl.lit(n)), attempt=f"a-{n}", number=n)
        pinned = pinned or version
        writer.gc([pinned, version], datetime.now(UTC) + timedelta(minutes=1), False)
        shutil.rmtree(writer.root / "tables", ignore_errors=True)
        assert_frame_equal(opened(url, f"reader{n}").load(pinned, "polars"), FRAME.with_columns(n=pl.lit(0)))


APPENDING = """
import sys
from pathlib import Path
from bedplate.storage.backends.objects import open_bucket
from bedplate.storage.checkpoints import SUMS
from bedplate.storage.remote import remote_store
store = remote_store(Path(sys.argv[2]), open_bucket(sys.argv[1]))
for n in range(8):
    store.log("many").append({"writer": [sys.argv[3]], "n": [n]})
"""


def test_f21_processes_commit_to_one_table_at_once(opened: Callable[..., RemoteStore], url: str, tmp_path: Path) -> None:
    """Four processes append to one log: no row is lost or doubled, and its commits have no gaps."""
    words = [[sys.executable, "-c", APPENDING, url, str(tmp_path / f"m{n}"), f"w{n}"] for n in range(4)]
    processes = [subprocess.Popen(word, stderr=subprocess.PIPE, text=True) for word in words]
    assert [process.communicate(timeout=120)[1] for process in processes] == [""] * 4
    rows = opened(url).log("many").scan().collect().select("writer", "n").rows()
    assert sorted(rows) == [(f"w{writer}", n) for writer in range(4) for n in range(8)]
    keys = [one.key.rpartition("/")[2] for one in objects.open_bucket(url).list("logs/many/_delta_log/")]
    numbers = sorted(int(key.removesuffix(".json")) for key in keys if key.endswith(".json"))
    assert numbers == list(range(len(numbers)))


def test_a_checkpoint_is_taken_up_on_another_machine(opened: Callable[..., RemoteStore], url: str) -> None:
    """The newest whole one; of one whose list is not there yet nothing is seen; only so many are kept, and all go in the end."""
    here, there = opened(url, "here").checkpoints("sha256:ab", 2), opened(url, "there").checkpoints("sha256:ab", 2)
    assert there.latest() is None
    for step in (1, 2, 3):
        here.save(step, lambda folder, step=step: (folder / "state").write_text(f"at {step}") and None)
    here.wait()
    found = there.latest()
    assert found is not None
    assert (found[0], (found[1] / "state").read_text()) == (3, "at 3")
    bucket = objects.open_bucket(url)
    lists = [one.key.rpartition("/")[2] for one in bucket.list("checkpoints/") if one.key.endswith(".json") and not one.key.endswith(SUMS)]
    assert sorted(lists) == ["000000000002.json", "000000000003.json"]
    bucket.delete([one.key for one in bucket.list("checkpoints/") if one.key.endswith("3.json")])
    again = there.latest()
    assert again is not None
    assert again[0] == 2
    there.clear()
    assert list(bucket.list("checkpoints/")) == []
